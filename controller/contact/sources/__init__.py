"""Where tenants come from besides tenants.toml: pushed by another system, looked up."""
