"""Fairuse and everything that it needs, as wheels: the test host installs without a network."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from . import cache
from .cache import REPOSITORY
from .commands import run

# Each environment on the test host, with the extras that it is for. The tests' one also sees the
# product's.
_ENVIRONMENTS = {
    "fairuse": ("agent", "systemd", "libvirt", "controller", "cli"),
    "fairuse-tests": ("demo", "dev"),
}
_PIP: list[str | Path] = [
    sys.executable,
    "-m",
    "pip",
    "--quiet",
    "--disable-pip-version-check",
    "wheel",
]


def wheelhouse() -> Path:
    """Every third party's wheel, as pinned; those that come without one are built here.

    Beside them, a list of requirements for each environment, by its name.
    """
    constraints = REPOSITORY / "constraints.txt"
    wanted = {name: _requirements(extras) for name, extras in _ENVIRONMENTS.items()}

    def build(folder: Path) -> None:
        lists: list[str | Path] = []
        for name, requirements in wanted.items():
            listed = folder / f"{name}.txt"
            listed.write_text("".join(f"{requirement}\n" for requirement in requirements))
            lists += ["--requirement", listed]
        lists += ["--constraint", constraints, "--wheel-dir", folder]
        run([*_PIP, *lists], timeout_seconds=900)

    made_from = [constraints.read_bytes(), repr(wanted).encode(), sys.version.encode()]
    return cache.entry("wheels", made_from, build)


def fairuse_wheel(folder: Path) -> Path:
    """Fairuse as it is in this tree, built into that folder."""
    run([*_PIP, "--no-deps", "--wheel-dir", folder, REPOSITORY], timeout_seconds=300)
    (built,) = folder.glob("fairuse-*.whl")
    return built


def _requirements(extras: tuple[str, ...]) -> list[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    # An extra that this tree does not have is none.
    lists = [project["dependencies"], *(optional.get(extra, []) for extra in extras)]
    return sorted({requirement for wanted in lists for requirement in wanted})
