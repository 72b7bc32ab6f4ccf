"""The schema and the queries."""
