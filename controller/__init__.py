"""The controller: takes reports, judges, runs cases, writes to customers, orders limits."""
