"""The `fairuse` command."""
