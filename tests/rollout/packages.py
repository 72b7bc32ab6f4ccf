"""Packages of more than one version, of this tree: a later version differs in its number only."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tests.testhost import cache, image
from tests.testhost.systems import DEBIAN_12, TO_BUILD_WHEELS, System

_TREE = (
    *("fairuse_protocol", "fairuse_agent", "controller", "fairuse_cli", "deploy/systemd"),
    "tools/wheelhouse",
)
_FILES = ("pyproject.toml", "README.md", "constraints.txt")
_BUILD_SECONDS = 1800.0


def built(versions: Sequence[str], system: System = DEBIAN_12) -> Path:
    """A folder with both programs' packages of each version, for that system's Python, out of the
    cache if they are there."""
    sources = [path for part in _TREE for path in sorted((cache.REPOSITORY / part).rglob("*"))]
    sources += [cache.REPOSITORY / name for name in _FILES]
    made_from = [path.read_bytes() for path in sources if path.is_file() and path.suffix != ".pyc"]

    def make(folder: Path) -> None:
        first, *later = versions
        with tempfile.TemporaryDirectory() as scratch:
            tree = _numbered_tree(first, Path(scratch))
            if system is DEBIAN_12:
                _run([sys.executable, "-m", "tools.wheelhouse", "--out", folder], cwd=tree)
            else:
                _build_inside(system, tree, Path(scratch) / "root", folder)
        for package in sorted(folder.glob("*.pyz")):
            for version in later:
                _renumber(package, first, version)

    return cache.entry("packages", [repr((versions, system.name)).encode(), *made_from], make)


def _numbered_tree(version: str, scratch: Path) -> Path:
    tree = scratch / "tree"
    for part in _TREE:
        shutil.copytree(
            cache.REPOSITORY / part, tree / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in _FILES:
        shutil.copy(cache.REPOSITORY / name, tree / name)
    project = tree / "pyproject.toml"
    numbered = f'version = "{version}"'
    project.write_text(re.sub(r'^version = ".*"$', numbered, project.read_text(), flags=re.M))
    return tree


def _build_inside(system: System, tree: Path, root: Path, out: Path) -> None:
    """What `make wheelhouse` does on a machine of that system, in a root of it."""
    root.mkdir()
    packed = image.root(system.suite, TO_BUILD_WHEELS)
    _run(["tar", "-x", "-f", packed, "-C", root, "--numeric-owner"])
    shutil.copytree(tree, root / "tree")
    (root / "out").mkdir()
    # Python's pool of compilers keeps its semaphores there.
    (root / "dev/shm").mkdir(mode=0o1777, exist_ok=True)
    for found in filter(Path.is_file, _WAY_TO_PACKAGES):
        place = root / found.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(found, place)
    steps = "python3 -m venv /venv && cd /tree && /venv/bin/python -m tools.wheelhouse --out /out"
    _run(["chroot", root, "sh", "-ec", steps])
    for package in (root / "out").iterdir():
        shutil.move(package, out / package.name)


_WAY_TO_PACKAGES = (
    Path("/etc/resolv.conf"),
    Path("/etc/hosts"),
    Path("/etc/pip.conf"),
    Path.home() / ".config/pip/pip.conf",
    Path(os.environ.get("PIP_CERT", "/nowhere")).absolute(),
)
"""How this machine reaches Python's packages is its own affair; a root on it has the same way."""


def _run(command: Sequence[str | Path], cwd: Path | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True, timeout=_BUILD_SECONDS)


def _renumber(package: Path, first: str, version: str) -> None:
    """The same package with Fairuse's own files of another version: third parties' stay."""
    target = package.with_name(package.name.replace(f"-{first}-", f"-{version}-"))
    told = (f"fairuse-{first}.dist-info", f"fairuse-{version}.dist-info")
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == "manifest.json":
                content = json.dumps(json.loads(content) | {"version": version}).encode()
            elif entry.filename.endswith(f"{told[0]}/METADATA"):
                content = content.replace(
                    f"Version: {first}".encode(), f"Version: {version}".encode()
                )
            entry.filename = entry.filename.replace(*told)
            new.writestr(entry, content)
