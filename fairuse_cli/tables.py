"""Lists as tables that can be read at 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from controller.cases.model import State
from controller.cases.views import ResourceView, TenantView
from controller.fairshare.agreement import Agreement
from controller.web.messages import CaseLine, CaseList, HostLine, HostList, heaviest
from fairuse_cli import figures
from fairuse_protocol.messages import RESOURCES, Resource

STATE_STYLES: dict[State, str] = {
    "watching": "cyan",
    "notified": "yellow",
    "limited": "bold red",
    "held": "bold magenta",
    "closed": "dim",
}
_SILENT_AFTER_INTERVALS = 3
_WIDE = 100
_SHORT: dict[Resource, str] = {"cpu": "cpu", "disk": "disk", "net-in": "in", "net-out": "out"}
"""As the columns are headed."""


def is_plain(console: Console) -> bool:
    """Whether this output can show ASCII only."""
    return not console.encoding.lower().startswith("utf")


def hosts_table(answer: HostList) -> Table:
    """One line a host: who has reported, and how busy it is."""
    table = _table()
    table.add_column("host", overflow="fold")
    table.add_column("heard\nago", justify="right", no_wrap=True)
    table.add_column("tenants", justify="right", no_wrap=True)
    table.add_column("limits", justify="right", no_wrap=True)
    for heading in ("cpu\ncores", "disk\n%", "in\nMbit/s", "out\nMbit/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("most\nwaiting", justify="right", no_wrap=True)
    for host in answer.hosts:
        views = {view.resource: view for view in host.resources}
        table.add_row(
            host.host,
            _heard(host, answer.at),
            str(host.tenants),
            "-" if host.limits_held is None else str(host.limits_held),
            *(_use(views.get(resource)) for resource in RESOURCES),
            _most_waiting(host.resources),
        )
    return table


def host_notes(answer: HostList) -> list[str]:
    """What hosts say that they could not measure or keep."""
    notes = [f"{host.host}: {note}" for host in answer.hosts for note in host.notes]
    lost = [
        f"{host.host}: {host.lost_reports} reports did not fit the agent's spool and are lost"
        for host in answer.hosts
        if host.lost_reports
    ]
    return notes + lost


def tenants_table(
    places: Sequence[TenantView],
    *,
    open_cases: dict[tuple[str, str], CaseLine],
    bar_width: int,
    plain: bool,
) -> Table:
    """One line a tenant and host; the bar is full at four times the fair share."""
    table = _table()
    table.add_column("tenant", overflow="fold")
    table.add_column("host", overflow="fold")
    for heading in ("cpu\ncores", "disk\n%", "in\nMbit/s", "out\nMbit/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("of its\nshare", justify="right", no_wrap=True)
    if bar_width:
        table.add_column("", width=bar_width, no_wrap=True)
    table.add_column("waits", justify="right", no_wrap=True)
    table.add_column("case", no_wrap=True)
    for place in places:
        ratio, most = heaviest(place)
        style = _ratio_style(ratio)
        case = open_cases.get((place.host, place.tenant))
        table.add_row(
            place.tenant,
            place.host,
            *(figures.bare(resource, place.used.get(resource)) for resource in RESOURCES),
            Text(_of_share(ratio, most), style),
            *([Text(figures.bar(ratio / 4, bar_width, plain=plain), style)] if bar_width else []),
            figures.percent(max(place.waiting.values(), default=None)),
            Text(case.state, STATE_STYLES[case.state]) if case else "",
        )
    return table


def cases_table(answer: CaseList, *, width: int) -> Table:
    """One line a case: whose, what, and what happens next."""
    table = _table()
    table.add_column("case", no_wrap=True)
    table.add_column("state", no_wrap=True)
    if width >= _WIDE:
        table.add_column("severity", no_wrap=True)
    table.add_column("tenant", overflow="fold")
    table.add_column("host", overflow="fold")
    table.add_column("of its\nshare", justify="right", no_wrap=True)
    table.add_column("opened\nago", justify="right", no_wrap=True)
    table.add_column("next", overflow="fold")
    for case in answer.cases:
        table.add_row(
            case.id,
            Text(case.state, STATE_STYLES[case.state]),
            *([case.severity] if width >= _WIDE else []),
            case.tenant,
            case.host,
            _of_share(case.ratio, case.resource),
            figures.length(answer.at - case.opened_at),
            case.held_because or what_next(case, answer.at),
        )
    return table


def agreements_table(agreements: Sequence[Agreement], now: float) -> Table:
    """One line an agreement: with whom, what, until when."""
    table = _table()
    table.add_column("agreement", no_wrap=True)
    table.add_column("tenant", overflow="fold")
    table.add_column("may", overflow="fold")
    table.add_column("from\nUTC", overflow="fold")
    table.add_column("until\nUTC", overflow="fold")
    table.add_column("agreed with", overflow="fold")
    table.add_column("", no_wrap=True)
    for agreement in agreements:
        state = agreement.state(now)
        table.add_row(
            agreement.id,
            agreement.tenant,
            figures.agreed(agreement),
            figures.bare_clock(agreement.begins_at, now),
            figures.bare_clock(agreement.withdrawn_at or agreement.ends_at, now),
            agreement.agreed_with,
            Text(state, "" if state == "in-force" else "dim"),
        )
    return table


def what_next(case: CaseLine, now: float) -> str:
    """What the clock or a person will do to a case, in a few words."""
    said = []
    if case.requests:
        said.append(f"asks for {', '.join(case.requests)}")
    if case.replied_at is not None and case.state != "closed":
        said.append(f"wrote {figures.length(now - case.replied_at)} ago")
    return "; ".join([*said, _by_itself(case, now)])


def _by_itself(case: CaseLine, now: float) -> str:
    match case.state:
        case "watching":
            return "notice waits to be sent" if case.being_written_to else "being watched"
        case "notified" if case.deadline is None:
            return "notice on its way"
        case "notified" if case.deadline is not None and case.deadline > now:
            return f"deadline in {figures.length(case.deadline - now)}"
        case "notified":
            return "deadline passed"
        case "limited" if case.limit is not None:
            return f"lifted in {figures.length(case.limit.lease_until - now)}"
        case "held":
            return "an operator decides"
    return case.closing or case.state


def _table() -> Table:
    return Table(
        box=None, padding=(0, 1), pad_edge=False, collapse_padding=True, header_style="bold"
    )


def _heard(host: HostLine, now: float) -> Text:
    ago = now - host.last_report_at
    silent = ago > _SILENT_AFTER_INTERVALS * host.interval_seconds
    return Text(figures.length(ago), "bold red" if silent else "")


def _use(view: ResourceView | None) -> str:
    if view is None:
        return "?"
    used = figures.bare(view.resource, view.used)
    if view.resource == "disk" and view.capacity is not None:
        return used
    return f"{used}/{figures.bare(view.resource, view.capacity).removesuffix('.0')}"


def _most_waiting(views: Sequence[ResourceView]) -> str:
    waiting: dict[Resource, float] = {
        view.resource: view.waiting for view in views if view.waiting is not None
    }
    if not waiting:
        return "?"
    most = max(waiting, key=waiting.__getitem__)
    return f"{_SHORT[most]} {figures.percent(waiting[most])}"


def _of_share(ratio: float, resource: Resource | None) -> str:
    return figures.times(ratio) + (f" {_SHORT[resource]}" if resource else "")


def _ratio_style(ratio: float) -> str:
    if ratio >= 2:
        return "bold red"
    return "yellow" if ratio > 1 else "green"
