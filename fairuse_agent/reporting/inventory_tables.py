"""The inventory as tables for a terminal."""

from __future__ import annotations

import sys

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fairuse_agent.reporting.inventory import FoundTenant, Inventory

_WIDTH_OF_A_FILE = 200
"""Into a file or a pipe, so that lines can be searched."""


def print_inventory(inventory: Inventory, console: Console | None = None) -> None:
    """What is whose and why, then what is nobody's, then what could not be learned."""
    out = console or _console()
    if inventory.tenants:
        out.print(_tenants(inventory.tenants))
    else:
        out.print(Text("No tenants: no [[tenants]] rule and no kind in discover matches here."))
    if inventory.unowned_cgroups:
        table = _table("Cgroups that are no tenant's: the host's own")
        table.add_column("cgroup", overflow="fold", ratio=3)
        table.add_column("cores", justify="right", no_wrap=True)
        table.add_column("why", overflow="fold", ratio=2)
        for cgroup in inventory.unowned_cgroups:
            table.add_row(
                printable(cgroup.path), Text(f"{cgroup.cpu_cores:.2f}"), printable(cgroup.why)
            )
        out.print(table)
    if inventory.unowned_interfaces:
        table = _table("Interfaces that are no tenant's")
        table.add_column("interface", overflow="fold")
        table.add_column("why", overflow="fold", ratio=1)
        for interface in inventory.unowned_interfaces:
            table.add_row(printable(interface.name), printable(interface.why or "matches nothing"))
        out.print(table)
    for note in inventory.notes:
        out.print(Text("note: ", style="bold") + printable(note))


def _tenants(tenants: tuple[FoundTenant, ...]) -> Table:
    table = _table(f"{len(tenants)} tenant{'s' if len(tenants) != 1 else ''}")
    table.add_column("tenant", overflow="fold", style="bold", ratio=2)
    table.add_column("weight", justify="right", no_wrap=True)
    table.add_column("cgroup or interface", overflow="fold", ratio=4)
    table.add_column("found by", no_wrap=True)
    table.add_column("why", overflow="fold", ratio=4)
    for tenant in tenants:
        name, weight = printable(tenant.tenant), Text(f"{tenant.weight:g}")
        parts = (*tenant.cgroups, *tenant.interfaces)
        for number, part in enumerate(parts, 1):
            table.add_row(
                name,
                weight,
                printable(part.name),
                Text(part.source),
                printable(part.why),
                end_section=number == len(parts),
            )
            name = weight = Text()
    return table


def printable(text: str) -> Text:
    """Without control characters: names of guests and containers are strangers' text."""
    return Text(
        "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    )


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)


def _console() -> Console:
    if sys.stdout.isatty():
        return Console()
    return Console(width=_WIDTH_OF_A_FILE)
