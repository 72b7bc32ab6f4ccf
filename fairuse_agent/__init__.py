"""The two programs on a host: the agent, which watches, and the limiter, which alone changes."""
