"""Debian packages out of what `make wheelhouse` made.

    python -m tools.debs --packages dist

makes `fairuse-agent_VERSION_ARCH.deb` (agent and limiter) and `fairuse-controller_VERSION_ARCH.deb`
beside them, for the Debian whose Python this is. They hold the same environment as the other way of
installing; the two do not go together on one host. Needs dpkg-deb.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.wheelhouse.__main__ import REPOSITORY, tag

ROOT = Path("opt/fairuse")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Package:
    """What one Debian package is besides its environment."""

    program: str
    other: str
    summary: str
    user: str
    units: tuple[str, ...]
    commands: tuple[str, ...]
    settings: tuple[str, ...]

    @property
    def name(self) -> str:
        """As dpkg knows it."""
        return f"fairuse-{self.program}"


PACKAGES = (
    Package(
        program="agent",
        other="fairuse-controller",
        summary="watches a shared host and holds tenants to their fair share, for a while",
        user="fairuse-agent",
        units=("fairuse-limiter", "fairuse-agent"),
        commands=("fairuse-agent", "fairuse-limiter"),
        settings=("agent", "limiter"),
    ),
    Package(
        program="controller",
        other="fairuse-agent",
        summary="applies the fair-use rule, writes to customers, orders limits",
        user="fairuse-controller",
        units=("fairuse-controller",),
        commands=("fairuse-controller", "fairuse"),
        settings=("controller", "policies", "tenants"),
    ),
)


def main() -> None:
    """Build both, and say what was made."""
    parser = argparse.ArgumentParser(prog="tools.debs", description=__doc__)
    parser.add_argument("--packages", type=Path, default=REPOSITORY / "dist")
    options = parser.parse_args()
    for package in PACKAGES:
        found = sorted(options.packages.glob(f"{package.name}-*-{tag()}.pyz"))
        if not found:
            sys.exit(
                f"expected {package.name}-VERSION-{tag()}.pyz in {options.packages}, found "
                "none; make it with: make wheelhouse"
            )
        for pyz in found:
            print(build(package, pyz, options.packages))


def build(package: Package, pyz: Path, out: Path) -> Path:
    """The package of one program's version."""
    version = pyz.name.split("-")[2]
    machine = _MACHINES[tag().partition("-")[2]]
    target = out / f"{package.name}_{version}_{machine}.deb"
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        tree.chmod(0o755)
        subprocess.run([sys.executable, pyz, "--root", tree / ROOT], check=True)
        _move(tree / ROOT / version, tree)
        _files(package, tree, version)
        _control(package, tree, version, machine)
        command: list[str | Path] = ["dpkg-deb", "--root-owner-group", "--build", tree, target]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return target


def _move(place: Path, tree: Path) -> None:
    """Scripts, links and settings name the folder they were made in: they get to name dpkg's."""
    python = f"/usr/bin/python3.{sys.version_info.minor}"
    for file in (place / "bin").iterdir():
        if not file.is_symlink():
            file.write_bytes(file.read_bytes().replace(f"{tree}/".encode(), b"/"))
        elif file.readlink().is_absolute():
            file.unlink()
            file.symlink_to(python)
    (place / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nexecutable = {python}\n"
    )
    for cached in place.rglob("__pycache__"):
        shutil.rmtree(cached)


def _files(package: Package, tree: Path, version: str) -> None:
    root = tree / ROOT
    (root / "current").symlink_to(version)
    (root / "bin").symlink_to("current/bin")
    units = tree / "lib/systemd/system"
    units.mkdir(parents=True)
    for unit in package.units:
        shutil.copy(REPOSITORY / f"deploy/systemd/{unit}.service", units)
    programs = tree / "usr/bin"
    programs.mkdir(parents=True)
    for command in package.commands:
        (programs / command).symlink_to(f"/{ROOT}/bin/{command}")
    users = tree / "usr/lib/sysusers.d"
    users.mkdir(parents=True)
    (users / f"{package.name}.conf").write_text(f'u {package.user} - "Fairuse" /nonexistent\n')
    settings, examples = tree / "etc/fairuse", tree / "usr/share/doc" / package.name / "examples"
    settings.mkdir(parents=True)
    examples.mkdir(parents=True)
    for name in package.settings:
        shutil.copy(REPOSITORY / f"config/{name}.toml", examples)
    # Empty is every default. Those that only exist once an operator has something to say are not
    # conffiles.
    for name in package.settings[:2] if package.program == "agent" else package.settings[:1]:
        where = f"/usr/share/doc/{package.name}/examples/{name}.toml"
        told = f"# Every setting with its default: {where}\n"
        (settings / f"{name}.toml").write_text(told)


def _control(package: Package, tree: Path, version: str, machine: str) -> None:
    control = tree / "DEBIAN"
    control.mkdir()
    minor = sys.version_info.minor
    (control / "control").write_text(
        f"Package: {package.name}\nVersion: {version}\nArchitecture: {machine}\n"
        "Maintainer: The Fairuse project <fairuse@example.com>\n"
        "Section: admin\nPriority: optional\n"
        f"Depends: python3 (>= 3.{minor}), python3 (<< 3.{minor + 1}), systemd\n"
        f"Conflicts: {package.other}\n"
        f"Description: {package.summary}\n"
    )
    conffiles = sorted(f"/{path.relative_to(tree)}" for path in (tree / "etc").rglob("*.toml"))
    (control / "conffiles").write_text("".join(f"{path}\n" for path in conffiles))
    for name, text in _scripts(package, version).items():
        script = control / name
        script.write_text(f"#!/bin/sh\nset -e\n{text}")
        script.chmod(0o755)


def _scripts(package: Package, version: str) -> dict[str, str]:
    """An upgrade restarts what runs; the limiter lifts as it stops, so a removal leaves nothing."""
    units, last_first = " ".join(package.units), " ".join(reversed(package.units))
    on_systemd = "[ -d /run/systemd/system ]"
    compiled = f"/{ROOT}/{version}"
    return {
        "postinst": "systemd-sysusers\n"
        f"{compiled}/bin/python -m compileall -q {compiled}/lib\n"
        f"if {on_systemd}; then\n    systemctl daemon-reload\n"
        f"    for unit in {units}; do systemctl try-restart $unit; done\nfi\n",
        "prerm": f'if [ "$1" = remove ] && {on_systemd}; then\n'
        f"    for unit in {last_first}; do systemctl disable --now $unit; done\nfi\n"
        f"find {compiled} -name __pycache__ -prune -exec rm -rf {{}} +\n",
        "postrm": f'if [ "$1" = purge ]; then\n    rm -rf /var/lib/{package.user}'
        + (" /var/lib/fairuse-limiter" if package.program == "agent" else "")
        + f"\nfi\nif {on_systemd}; then systemctl daemon-reload; fi\n",
    }


if __name__ == "__main__":
    main()
