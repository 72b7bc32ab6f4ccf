"""What a place is where tenants are looked up, and how asking it can end without an answer."""

from __future__ import annotations

from typing import Protocol

from controller.tenants import Tenant

MAX_ANSWER_BYTES = 64 * 1024
"""As for a pushed entry: many contacts fit."""


class LookupFailed(Exception):
    """It is not known whether there is such a tenant. The text says why."""


class SourceAway(LookupFailed):
    """The place does not answer as it should, whoever is asked about."""


class AnswerUnusable(LookupFailed):
    """The place has answered, with something about this tenant that cannot be used."""


class Source(Protocol):
    """A place where tenants are looked up."""

    @property
    def name(self) -> str:
        """As operators know it; no secret in it."""

    async def ask(self, tenant: str) -> Tenant | None:
        """What it says of the tenant; None: there is none. Raises LookupFailed, nothing else."""

    async def close(self) -> None:
        """Let go of connections."""
