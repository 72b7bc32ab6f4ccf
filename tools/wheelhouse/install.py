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
        place: Path = root / manifest["version"]
        done = place / f".installed-{manifest['program']}"
        if done.exists():
            return place
        if place.exists() and not list(place.glob(".installed-*")):
            shutil.rmtree(place)  # an attempt that was cut off
        root.mkdir(parents=True, exist_ok=True)
        if not (place / "bin/python").exists():
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
        former = _installed(root)
        with tempfile.TemporaryDirectory(dir=root) as folder:
            _unpack(archive, place, Path(folder) / "file", manifest["interpreter"], former)
        listed = {entry.filename: entry.CRC for entry in archive.infolist()}
    done.write_text(json.dumps(listed), encoding="utf-8")
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


def _installed(root: Path) -> dict[tuple[str, int], Path]:
    """Where the files of the versions on this host are, by name and checksum in their packages."""
    found = {}
    for done in root.glob("*/.installed-*"):
        for name, checksum in json.loads(done.read_text(encoding="utf-8") or "{}").items():
            found[name, checksum] = done.parent / name.removeprefix(ENVIRONMENT)
    return found


def _unpack(
    archive: zipfile.ZipFile,
    place: Path,
    scratch: Path,
    interpreter: str,
    former: dict[tuple[str, int], Path],
) -> None:
    """What is there already stays: it is the same, and the other program may have it open."""
    folders: set[Path] = set()
    for entry in archive.infolist():
        target = place / entry.filename.removeprefix(ENVIRONMENT)
        if not entry.filename.startswith(ENVIRONMENT) or target.exists():
            continue
        if target.parent not in folders:
            target.parent.mkdir(parents=True, exist_ok=True)
            folders.add(target.parent)
        is_script = target.parent == place / "bin"
        if is_script:
            _write_script(archive.read(entry), scratch, place, interpreter)
        elif not _link(entry, former.get((entry.filename, entry.CRC)), scratch):
            with archive.open(entry) as packed, scratch.open("wb") as file:
                shutil.copyfileobj(packed, file)
        if is_script or entry.external_attr >> 16 & 0o100:
            scratch.chmod(0o755)
        scratch.replace(target)


def _write_script(script: bytes, target: Path, place: Path, interpreter: str) -> None:
    own = str(place.resolve() / "bin/python")
    target.write_bytes(script.replace(interpreter.encode(), own.encode(), 1))


def _link(entry: zipfile.ZipInfo, former: Path | None, target: Path) -> bool:
    """Most files of a version are those of the one before: then they take neither time nor room.

    Nothing ever writes into them: they are replaced and removed by their names.
    """
    try:
        if former is None or former.stat().st_size != entry.file_size:
            return False
        target.hardlink_to(former)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
