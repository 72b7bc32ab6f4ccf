"""What a transaction is for: execution options that each database's own module begins it by."""

from __future__ import annotations

WRITES = "fairuse_writes"
"""It may change what is stored, and waits until it is the only one that may."""
NO_TRANSACTION = "fairuse_no_transaction"
"""There is none: each statement stands alone."""
