"""`fairuse trace`: make traces, out of public ones or of a controller's history; add episodes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from fairuse_cli.failures import USAGE, CommandFailed
from fairuse_cli.options import console_for_output, print_json
from fairuse_protocol.units import Duration, Rate

trace = typer.Typer(
    help="Traces of what tenants used: made of public ones or of your own history.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Source(StrEnum):
    """The public traces that can be imported."""

    BITBRAINS = "bitbrains"
    PLANETLAB = "planetlab"


class Within(StrEnum):
    """The sets of kinds of episodes."""

    ORDINARY = "ordinary"
    HARD = "hard"


_OF_EVERY_HOST = "Of every host. Default: met in 99.5 % of the hosts' time."
AsJson = Annotated[bool, typer.Option("--json", help="The summary as one JSON document.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same trace.")]
Parquet = Annotated[bool, typer.Option("--parquet", help="Parquet instead of gzipped CSV.")]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write; made if needed.")]
HostRate = Annotated[str | None, typer.Option(metavar="RATE", help=_OF_EVERY_HOST)]
HostFigure = Annotated[float | None, typer.Option(min=0.001, help=_OF_EVERY_HOST)]


@trace.command("import")
def import_(
    source: Annotated[Source, typer.Argument(help="Whose format DIR is in.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="One file a machine.")],
    out: Out,
    seed: Seed = 1,
    machines_per_host: Annotated[int, typer.Option(min=2)] = 12,
    interval: Annotated[str, typer.Option(help="Records are held constant within.")] = "60s",
    days: Annotated[float, typer.Option(min=0.01, help="No more than this, from the start.")] = 366,
    cores: HostFigure = None,
    disk: HostRate = None,
    disk_ops: HostFigure = None,
    net_in: HostRate = None,
    net_out: HostRate = None,
    parquet: Parquet = False,
    as_json: AsJson = False,
) -> None:
    """Place the machines of a public trace on hosts, and model what each got and waited."""
    work = _work()
    seconds = _parsed("--interval", interval, Duration.parse)
    if not 1 <= seconds <= 3600 or not seconds.is_integer():
        raise CommandFailed(USAGE, f"--interval: expected whole seconds up to 1h, found {interval}")
    capacity = work.HostCapacity(
        cores,
        disk and _parsed("--disk", disk, Rate.parse),
        disk_ops,
        net_in and _parsed("--net-in", net_in, Rate.parse),
        net_out and _parsed("--net-out", net_out, Rate.parse),
    )
    placement = work.Placement(
        seed=seed,
        machines_per_host=machines_per_host,
        interval_seconds=int(seconds),
        days=days,
        capacity=capacity,
    )
    summary = work.import_machines(source.value, directory, out, placement, _form(parquet))
    _tell(summary, as_json=as_json)


@trace.command()
def inject(
    directory: Annotated[Path, typer.Argument(metavar="TRACE", help="An imported trace.")],
    out: Out,
    seed: Seed = 1,
    within: Annotated[
        Within, typer.Option("--set", help="All kinds of this set.")
    ] = Within.ORDINARY,
    kind: Annotated[
        list[str] | None, typer.Option(help="This kind instead; may be given again.")
    ] = None,
    per_kind: Annotated[int, typer.Option(min=1, help="Episodes of each kind.")] = 3,
    capacity_error: Annotated[
        float, typer.Option(min=0, max=0.9, help="hosts.csv is off by up to this part.")
    ] = 0.0,
    capacity_missing: Annotated[
        float, typer.Option(min=0, max=1, help="The part of the capacities that hosts.csv lacks.")
    ] = 0.0,
    parquet: Parquet = False,
    as_json: AsJson = False,
) -> None:
    """Add labelled episodes to an imported trace's demand, and deliver it anew."""
    work = _work()
    summary = work.inject_episodes(
        directory,
        out,
        work.choose_kinds(kind or [], within.value),
        per_kind=per_kind,
        seed=seed,
        capacity_error=capacity_error,
        capacity_missing=capacity_missing,
        form=_form(parquet),
    )
    _tell(summary, as_json=as_json)


@trace.command()
def export(
    out: Out,
    config: Annotated[Path, typer.Option(metavar="CONTROLLER_TOML", help="The controller's.")],
    begin: Annotated[str, typer.Option("--from", help="2026-03-01 or 2026-03-01T12:00, UTC.")],
    end: Annotated[str, typer.Option("--to", help="As --from.")],
    parquet: Parquet = False,
    as_json: AsJson = False,
) -> None:
    """Write a controller's own history as a trace."""
    first, last = _moment("--from", begin), _moment("--to", end)
    if first >= last:
        raise CommandFailed(USAGE, f"--to: expected a time after {begin}, found {end}")
    _tell(_work().export_reports(config, out, first, last, _form(parquet)), as_json=as_json)


def _work() -> Any:
    """The commands' work, loaded when one runs: its libraries are large, and nothing else of
    `fairuse` needs them."""
    try:
        return importlib.import_module("fairuse_cli.trace_work")
    except ModuleNotFoundError as error:
        raise CommandFailed(
            USAGE,
            f"traces need {error.name}, which is not installed; "
            "expected the extras: pip install 'fairuse[backtest,controller]'",
        ) from error


def _form(parquet: bool) -> str:
    return "parquet" if parquet else "csv.gz"


def _parsed(option: str, text: str, parse: Callable[[str], float]) -> float:
    try:
        return float(parse(text))
    except ValueError as error:
        raise CommandFailed(USAGE, f"{option}: {error}") from error


def _moment(option: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandFailed(
            USAGE, f"{option}: expected a date or a time such as 2026-03-01T12:00, found {text}"
        ) from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _tell(summary: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.json.encode(summary))
        return
    console = console_for_output()
    for name, value in summary.items():
        console.print(f"{name:10} {'' if isinstance(value, dict) else value}".rstrip())
        for key, inner in value.items() if isinstance(value, dict) else ():
            counts = inner.items() if isinstance(inner, dict) else ((None, inner),)
            told = ", ".join(f"{answer}: {n}" if answer else f"{n}" for answer, n in counts)
            console.print(f"  {key:24} {told}")
