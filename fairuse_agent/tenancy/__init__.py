"""Whose cgroup, whose interface: what the host's rules say, and what discovery finds."""
