"""What `fairuse trace` does, with the libraries that it needs (the extra "backtest")."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from controller.backtest.demand import Demand, ExtraWaits, read_demand, write_trace
from controller.backtest.episodes import KINDS, Kind
from controller.backtest.export import Exported, export_history
from controller.backtest.injecting import Injected, Injector, misrecord, name_labels
from controller.backtest.labels import label_demand, write_labels
from controller.backtest.layout import HostCapacity, TraceError
from controller.backtest.machines import read_bitbrains, read_planetlab
from controller.backtest.placement import Placement, place
from controller.backtest.writer import Form
from controller.settings import Storage, load_controller_settings
from controller.storage.database import Database, StorageError
from fairuse_cli.failures import REFUSED, USAGE, CommandFailed
from fairuse_cli.progress import progress_bar
from fairuse_protocol.settings import SettingsError

Summary = dict[str, Any]


def import_machines(
    source: Literal["bitbrains", "planetlab"],
    directory: Path,
    out: Path,
    placement: Placement,
    form: Form,
) -> Summary:
    """Place a public trace's machines on hosts and write the trace."""
    read = read_bitbrains if source == "bitbrains" else read_planetlab
    try:
        demand = place(_all("reading machines", read(directory)), placement)
        _write(demand, out, form, demand.capacities, {})
    except TraceError as error:
        raise CommandFailed(REFUSED, str(error)) from error
    return {
        "hosts": len(demand.capacities),
        "tenants": len(demand.tenants),
        "intervals": len(demand.ends),
        "begin": int(demand.ends[0]) - demand.seconds,
        "end": int(demand.ends[-1]),
        "capacity": msgspec.to_builtins(demand.capacities[demand.tenants[0][0]]),
    }


def inject_episodes(
    directory: Path,
    out: Path,
    kinds: Sequence[Kind],
    *,
    per_kind: int,
    seed: int,
    capacity_error: float,
    capacity_missing: float,
    form: Form,
) -> Summary:
    """Add episodes to an imported trace, and write it with its labels."""
    try:
        injector = Injector(read_demand(directory), seed)
        _all("injecting", injector.inject(kinds, per_kind), len(kinds) * per_kind)
        injected = injector.result()
        recorded = misrecord(
            injected.demand.capacities, error=capacity_error, missing=capacity_missing, seed=seed
        )
        _write(injected.demand, out, form, recorded, injected.extra_waits)
        answers = _label(injected, out)
    except TraceError as error:
        raise CommandFailed(REFUSED, str(error)) from error
    return {"episodes": len(injected.episodes), "labels": answers}


def choose_kinds(names: Sequence[str], within: Literal["ordinary", "hard"]) -> list[Kind]:
    """The kinds by these names, or all of a set when there are none."""
    known = {kind.name: kind for kind in KINDS}
    for name in names:
        if name not in known:
            raise CommandFailed(
                USAGE, f'--kind: expected one of {", ".join(known)}, found "{name}"'
            )
    return [known[name] for name in names] or [kind for kind in KINDS if kind.within == within]


def export_reports(config: Path, out: Path, begin: int, end: int, form: Form) -> Summary:
    """Write a controller's stored reports as a trace."""
    try:
        storage = load_controller_settings(config).storage
        exported = asyncio.run(_export(storage, out, begin, end, form))
    except SettingsError as error:
        raise CommandFailed(USAGE, str(error)) from error
    except (TraceError, StorageError) as error:
        raise CommandFailed(REFUSED, str(error)) from error
    return dataclasses.asdict(exported)


async def _export(storage: Storage, out: Path, begin: int, end: int, form: Form) -> Exported:
    database = await Database.open(storage.database, storage.password_file)
    try:
        with progress_bar("exporting", end - begin) as show:
            return await export_history(
                database, out, begin, end, form=form, progress=lambda until: show(until - begin)
            )
    finally:
        await database.close()


def _label(injected: Injected, out: Path) -> dict[str, dict[str, int]]:
    hosts = _all("labelling", label_demand(injected.demand), len(injected.demand.capacities))
    labels = name_labels([label for host in hosts for label in host], injected.episodes)
    write_labels(out / "labels.csv", labels)
    counts = Counter((label.kind, label.answer) for label in labels)
    answers: dict[str, dict[str, int]] = {}
    for (kind, answer), count in sorted(counts.items()):
        answers.setdefault(kind, {})[answer] = count
    return answers


def _write(
    demand: Demand,
    out: Path,
    form: Form,
    recorded: dict[str, HostCapacity],
    extra_waits: ExtraWaits,
) -> None:
    with progress_bar("writing", len(demand.ends)) as show:
        for done in write_trace(demand, out, form, recorded=recorded, extra_waits=extra_waits):
            show(done)


def _all(what: str, items: Iterable[Any], total: int | None = None) -> list[Any]:
    found = []
    with progress_bar(what, total) as show:
        for item in items:
            found.append(item)
            show(len(found))
    return found
