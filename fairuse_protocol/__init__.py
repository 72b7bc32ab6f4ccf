"""What the programs say to each other: units, reports, orders. Imports nothing of ours."""
