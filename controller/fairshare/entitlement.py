"""What agreements add to the rule, row by row: higher shares, and use that is exempt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.fairshare.evidence import EXEMPTIONS, Exemption
from controller.fairshare.measured import ROW, Floats
from fairuse_protocol.messages import RESOURCES, Resource


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
