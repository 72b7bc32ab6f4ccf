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
        with tempfile.TemporaryDirectory(dir=root) as folder:
            archive.extractall(folder)
            _into(place, Path(folder) / "wheels", manifest)
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


def _into(place: Path, wheels: Path, manifest: dict[str, str]) -> None:
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (pip,) = wheels.glob("pip-*.whl")
    (own,) = wheels.glob("fairuse-*.whl")
    command: list[str | Path] = [python, pip / "pip", "install", "--quiet", "--no-index"]
    command += ["--disable-pip-version-check", "--no-cache-dir", "--find-links", wheels]
    subprocess.run([*command, f"{own}[{manifest['extras']}]"], check=True)


if __name__ == "__main__":
    sys.exit(main())
