"""The rule: pure arithmetic over windows. No I/O, no clock."""
