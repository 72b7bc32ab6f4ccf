"""The inventory as tables for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fairuse_agent.reporting.inventory import (
    FoundTenant,
    Inventory,
    UnownedCgroup,
    UnownedInterface,
)

_WIDTH_OF_A_FILE = 10_000
"""Into a file or a pipe no line is folded, so that they can be searched."""


def print_inventory(inventory: Inventory, console: Console | None = None) -> None:
    """What is whose and why, then what is nobody's, then what could not be learned."""
    out = console or _console()
    if inventory.tenants:
        count = len(inventory.tenants)
        _title(out, f"{count} tenant{'s' if count != 1 else ''}")
        out.print(_tenants(inventory.tenants))
    else:
        out.print(Text("No tenants: no [[tenants]] rule and no kind in discover matches here.\n"))
    if inventory.unowned_cgroups:
        _title(out, "Cgroups that are no tenant's: the host's own")
        out.print(_cgroups(inventory.unowned_cgroups))
    if inventory.unowned_interfaces:
        _title(out, "Interfaces that are no tenant's")
        out.print(_interfaces(inventory.unowned_interfaces))
    for note in inventory.notes:
        out.print(Text("note: ", style="bold") + printable(note))


def _tenants(tenants: Sequence[FoundTenant]) -> Table:
    table = _table()
    table.add_column("tenant", overflow="fold", style="bold")
    table.add_column("weight", justify="right", no_wrap=True)
    table.add_column("cgroup or interface", overflow="fold")
    table.add_column("found by", no_wrap=True)
    table.add_column("why", overflow="fold")
    for tenant in tenants:
        name, weight = printable(tenant.tenant), Text(f"{tenant.weight:g}")
        parts = (*tenant.cgroups, *tenant.interfaces)
        for part in parts:
            table.add_row(
                name, weight, printable(part.name), Text(part.source), printable(part.why)
            )
            name = weight = Text()
    return table


def _cgroups(cgroups: Sequence[UnownedCgroup]) -> Table:
    table = _table()
    table.add_column("cgroup", overflow="fold")
    table.add_column("cores used", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for cgroup in cgroups:
        cores = Text(f"{cgroup.cpu_cores:.2f}")
        table.add_row(printable(cgroup.path), cores, printable(cgroup.why))
    return table


def _interfaces(interfaces: Sequence[UnownedInterface]) -> Table:
    table = _table()
    table.add_column("interface", overflow="fold")
    table.add_column("why", overflow="fold")
    for interface in interfaces:
        table.add_row(printable(interface.name), printable(interface.why or "matches nothing"))
    return table


def printable(text: str) -> Text:
    """Without control characters: names of guests and containers are strangers' text."""
    return Text("".join(char if char.isprintable() else "?" for char in text))


def _title(out: Console, text: str) -> None:
    out.print(Text(text, style="bold"))


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False)


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=_WIDTH_OF_A_FILE)
