"""A policy, and the difference between two, on one screen each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from controller.fairshare.changes import Change
from controller.fairshare.explain import Explanation, Section
from controller.fairshare.meanings import Effect
from controller.fairshare.oddities import Oddity

_LABEL_WIDTH = 16
_STYLES: dict[Effect, str] = {"stricter": "red", "milder": "green", "other": "cyan"}
_MARKS: dict[Effect, str] = {"stricter": "▲", "milder": "▼", "other": "•"}
_PLAIN_MARKS: dict[Effect, str] = {"stricter": "+", "milder": "-", "other": "*"}


def policy_screen(
    file: str, explanation: Explanation, odd: Sequence[Oddity], *, plain: bool
) -> RenderableType:
    """One policy that was accepted, with what is worth a second look."""
    parts: list[RenderableType] = [
        Text.assemble((explanation.key, "bold"), (f"  {file}", "dim")),
    ]
    if explanation.clause:
        quoted = f'"{explanation.clause}"' if plain else f"“{explanation.clause}”"
        parts.append(Padding(Text(quoted, "italic"), (0, 0, 0, 2)))
    for section in explanation.sections:
        parts += [Text(), Text(section.title, "bold cyan"), _lines(section, plain=plain)]
    parts += [Text(), _verdict(odd, plain=plain), Text()]
    return Group(*parts)


def changes_screen(
    before: str, after: str, found: Sequence[Change], *, plain: bool
) -> RenderableType:
    """What is different, grouped by whom it is about."""
    arrow = "->" if plain else "→"
    parts: list[RenderableType] = [Text(f"{before}  {arrow}  {after}", "bold")]
    if not found:
        return Group(*parts, Text("Nothing changes."))
    marks = _PLAIN_MARKS if plain else _MARKS
    for whom, group in groupby(found, key=lambda change: change.whom):
        parts += [Text(), Text(f"For {whom}", "bold cyan")]
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(overflow="fold")
        for change in group:
            table.add_row(
                Text(marks[change.effect], _STYLES[change.effect]),
                _text(change.meaning, plain=plain),
            )
            setting = f"{change.key}: {_short(change.before)} {arrow} {_short(change.after)}"
            table.add_row("", Text(setting, "dim"))
        parts.append(Padding(table, (0, 0, 0, 2)))
    total = Text("\n")
    for effect, mark in marks.items():
        count = sum(change.effect == effect for change in found)
        said = "neither" if effect == "other" else effect
        total.append(f"{mark} {count} {said}   ", _STYLES[effect])
    return Group(*parts, total)


def _lines(section: Section, *, plain: bool) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=_LABEL_WIDTH, style="dim")
    table.add_column(overflow="fold")
    for line in section.lines:
        table.add_row(line.label, _text(line.text, plain=plain))
    return Padding(table, (0, 0, 0, 2))


def _verdict(odd: Sequence[Oddity], *, plain: bool) -> RenderableType:
    if not odd:
        return Text(f"{'ok' if plain else '✓'} Accepted, and nothing about it is odd.", "green")
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1, style="yellow")
    table.add_column(overflow="fold")
    for each in odd:
        table.add_row("!", Text.assemble((each.key, "bold"), f": {each.text}"))
    return Group(Text("Accepted; worth a second look:", "yellow"), Padding(table, (0, 0, 0, 2)))


def _text(text: str, *, plain: bool) -> Text:
    """Where it can be shown, a space at which no line breaks stands between figure and sign."""
    return Text(text if plain else text.replace(" %", "\N{NO-BREAK SPACE}%"))


def _short(value: str) -> str:
    """A value in its line: of a long text its beginning."""
    return value if len(value) <= 40 else f"{value[:37]}..."
