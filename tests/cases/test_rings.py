"""Rings: the same host and tenants, further or less far."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.cases.rings import Modes
from fairuse_protocol.settings import SettingsError

CANARY = '[[ring]]\nname = "canary"\nmode = "{mode}"\nhosts = ["node-1"]\n'
REST = '[[ring]]\nname = "all"\nmode = "observe"\nhosts = ["*"]\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rings.toml"
    path.write_text(CANARY.format(mode="contact") + REST)
    return path


def test_a_host_goes_as_far_as_the_first_ring_that_it_fits(file: Path) -> None:
    modes = Modes("enforce", file)
    assert modes.on("node-1") == "contact"
    assert modes.on("node-2") == "observe"


def test_no_ring_goes_further_than_the_controller(file: Path) -> None:
    assert Modes("observe", file).on("node-1") == "observe"


def test_a_host_in_no_ring_has_the_controllers_mode(tmp_path: Path) -> None:
    file = tmp_path / "rings.toml"
    file.write_text(CANARY.format(mode="observe"))
    assert Modes("contact", file).on("node-2") == "contact"
    assert Modes("enforce").on("node-1") == "enforce"


def test_a_change_is_in_force_after_the_next_look_and_a_bad_one_changes_nothing(file: Path) -> None:
    modes = Modes("enforce", file)
    assert modes.on("node-1") == "contact"
    file.write_text(CANARY.format(mode="enforce") + REST)
    modes.refresh()
    assert modes.on("node-1") == "enforce"
    file.write_text(CANARY.format(mode="everything"))
    modes.refresh()
    assert modes.on("node-1") == "enforce"
    assert "mode" in modes.problem


def test_a_name_twice_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "rings.toml"
    file.write_text(CANARY.format(mode="contact") * 2)
    with pytest.raises(SettingsError, match="each name once"):
        Modes("enforce", file)
