"""The package that installs itself, with a wheel of nothing and the real pip."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.wheelhouse import install
from tools.wheelhouse.__main__ import tag

_METADATA = "Metadata-Version: 2.1\nName: fairuse\nVersion: 9.9.9\nProvides-Extra: agent\n"
_WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As tools/wheelhouse makes it, but small."""
    folder = tmp_path_factory.mktemp("package")
    wheel = folder / "fairuse-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("fairuse_nothing.py", "")
        archive.writestr("fairuse-9.9.9.dist-info/METADATA", _METADATA)
        archive.writestr("fairuse-9.9.9.dist-info/WHEEL", _WHEEL)
        archive.writestr("fairuse-9.9.9.dist-info/RECORD", "")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "download", "--no-deps", "--dest", folder, "pip"], check=True)
    (pip_wheel,) = folder.glob("pip-*.whl")
    target = folder / "fairuse.pyz"
    manifest = {"program": "agent", "version": "9.9.9", "tag": tag(), "extras": "agent"}
    with zipfile.ZipFile(target, "w") as archive:
        archive.write(Path(install.__file__), "__main__.py")
        archive.writestr("manifest.json", json.dumps(manifest))
        for file in (wheel, pip_wheel):
            archive.write(file, f"wheels/{file.name}")
    return target


def run(package: Path, root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, package, "--root", root]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_makes_a_folder_of_its_version_and_a_second_time_nothing(
    package: Path, tmp_path: Path
) -> None:
    assert run(package, tmp_path).returncode == 0
    place = tmp_path / "9.9.9"
    assert (place / ".installed-agent").exists()
    assert list(place.glob("lib/*/site-packages/fairuse_nothing.py"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["9.9.9"], "nothing lies about"
    changed_at = place.stat().st_mtime_ns
    assert run(package, tmp_path).returncode == 0
    assert place.stat().st_mtime_ns == changed_at


def test_what_was_cut_off_is_made_anew(package: Path, tmp_path: Path) -> None:
    half = tmp_path / "9.9.9/bin"
    half.mkdir(parents=True)
    (half / "python").write_text("half a file")
    assert run(package, tmp_path).returncode == 0
    assert (tmp_path / "9.9.9/.installed-agent").exists()


def test_another_python_or_machine_is_refused_by_name() -> None:
    with pytest.raises(install.NotInstalledError, match=r"cp313-aarch64; found cp311-x86_64"):
        install.require_matching("cp313-aarch64", "cp311-x86_64")
