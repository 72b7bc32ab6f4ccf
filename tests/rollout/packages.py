"""Packages of more than one version, of this tree: a later version differs in its number only."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tests.testhost import cache
from tools.wheelhouse.__main__ import EXTRAS, build, tag

_TREE = ("fairuse_protocol", "fairuse_agent", "controller", "fairuse_cli", "deploy/systemd")
_FILES = ("pyproject.toml", "README.md", "constraints.txt")


def built(versions: Sequence[str]) -> Path:
    """A folder with both programs' packages of each version, out of the cache if they are there."""
    sources = [path for part in _TREE for path in sorted((cache.REPOSITORY / part).rglob("*"))]
    sources += [cache.REPOSITORY / name for name in _FILES]
    sources += sorted((cache.REPOSITORY / "tools/wheelhouse").glob("*.py"))
    made_from = [path.read_bytes() for path in sources if path.is_file() and path.suffix != ".pyc"]

    def make(folder: Path) -> None:
        first, *later = versions
        with tempfile.TemporaryDirectory() as scratch:
            wheel = _wheel(first, Path(scratch))
            made = [build(program, wheel, folder) for program in EXTRAS]
        for version in later:
            for package in made:
                _renumber(package, first, version)

    return cache.entry("packages", [repr(versions).encode(), *made_from], make)


def _wheel(version: str, scratch: Path) -> Path:
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
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", scratch, tree], check=True)
    (wheel,) = scratch.glob("fairuse-*.whl")
    return wheel


def _renumber(package: Path, first: str, version: str) -> None:
    """The same package with Fairuse's own files of another version: third parties' stay."""
    target = package.with_name(package.name.replace(f"-{first}-{tag()}", f"-{version}-{tag()}"))
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
