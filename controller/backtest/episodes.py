"""The kinds of episodes that are injected: what happens in each, and what it ought to be called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from controller.backtest.scene import RANDOM_BYTES, SEQUENTIAL_BYTES, Scene
from fairuse_protocol.messages import Resource

Part = tuple[int, Resource]
"""A tenant whose use of a resource the episode is about."""
Meant = Literal["1", "0", "told"]
"""What the counterfactual has to say of it: disproportionate, innocent, or whatever it is."""
SetName = Literal["ordinary", "hard"]

_ALL: tuple[Resource, ...] = ("cpu", "disk", "net-in", "net-out")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of episode."""

    name: str
    within: SetName
    meant: Meant
    minutes: tuple[float, float]
    play: Callable[[Scene], Sequence[Part]]
    """Changes the scene, and tells whom it is about; nobody where the scene does not suit."""
    needs_big_plan: bool = False
    most_busy: float = 1.0
    """The mean load of the host's busiest resource before the episode, at most."""


def _hog(
    scene: Scene, resource: Resource, tenants: tuple[int, ...], operation_bytes: int
) -> Sequence[Part]:
    """These tenants ask for far more than is left, while some neighbours are at work."""
    scene.put_to_work(resource, tenants, 0.3, 0.8, count=int(scene.random.integers(3, 7)))
    wanted = scene.random.uniform(1.3, 1.9) + 0.3 * (len(tenants) - 1)
    left = max(0.5, wanted - scene.others(resource, tenants))
    for tenant in tenants:
        scene.ask(tenant, resource, scene.steady(left / len(tenants)), operation_bytes)
    return [(tenant, resource) for tenant in tenants]


def _steady_cpu_hog(scene: Scene) -> Sequence[Part]:
    return _hog(scene, "cpu", scene.pick(), 0)


def _backup_fills_disk(scene: Scene) -> Sequence[Part]:
    return _hog(scene, "disk", scene.pick(), SEQUENTIAL_BYTES)


def _outgoing_flood(scene: Scene) -> Sequence[Part]:
    return _hog(scene, "net-out", scene.pick(), 0)


def _incoming_storm(scene: Scene) -> Sequence[Part]:
    return _hog(scene, "net-in", scene.pick(), 0)


def _slow_ramp(scene: Scene) -> Sequence[Part]:
    resource: Resource = "cpu" if scene.random.random() < 0.5 else "disk"
    (tenant,) = scene.pick()
    scene.put_to_work(resource, (tenant,), 0.3, 0.8, count=5)
    top = max(0.5, scene.random.uniform(1.4, 1.9) - scene.others(resource, (tenant,)))
    rise = np.minimum(1.0, np.arange(scene.intervals) / (0.6 * scene.intervals))
    scene.ask(tenant, resource, scene.steady(top) * rise, RANDOM_BYTES)
    return [(tenant, resource)]


def _two_at_once(scene: Scene) -> Sequence[Part]:
    resource = _ALL[scene.random.integers(len(_ALL))]
    return _hog(scene, resource, scene.pick(2), SEQUENTIAL_BYTES)


def _cpu_with_disk(scene: Scene) -> Sequence[Part]:
    tenant = scene.pick()
    return [*_hog(scene, "cpu", tenant, 0), *_hog(scene, "disk", tenant, RANDOM_BYTES)]


def _bursts(scene: Scene, every_minutes: float, low: float, high: float) -> Sequence[Part]:
    resource = _ALL[scene.random.integers(len(_ALL))]
    (tenant,) = scene.pick()
    scene.put_to_work(resource, (tenant,), 0.2, 0.6, count=4)
    strength = scene.steady(scene.random.uniform(1.0, 1.8))
    for begin in range(0, scene.intervals, scene.minutes(every_minutes)):
        length = scene.minutes(scene.random.uniform(low, high))
        strength[begin + length : begin + scene.minutes(every_minutes)] = 0.0
    scene.ask(tenant, resource, strength, SEQUENTIAL_BYTES)
    return [(tenant, resource)]


def _short_burst(scene: Scene) -> Sequence[Part]:
    # Once in an episode of up to three hours, or again after a long rest.
    return _bursts(scene, scene.random.uniform(70, 180), 3, 8)


def _hourly_cron(scene: Scene) -> Sequence[Part]:
    return _bursts(scene, 60, 5, 9.5)


def _idle_host_heavy_use(scene: Scene) -> Sequence[Part]:
    resource = _ALL[scene.random.integers(len(_ALL))]
    (tenant,) = scene.pick()
    spare = scene.random.uniform(0.5, 0.8) - scene.others(resource, (tenant,))
    scene.ask(tenant, resource, scene.steady(max(0.3, spare)), SEQUENTIAL_BYTES)
    return [(tenant, resource)]


