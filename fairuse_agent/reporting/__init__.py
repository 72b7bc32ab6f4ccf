"""The controller link: what is sent, what waits on disk, and what comes back for the limiter."""
