"""What happens next to a case: pure transitions, and the desk that carries them out."""
