"""What comes back by mail: taken once, told apart, and carried to its case."""
