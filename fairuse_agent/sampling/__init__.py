"""What this host and its tenants use, out of the kernel, one round an interval."""
