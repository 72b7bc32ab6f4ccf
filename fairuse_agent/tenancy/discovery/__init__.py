"""Discovery: one module for each way in which hosts name their tenants' cgroups and interfaces."""
