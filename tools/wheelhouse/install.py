"""Installs one version of Fairuse from this file alone: no network, no compiler, no pip needed.

    python3 fairuse-agent-VERSION-TAG.pyz --root /opt/fairuse

makes the environment /opt/fairuse/VERSION. It changes nothing that runs: which version that is says
the link /opt/fairuse/current. What did not get to its end is made anew the next time. Runs with the
standard library of Python 3.11.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ENVIRONMENT = "environment/"
"""What is below it in the file is put below the version's folder."""


class NotInstalledError(Exception):
    """Nothing was installed. The text says why and what to do."""


def main() -> int:
    """0 installed or installed before, 1 not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("/opt/fairuse"))
    options = parser.parse_args()
    try:
        print(install(Path(sys.argv[0]), options.root))
    except (NotInstalledError, OSError, subprocess.CalledProcessError) as error:
        print(f"not installed: {error}", file=sys.stderr)
        return 1
    return 0


def install(package: Path, root: Path) -> Path:
    """The environment with the package's program in it."""
    with zipfile.ZipFile(package) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        require_matching(manifest["tag"], here())
        place = root / manifest["version"]
        done = place / f".installed-{manifest['program']}"
        if done.exists():
            return place
        if place.exists() and not list(place.glob(".installed-*")):
            shutil.rmtree(place)  # an attempt that was cut off
        root.mkdir(parents=True, exist_ok=True)
        if not (place / "bin/python").exists():
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
        with tempfile.TemporaryDirectory(dir=root) as folder:
            _unpack(archive, place, Path(folder) / "file", manifest["interpreter"])
    done.touch()
    return place


def require_matching(wanted: str, found: str) -> None:
    """Wheels hold machine code for one Python on one kind of machine."""
    if wanted != found:
        raise NotInstalledError(
            f"expected the Python and machine that this file is for, {wanted}; found {found}. "
            "Run it with that Python, or build one for this host: make wheelhouse PYTHON=..."
        )


def here() -> str:
    """This Python and machine, named as the builder names them."""
    return f"cp{sys.version_info.major}{sys.version_info.minor}-{platform.machine()}"


def _unpack(archive: zipfile.ZipFile, place: Path, scratch: Path, interpreter: str) -> None:
    """What is there already stays: it is the same, and the other program may have it open."""
    for entry in archive.infolist():
        target = place / entry.filename.removeprefix(ENVIRONMENT)
        if not entry.filename.startswith(ENVIRONMENT) or target.exists():
            continue
        with archive.open(entry) as packed, scratch.open("wb") as file:
            shutil.copyfileobj(packed, file)
        if target.parent == place / "bin":
            script = scratch.read_bytes()
            own = str(place.resolve() / "bin/python")
            scratch.write_bytes(script.replace(interpreter.encode(), own.encode(), 1))
        if entry.external_attr >> 16 & 0o100:
            scratch.chmod(0o755)
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch.replace(target)


if __name__ == "__main__":
    sys.exit(main())
