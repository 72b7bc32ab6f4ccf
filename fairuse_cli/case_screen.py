"""One case on one screen: the sentence, the figures, the chart, the limit, the history."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from controller.cases.model import Case
from controller.fairshare.sentence import waited
from controller.storage.told import DeliveryTry
from controller.web.messages import CaseAnswer, Notice, case_line
from fairuse_cli import figures
from fairuse_cli.requests import asked
from fairuse_cli.tables import STATE_STYLES, what_next

_CHART_HEIGHT = 6
_CHART_WIDTH = 60
_TRIES_SHOWN = 6
_CHART_MARGINS = 24
"""The figures on the left and "fair share" on the right."""


def case_screen(answer: CaseAnswer, *, width: int, plain: bool) -> RenderableType:
    """Everything about a case, from what matters most to what is looked up."""
    parts: list[RenderableType] = [_title(answer), "", answer.sentence, "", _facts(answer)]
    if answer.case.verdict.samples:
        room = max(1, min(_CHART_WIDTH, width - _CHART_MARGINS))
        parts += ["", _chart(answer, room, plain=plain)]
    parts += ["", Text("What happened (UTC)", "bold"), _timeline(answer)]
    if answer.notices:
        parts += ["", Text("Notices (UTC)", "bold"), _notices(answer)]
    if answer.mails:
        parts += ["", Text("Mail that came back (UTC)", "bold"), _mails(answer)]
    return Group(*parts)


def _title(answer: CaseAnswer) -> Text:
    case = answer.case
    return Text.assemble(
        ("Case ", "bold"),
        (case.id, "bold"),
        f"  {case.tenant} on {case.host}, {case.resource}, severity {case.severity}: ",
        (case.state, STATE_STYLES[case.state]),
    )


def _facts(answer: CaseAnswer) -> Table:
    verdict, resource = answer.case.verdict, answer.case.resource
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row(
        "used",
        f"{figures.with_unit(resource, verdict.average_used)} on average, "
        f"{figures.times(verdict.ratio)} the fair share of "
        f"{figures.with_unit(resource, verdict.average_fair_share)}",
    )
    if verdict.usual_used is not None:
        usual = figures.with_unit(resource, verdict.usual_used)
        table.add_row("usually", f"{usual} at this hour of the week")
    table.add_row(
        "neighbours",
        f"{verdict.neighbours_harmed} of {verdict.neighbours} waited, "
        f"{waited(resource, verdict.neighbours_waiting)}",
    )
    _add_standing(table, answer)
    return table


def _add_standing(table: Table, answer: CaseAnswer) -> None:
    """Where the case stands, and what was said and agreed."""
    case = answer.case
    if case.closed_at is not None:
        table.add_row("closed", f"{case.closing}, {figures.clock(case.closed_at, answer.at)}")
    elif case.limit is not None:
        table.add_row("limit", _limit(answer))
    else:
        table.add_row("next", what_next(case_line(case, answer.sentence), answer.at))
    if case.held_because:
        table.add_row("held", case.held_because)
    if case.deadline is not None and case.state == "notified":
        table.add_row("deadline", figures.clock(case.deadline, answer.at))
    if case.effect is not None:
        table.add_row("effect", _effect(case))
    if case.answers:
        table.add_row("customer", ", ".join(case.answers))
    for request in case.requests:
        table.add_row("asked for", asked(request, answer.at))
    for agreement in answer.agreements:
        table.add_row(
            "agreed",
            f"{figures.agreed(agreement)}, until {figures.clock(agreement.ends_at, answer.at)}, "
            f"with {agreement.agreed_with}, recorded by {agreement.recorded_by}",
        )
    if case.repeat_of:
        table.add_row("repeat of", case.repeat_of)


def _limit(answer: CaseAnswer) -> str:
    case, limit = answer.case, answer.case.limit
    if limit is None:
        return "none"
    left = limit.lease_until - answer.at
    text = (
        f"{figures.with_unit(case.resource, limit.allowance)} "
        f"(fair share {figures.bare(case.resource, limit.fair_share)}), "
        f"{figures.length(left)} of its lease left, until "
        f"{figures.clock(limit.lease_until, answer.at)}"
    )
    if limit.confirmed_at is None:
        text += "; the host has not yet said that it stands"
    order = answer.order
    if order is None:
        return text
    by = f"by {order.ordered_by}" if order.ordered_by else f"after notice {order.notice}"
    return f"{text}; ordered {by}: {order.reason}"


def _effect(case: Case) -> str:
    effect = case.effect
    if effect is None:
        return ""
    text = f"neighbours waited {waited(case.resource, effect.before)} before the limit"
    if effect.during is not None:
        text += f", {figures.percent(effect.during)} during it"
    if effect.after is not None:
        text += f", {figures.percent(effect.after)} after it"
    return text


def _chart(answer: CaseAnswer, width: int, *, plain: bool) -> Text:
    """Use over time as bars, with a line at the fair share."""
    case, samples = answer.case, answer.case.verdict.samples
    used = figures.averaged(
        [sample.used for sample in samples], [sample.seconds for sample in samples], width
    )
    fair = case.verdict.average_fair_share
    top = max(*used, fair) * 1.05 or 1.0
    lines = figures.columns(used, top, _CHART_HEIGHT, plain=plain)
    fair_row = _CHART_HEIGHT - 1 - min(int(fair / top * _CHART_HEIGHT), _CHART_HEIGHT - 1)
    chart = Text(f"Use over the window, in {figures.UNITS[case.resource]} (UTC)\n", "bold")
    for row, line in enumerate(lines):
        chart.append(f"{_axis(case, top, fair, row, fair_row):>8} ", "not bold")
        bars, tail = line, ""
        if row == fair_row:
            dash = "-" if plain else "┄"
            bars, tail = line.replace(" ", dash), f"{dash * 2} fair share"
        chart.append(bars, "not bold red" if row < fair_row else "not bold green")
        chart.append(f"{tail}\n", "not bold")
    first = figures.bare_clock(samples[0].ended_at - samples[0].seconds, answer.at)
    last = figures.bare_clock(samples[-1].ended_at, answer.at)
    gap = max(len(used) - len(first) - len(last), 1)
    chart.append(f"{'':9}{first}{'':{gap}}{last}", "not bold")
    return chart


def _axis(case: Case, top: float, fair: float, row: int, fair_row: int) -> str:
    """The figure that stands beside a row of the chart."""
    if row == fair_row:
        return figures.bare(case.resource, fair)
    if row == 0:
        return figures.bare(case.resource, top)
    return "0" if row == _CHART_HEIGHT - 1 else ""


def _timeline(answer: CaseAnswer) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for entry in answer.timeline:
        at = figures.bare_clock(entry.at, answer.at)
        table.add_row(at, Text(entry.event), Text(entry.actor), Text(entry.text))
    return table


def _notices(answer: CaseAnswer) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for notice in answer.notices:
        table.add_row(
            figures.bare_clock(notice.queued_at, answer.at),
            notice.kind,
            Text("\n".join((_delivery(notice, answer.at), *_tries(notice, answer.at)))),
        )
    return table


def _mails(answer: CaseAnswer) -> Table:
    """With the whole text, since the history has the sender's own words only."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for mail in answer.mails:
        said = "\n".join(part for part in (mail.sender, mail.subject, mail.text) if part)
        table.add_row(figures.bare_clock(mail.received_at, answer.at), mail.outcome, Text(said))
    return table


