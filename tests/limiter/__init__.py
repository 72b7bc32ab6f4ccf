"""The limiter: its decisions over a double, and its hands on the real kernel."""
