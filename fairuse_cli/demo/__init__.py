"""The demo: three tenants on this machine's kernel, and the whole story told in two minutes."""
