"""The package that installs itself, with a wheel of nothing and the real pip."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.wheelhouse import install
from tools.wheelhouse.__main__ import install_into, pack

_NAME = "fairuse-9.9.9"
_FILES = {
    "fairuse_nothing.py": 'def main():\n    print("nothing is done")\n',
    f"{_NAME}.data/data/share/fairuse/note": "a file that comes along\n",
    f"{_NAME}.dist-info/METADATA": "Metadata-Version: 2.1\nName: fairuse\nVersion: 9.9.9\n",
    f"{_NAME}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
    "Tag: py3-none-any\n",
    f"{_NAME}.dist-info/entry_points.txt": "[console_scripts]\nnothing = fairuse_nothing:main\n",
    f"{_NAME}.dist-info/RECORD": "",
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    wheel = folder / f"{_NAME}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in _FILES.items():
            archive.writestr(name, text)
    environment = folder / "environment"
    install_into(environment, str(wheel))
    return environment


@pytest.fixture(scope="module")
def package(environment: Path) -> Path:
    """As tools/wheelhouse makes it, but small."""
    return pack(environment, "agent", "9.9.9", environment.parent)


def run(package: Path, root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(package), "--root", str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_makes_a_folder_of_its_version_and_a_second_time_nothing(
    package: Path, tmp_path: Path
) -> None:
    assert run(package, tmp_path).returncode == 0
    place = tmp_path / "9.9.9"
    assert (place / ".installed-agent").exists()
    assert (place / "share/fairuse/note").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["9.9.9"], "nothing lies about"
    changed_at = place.stat().st_mtime_ns
    assert run(package, tmp_path).returncode == 0
    assert place.stat().st_mtime_ns == changed_at


def test_its_programs_run_from_there_with_bytecode_that_came_along(
    package: Path, tmp_path: Path
) -> None:
    run(package, tmp_path)
    program = tmp_path / "9.9.9/bin/nothing"
    told = subprocess.run([program], capture_output=True, text=True, check=True)
    assert told.stdout == "nothing is done\n"
    assert program.read_text().startswith(f"#!{tmp_path}/9.9.9/bin/python\n")
    (bytecode,) = (tmp_path / "9.9.9").glob("lib/*/site-packages/__pycache__/fairuse_nothing.*")
    unchecked_hash = 1
    assert bytecode.read_bytes()[4] == unchecked_hash


def test_a_file_that_the_other_program_has_open_is_left_alone(
    package: Path, tmp_path: Path
) -> None:
    run(package, tmp_path)
    place = tmp_path / "9.9.9"
    (place / ".installed-agent").rename(place / ".installed-controller")
    (module,) = place.glob("lib/*/site-packages/fairuse_nothing.py")
    before = module.stat().st_ino
    assert run(package, tmp_path).returncode == 0
    assert module.stat().st_ino == before
    assert len(list(place.glob(".installed-*"))) == 2


def test_the_next_version_shares_the_files_that_did_not_change(
    package: Path, environment: Path, tmp_path: Path
) -> None:
    run(package, tmp_path)
    note = environment / "share/fairuse/note"
    note.write_text("another file that comes along\n")
    run(pack(environment, "agent", "9.9.10", tmp_path), tmp_path)
    (old,) = (tmp_path / "9.9.9").glob("lib/*/site-packages/fairuse_nothing.py")
    assert (tmp_path / "9.9.10" / old.relative_to(tmp_path / "9.9.9")).samefile(old)
    assert (tmp_path / "9.9.10/share/fairuse/note").read_text() == note.read_text()
    program = (tmp_path / "9.9.10/bin/nothing").read_text()
    assert program.startswith(f"#!{tmp_path}/9.9.10/bin/python\n")


def test_what_was_cut_off_is_made_anew(package: Path, tmp_path: Path) -> None:
    half = tmp_path / "9.9.9/bin"
    half.mkdir(parents=True)
    (half / "python").write_text("half a file")
    assert run(package, tmp_path).returncode == 0
    assert (tmp_path / "9.9.9/.installed-agent").exists()


def test_another_python_or_machine_is_refused_by_name() -> None:
    with pytest.raises(install.NotInstalledError, match=r"cp313-aarch64; found cp311-x86_64"):
        install.require_matching("cp313-aarch64", "cp311-x86_64")
