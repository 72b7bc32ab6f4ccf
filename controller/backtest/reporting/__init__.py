"""A backtest's outcome as a page to read: one file that needs nothing else."""