def _delivery(notice: Notice, now: float) -> str:
    said = f": {notice.answer}" if notice.answer else ""
    if notice.accepted_at is not None:
        return f"accepted {figures.bare_clock(notice.accepted_at, now)} by {notice.channel}{said}"
    if notice.failed_at is not None:
        tries = "1 try" if notice.tries == 1 else f"{notice.tries} tries"
        return (f"given up after {tries}" if notice.tries else "not sent") + said
    if notice.next_try_at is None:
        return "waiting to be sent"
    if notice.tries == 0:
        return f"to be sent {figures.bare_clock(notice.next_try_at, now)}"
    tried = "once" if notice.tries == 1 else f"{notice.tries} times"
    return f"tried {tried}, next {figures.bare_clock(notice.next_try_at, now)}{said}"


def _tries(notice: Notice, now: float) -> list[str]:
    """The last tries of its letter, unless the first one says all."""
    shown = notice.deliveries[-_TRIES_SHOWN:]
    if len(shown) < 2 and all(each.outcome == "accepted" for each in shown):
        return []
    lines = [
        f"{figures.bare_clock(each.at, now)} {_whose(each)}: {each.outcome}: {each.answer}"
        for each in shown
    ]
    if len(notice.deliveries) > len(shown):
        before = len(notice.deliveries) - len(shown)
        lines.insert(0, f"{before} {'try' if before == 1 else 'tries'} before")
    return lines


def _whose(tried: DeliveryTry) -> str:
    """Of mail that came back from a contact who is not listed any more the channel is left."""
    return f"{tried.contact}, {tried.channel}" if tried.contact else tried.channel
