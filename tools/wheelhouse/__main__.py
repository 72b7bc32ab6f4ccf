"""One file a program that installs it where there is neither a compiler nor a network.

    python -m tools.wheelhouse --out dist

makes `fairuse-agent-VERSION-TAG.pyz` (agent and limiter) and `fairuse-controller-VERSION-TAG.pyz`
(controller and command line). TAG is the Python and the machine that they are for: those that this
runs with. Each holds an environment with everything as constraints.txt pins it, compiled, so that a
host has nothing to do but to unpack it. `install.py` is what runs when such a file is given to
Python.
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
from collections.abc import Iterator
from pathlib import Path

from tools.wheelhouse.install import ENVIRONMENT

REPOSITORY = Path(__file__).resolve().parents[2]
EXTRAS = {
    "agent": ("agent", "systemd", "libvirt"),
    "controller": ("controller", "postgresql", "cli", "backtest"),
}
"""What each file installs. An agent gets libvirt and systemd: they are small, and idle without. A
controller gets what plays its own history through a policy, which enforcing asks for."""
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
            made = build(program, own, options.out)
            print(f"{made}  {made.stat().st_size / 1e6:.0f} MB")
    print("deploy/ansible/README.md brings them to hosts: fairuse_install_packages is this folder")


def build(program: str, own: Path, out: Path) -> Path:
    """The file for one program, from Fairuse's own wheel and third parties'."""
    version = own.name.split("-")[1]
    extras = ",".join(EXTRAS[program])
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        install_into(environment, f"{own}[{extras}]", "-c", str(REPOSITORY / "constraints.txt"))
        return pack(environment, program, version, out)


def install_into(environment: Path, *wanted: str) -> None:
    """Make that environment, with what pip is told to install in it, compiled."""
    python = environment / "bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    _pip("--python", python, "install", "--no-compile", *wanted)
    # Bytecode that does not ask for its source's time, which unpacking changes. Some packages bring
    # files that are no Python of this version: what cannot be compiled is not imported either.
    compiling: list[str | Path] = [python, "-m", "compileall", "-qq", "-j", "0"]
    compiling += ["--invalidation-mode", "unchecked-hash"]
    subprocess.run([*compiling, *environment.glob("lib/python*/site-packages")], check=False)


def pack(environment: Path, program: str, version: str, out: Path) -> Path:
    """The file that makes the same environment elsewhere."""
    target = out / f"fairuse-{program}-{version}-{tag()}.pyz"
    interpreter = str(environment / "bin/python")
    manifest = {"program": program, "version": version, "tag": tag(), "interpreter": interpreter}
    installer = Path(__file__).with_name("install.py").read_text(encoding="utf-8")
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", _FIXED_TIME), installer)
        archive.writestr(zipfile.ZipInfo("manifest.json", _FIXED_TIME), json.dumps(manifest))
        for file in _files(environment):
            name = f"{ENVIRONMENT}{file.relative_to(environment)}"
            entry = zipfile.ZipInfo(name, _FIXED_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (file.stat().st_mode & 0o777) << 16
            with file.open("rb") as source, archive.open(entry, "w") as packed:
                shutil.copyfileobj(source, packed)
    partial.replace(target)
    return target


def tag() -> str:
    """The Python and the machine that wheels built here are for, as in "cp311-x86_64"."""
    return f"cp{sys.version_info.major}{sys.version_info.minor}-{platform.machine()}"


def _files(environment: Path) -> Iterator[Path]:
    """What pip has put there; the rest of an environment is made where it is to be."""
    for part in ("bin", "lib", "share"):
        for file in sorted((environment / part).rglob("*")):
            made_by_venv = part == "bin" and file.name.lower().startswith("activate")
            if file.is_file() and not file.is_symlink() and not made_by_venv:
                yield file


def _own_wheel(folder: Path) -> Path:
    _pip("wheel", "--no-deps", "--wheel-dir", folder, REPOSITORY)
    (built,) = folder.glob("fairuse-*.whl")
    return built


def _pip(*arguments: str | Path) -> None:
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *arguments], check=True)


if __name__ == "__main__":
    main()
