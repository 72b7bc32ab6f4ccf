"""How the demo looks to the person who watches it."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, TextIO, cast

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.status import Status
from rich.table import Table
from rich.text import Text

from fairuse_cli.demo.stage import NEIGHBOURS, StageKind, Use
from fairuse_protocol.units import Rate

_WIDEST = 96
_LABEL_WIDTH = 19
_SIMULATED = "simulated "


def cores(value: float) -> str:
    """CPU use for people."""
    return f"{value:.2f} cores"


def rate(bytes_per_second: float) -> str:
    """Network use for people."""
    return Rate(bytes_per_second).in_bits


def percent(share: float) -> str:
    """A share of time for people."""
    return f"{share * 100:.1f} %" if share < 0.1 else f"{share * 100:.0f} %"


class _EveryLine(io.TextIOBase):
    """Passes text on with a word before every line."""

    def __init__(self, out: TextIO, word: str) -> None:
        self._out = out
        self._word = word
        self._at_start = True

    def write(self, text: str) -> int:
        for line in text.splitlines(keepends=True):
            self._out.write(f"{self._word}{line}" if self._at_start else line)
            self._at_start = line.endswith("\n")
        return len(text)

    def flush(self) -> None:
        self._out.flush()

    def isatty(self) -> bool:
        return self._out.isatty()


class Narrator:
    """Prints the story; keeps its time."""

    def __init__(self, kind: StageKind, out: TextIO = sys.stdout) -> None:
        simulated = kind == "simulated"
        width = min(_WIDEST, Console(file=out).width) if out.isatty() else _WIDEST
        self._console = Console(
            # All that rich asks of a file is there.
            file=cast(IO[str], _EveryLine(out, _SIMULATED)) if simulated else out,
            width=width - len(_SIMULATED) if simulated else width,
            highlight=False,
        )
        # A line that is drawn again and again could not have a word before it.
        self._live = out.isatty() and not simulated
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began

    def title(self, text: str, beside: str) -> None:
        """The first line of all."""
        self._console.print()
        self._console.print(Text(f"  {text}", style="bold"), Text(beside, style="dim"))
        self._console.print()

    def step(self, place: int, of: int, name: str) -> None:
        """A new step begins."""
        minutes, seconds = divmod(int(self.seconds), 60)
        heading = f"[bold]{name}[/bold] [dim]{place} of {of} · {minutes}:{seconds:02d}[/dim]"
        self._console.print()
        self._console.print(Rule(heading, align="left", style="dim"))

    def say(self, text: str, style: str = "") -> None:
        """A sentence or two."""
        self._console.print(Padding(Text(text, style=style), (0, 2), expand=False))

    def facts(self, facts: Mapping[str, str]) -> None:
        """Short names with what was found."""
        table = Table.grid(padding=(0, 2))
        table.add_column(width=_LABEL_WIDTH, style="dim")
        table.add_column(overflow="fold")
        for name, value in facts.items():
            table.add_row(name, Text(value))
        self._console.print(Padding(table, (0, 2), expand=False))

    def lines(self, name: str, lines: Sequence[str]) -> None:
        """A short name with what the kernel shows, each line cut where the screen ends."""
        room = self._console.width - _LABEL_WIDTH - 6
        cut = [line if len(line) <= room else f"{line[: room - 1]}…" for line in lines]
        self.facts({name: "\n".join(cut)})

    def uses(self, uses: Mapping[str, Use], *, fair_cores: float, fair_rate: float) -> None:
        """Who used what, measured from outside; what is over the fair share stands out."""
        seconds = next(iter(uses.values())).seconds
        table = Table(box=None, padding=(0, 1, 0, 2), header_style="dim")
        table.add_column(f"over {seconds:.1f} s", min_width=_LABEL_WIDTH - 2)
        for heading in ("CPU", "waits for CPU", "sends"):
            table.add_column(heading, justify="right", min_width=13)
        for tenant, use in uses.items():
            waits = "dim" if tenant not in NEIGHBOURS else _style(use.waiting, 0.06)
            table.add_row(
                tenant,
                Text(cores(use.cores), style=_style(use.cores, fair_cores * 1.3)),
                Text(percent(use.waiting), style=waits),
                Text(rate(use.net_out), style=_style(use.net_out, fair_rate * 1.3)),
            )
        self._console.print(table)

    def seen(self, text: str) -> None:
        """What the step set out to show has been seen."""
        self._console.print(
            Padding(Text.assemble(("seen  ", "bold green"), text), (0, 2), expand=False)
        )

    def failed(self, step: Mapping[str, object], kept: str) -> None:
        """The story ends here; `kept` is where the logs are."""
        self._console.print()
        self._console.print(
            Padding(Text(f"{step['step']}: not seen", style="bold red"), (0, 2), expand=False)
        )
        found = {name: str(step[name]) for name in ("expected", "seen")}
        self.facts(found)
        self._to_copy("logs and mails", kept)

    def the_end(self, steps: int) -> None:
        """All was seen."""
        self._console.print()
        self._console.print(Rule(style="dim"))
        self.seen(f"all {steps} steps, in {self.seconds:.0f} seconds")

    def serving(self, places: Mapping[str, str]) -> None:
        """Where to look around now."""
        self._console.print()
        self.say("Everything keeps running, the tenants too. Look around; Ctrl-C ends it all.")
        self._console.print()
        for name, value in places.items():
            self._to_copy(name, value)

    def _to_copy(self, name: str, value: str) -> None:
        """What is to be copied from the screen: never broken into lines."""
        line = Text.assemble((f"  {name:{_LABEL_WIDTH}}  ", "dim"), value)
        self._console.print(line, soft_wrap=True)

    @contextmanager
    def waiting(self, text: str) -> Iterator[Callable[[str], None]]:
        """A calm line at the bottom while something is awaited; call it to change the text."""
        if not self._live:
            self.say(f"{text} ...", style="dim")
            yield lambda _: None
            return
        with Status(Text(text, style="dim"), console=self._console, spinner="dots") as status:
            yield lambda now: status.update(Text(f"{text}: {now}", style="dim"))


def _style(value: float, high: float) -> str:
    return "bold yellow" if value > high else ""