def _big_plan(scene: Scene) -> Sequence[Part]:
    """52 to 65 % of the host by one who paid for more, while the others fill the rest."""
    resource = _ALL[scene.random.integers(len(_ALL))]
    tenant = scene.big_plan
    if tenant is None:
        raise ValueError("expected a host with a big plan")
    scene.silence(resource)
    # Some are within their small shares and wait, the rest go over theirs and fill the host.
    scene.put_to_work(resource, (tenant,), 0.5, 0.95, count=len(scene.present) // 2)
    idle = np.flatnonzero(scene.share(resource).sum(axis=0) == 0)
    busy = tuple(other for other in scene.present if other not in idle)
    scene.put_to_work(resource, (tenant, *busy), 1.8, 3.2)
    scene.ask(tenant, resource, scene.steady(scene.random.uniform(0.53, 0.62)), SEQUENTIAL_BYTES)
    return [(tenant, resource)]


def _everybody_busy(scene: Scene) -> Sequence[Part]:
    resource = _ALL[scene.random.integers(len(_ALL))]
    scene.silence(resource)
    scene.put_to_work(resource, (), 1.0, 1.4)
    return [(tenant, resource) for tenant in scene.present]


def _small_hog_busy_host(scene: Scene) -> Sequence[Part]:
    """3 to 6 times its share, which is 10 to 30 % of a host that the others keep busy."""
    resource = _ALL[scene.random.integers(len(_ALL))]
    (tenant,) = scene.pick()
    entitled = scene.entitled()[tenant]
    gets = scene.random.uniform(3.1, 6.0) * entitled
    if not 0.1 <= gets <= 0.3:
        return []
    wanted = scene.random.uniform(1.06, 1.15)
    # Of the CPU it gets what the others leave; of the rest its part of all that is wanted.
    others = 1 - gets if resource == "cpu" else (1 - gets) * wanted
    level = others / (1 - entitled)
    if level > 0.95:
        return []
    scene.silence(resource)
    scene.put_to_work(resource, (tenant,), level - 0.04, level + 0.04)
    scene.ask(tenant, resource, scene.steady(wanted - others), RANDOM_BYTES)
    return [(tenant, resource)]


def _near_the_edge(scene: Scene, low: float, high: float) -> Sequence[Part]:
    resource = _ALL[scene.random.integers(len(_ALL))]
    (tenant,) = scene.pick()
    scene.put_to_work(resource, (tenant,), 0.4, 0.8, count=6)
    wanted = scene.random.uniform(low, high) - scene.others(resource, (tenant,))
    scene.ask(tenant, resource, scene.steady(max(0.2, wanted)), RANDOM_BYTES)
    return [(tenant, resource)]


def _just_over(scene: Scene) -> Sequence[Part]:
    return _near_the_edge(scene, 1.05, 1.2)


def _just_under(scene: Scene) -> Sequence[Part]:
    return _near_the_edge(scene, 0.82, 0.98)


def _waits_elsewhere(scene: Scene) -> Sequence[Part]:
    """Neighbours wait for remote storage, or pinned themselves; a heavy tenant is not the cause."""
    resource: Resource = "cpu" if scene.random.random() < 0.5 else "disk"
    (tenant, *waiting) = scene.pick(4)
    spare = scene.random.uniform(0.5, 0.75) - scene.others(resource, (tenant,))
    scene.ask(tenant, resource, scene.steady(max(0.3, spare)), SEQUENTIAL_BYTES)
    column = 0 if resource == "cpu" else 1
    scene.put_to_work(resource, spared=(tenant,), low=0.2, high=0.6, count=3)
    for neighbour in waiting:
        waits = scene.steady(scene.random.uniform(0.25, 0.7))
        scene.extra_waits[column, :, neighbour] = np.minimum(waits, 0.95)
    return [(tenant, resource)]


_CALM = 0.5
"""Where a plain case is put: what is wanted beyond it is that tenant's own doing."""

KINDS: tuple[Kind, ...] = (
    Kind("steady-cpu-hog", "ordinary", "1", (45, 180), _steady_cpu_hog, most_busy=_CALM),
    Kind("backup-fills-disk", "ordinary", "1", (40, 120), _backup_fills_disk, most_busy=_CALM),
    Kind("outgoing-flood", "ordinary", "1", (30, 120), _outgoing_flood, most_busy=_CALM),
    Kind("incoming-storm", "ordinary", "1", (30, 120), _incoming_storm, most_busy=_CALM),
    Kind("slow-ramp", "ordinary", "1", (150, 240), _slow_ramp, most_busy=_CALM),
    Kind("two-at-once", "ordinary", "1", (45, 120), _two_at_once, most_busy=_CALM),
    Kind("cpu-with-disk", "ordinary", "1", (45, 120), _cpu_with_disk, most_busy=_CALM),
    Kind("short-burst", "ordinary", "0", (60, 300), _short_burst),
    Kind("hourly-cron", "ordinary", "0", (240, 480), _hourly_cron),
    Kind("idle-host-heavy-use", "ordinary", "0", (45, 240), _idle_host_heavy_use, most_busy=0.3),
    Kind("big-plan", "ordinary", "0", (45, 180), _big_plan, needs_big_plan=True),
    Kind("everybody-busy", "ordinary", "0", (45, 120), _everybody_busy),
    Kind("small-hog-busy-host", "hard", "1", (40, 120), _small_hog_busy_host),
    Kind("big-plan-busy-host", "hard", "0", (45, 180), _big_plan, needs_big_plan=True),
    Kind("just-over", "hard", "told", (24, 40), _just_over),
    Kind("just-under", "hard", "told", (24, 60), _just_under),
    Kind("just-too-short", "hard", "told", (8, 18), _just_over),
    Kind("waits-elsewhere", "hard", "0", (45, 180), _waits_elsewhere, most_busy=0.5),
)
