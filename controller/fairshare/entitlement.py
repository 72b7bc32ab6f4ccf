"""What agreements add to the rule, row by row: higher shares, and use that is exempt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.fairshare.agreement import Agreement, AgreementKind
from controller.fairshare.evidence import EXEMPTIONS, Exemption
from controller.fairshare.figures import Floats
from controller.fairshare.measured import ROW
from fairuse_protocol.messages import RESOURCES, Resource

_EXEMPTION_OF: dict[AgreementKind, Exemption] = {
    "share": "none",
    "exempt": "agreed",
    "test": "consented-test",
}


@dataclass(frozen=True, slots=True)
class Entitlements:
    """For every row of a table of measured intervals."""

    share: Floats
    """(4, n): the share of the host that was agreed for a resource, 0 where nothing was."""
    exempt: NDArray[np.int8]
    """(4, n): an index into EXEMPTIONS."""

    @classmethod
    def none_for(cls, rows: int) -> Entitlements:
        """Nothing agreed with anybody, to be filled in."""
        shape = len(RESOURCES), rows
        return cls(np.zeros(shape), np.zeros(shape, np.int8))

    def of_rows(self, begin: int, end: int) -> Entitlements:
        """Those of some rows."""
        return Entitlements(self.share[:, begin:end], self.exempt[:, begin:end])

    def agreed_share(self, resource: Resource, index: int) -> float:
        """Of the host, 0 to 1."""
        return float(self.share[ROW[resource], index])

    def exemption(self, resource: Resource, index: int) -> Exemption:
        """What the agreement says of this use."""
        return EXEMPTIONS[int(self.exempt[ROW[resource], index])]


def entitlements(
    agreements: Iterable[Agreement], host: str, tenants: tuple[str, ...], ended_at: float
) -> Entitlements | None:
    """What these agreements add for an interval of `host` that ended then, a row for each tenant.

    None when they add nothing. Of two that cover the same, the larger share counts.
    """
    found: Entitlements | None = None
    for agreement in agreements:
        if agreement.tenant not in tenants or not agreement.covers(host, ended_at):
            continue
        if found is None:
            found = Entitlements.none_for(len(tenants))
        _enter(agreement, found, tenants.index(agreement.tenant))
    return found


def _enter(agreement: Agreement, found: Entitlements, row: int) -> None:
    resource = agreement.resource
    rows = slice(None) if resource == "" else slice(ROW[resource], ROW[resource] + 1)
    exemption = EXEMPTIONS.index(_EXEMPTION_OF[agreement.kind])
    found.exempt[rows, row] = found.exempt[rows, row].clip(min=exemption)
    found.share[rows, row] = found.share[rows, row].clip(min=agreement.share or 0.0)
