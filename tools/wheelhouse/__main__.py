"""One file a program that installs it where there is neither a compiler nor a network.

    python -m tools.wheelhouse --out dist

makes `fairuse-agent-VERSION-TAG.pyz` (agent and limiter) and `fairuse-controller-VERSION-TAG.pyz`
(controller and command line). TAG is the Python and the machine that they are for: those that this
runs with. Each holds all wheels as constraints.txt pins them; those that have none are built here.
`install.py` is what runs when such a file is given to Python.
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
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
EXTRAS = {
    "agent": ("agent", "systemd", "libvirt"),
    "controller": ("controller", "cli", "backtest"),
}
"""What each file installs. An agent gets libvirt and systemd: they are small, and idle without. A
controller gets what plays its own history through a policy, which enforcing asks for."""
_PIP_VERSION = "26.3"
"""Comes along, because Debian takes pip out of Python's own venv."""
_FIXED_TIME = (2000, 1, 1, 0, 0, 0)


def main() -> None:
    """Build what is asked for, and say what was made."""
    parser = argparse.ArgumentParser(prog="tools.wheelhouse", description=__doc__)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "dist", help="default: dist")
    parser.add_argument("--program", choices=EXTRAS, action="append", help="default: both")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        own = _own_wheel(Path(folder))
        for program in options.program or EXTRAS:
            print(build(program, own, options.out))


def build(program: str, own: Path, out: Path) -> Path:
    """The file for one program, from Fairuse's own wheel and third parties'."""
    version = own.name.split("-")[1]
    target = out / f"fairuse-{program}-{version}-{tag()}.pyz"
    extras = ",".join(EXTRAS[program])
    with tempfile.TemporaryDirectory() as folder:
        wheels = Path(folder)
        constraints = REPOSITORY / "constraints.txt"
        wanted = ["--constraint", constraints, f"{own}[{extras}]", f"pip=={_PIP_VERSION}"]
        _pip("wheel", "--wheel-dir", wheels, *wanted)
        manifest = {"program": program, "version": version, "tag": tag(), "extras": extras}
        partial = target.with_suffix(".partial")
        _pack(partial, manifest, sorted(wheels.glob("*.whl")))
        partial.replace(target)
    return target


def tag() -> str:
    """The Python and the machine that wheels built here are for, as in "cp311-x86_64"."""
    return f"cp{sys.version_info.major}{sys.version_info.minor}-{platform.machine()}"


def _own_wheel(folder: Path) -> Path:
    _pip("wheel", "--no-deps", "--wheel-dir", folder, REPOSITORY)
    (built,) = folder.glob("fairuse-*.whl")
    return built


def _pack(target: Path, manifest: dict[str, str], wheels: Sequence[Path]) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        installer = Path(__file__).with_name("install.py").read_text(encoding="utf-8")
        archive.writestr(zipfile.ZipInfo("__main__.py", _FIXED_TIME), installer)
        archive.writestr(zipfile.ZipInfo("manifest.json", _FIXED_TIME), json.dumps(manifest))
        for wheel in wheels:
            entry = zipfile.ZipInfo(f"wheels/{wheel.name}", _FIXED_TIME)
            with wheel.open("rb") as source, archive.open(entry, "w") as packed:
                shutil.copyfileobj(source, packed)


def _pip(command: str, *arguments: str | Path) -> None:
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, command, *arguments], check=True)


if __name__ == "__main__":
    main()
