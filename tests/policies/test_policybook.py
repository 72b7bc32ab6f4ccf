"""Policies are changed without a restart; a bad new file leaves the old one in force."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from controller.cases.policybook import PolicyBook
from controller.contact.directory import ContactDirectory
from fairuse_protocol.settings import SettingsError

SELECTION = """\
files = ["a.toml", "b.toml"]
default = "a"
[[for]]
policy = "b"
plans = ["gold"]
"""


class Files:
    """policies.toml with two policies, tenants.toml, and the book that reads them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.write("policies.toml", SELECTION)
        self.write("a.toml", 'name = "a"\n')
        self.write("b.toml", 'name = "b"\n')
        self.write("tenants.toml", '[tenants.web42]\nplan = "gold"\n')
        self.contacts = ContactDirectory(directory / "tenants.toml")
        self.book = self.read()

    def read(self) -> PolicyBook:
        return PolicyBook(self.directory / "policies.toml", self.contacts.plan_of, lambda: 1e9)

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_the_plan_that_tenants_toml_gives_chooses_the_policy(files: Files) -> None:
    assert files.book.policy_for("web42", "h1").name == "b"
    assert files.book.policy_for("web1", "h1").name == "a"


def test_a_plan_that_changes_changes_the_policy(files: Files) -> None:
    files.write("tenants.toml", "")
    files.contacts.refresh()
    assert files.book.policy_for("web42", "h1").name == "a"


def test_a_changed_policy_is_in_force_after_a_refresh_and_the_others_are_the_same_objects(
    files: Files,
) -> None:
    a, b = files.book.policy_for("web1", "h1"), files.book.policy_for("web42", "h1")
    files.write("b.toml", 'name = "b"\n[rule]\nratio = 3.0\n')
    assert files.book.policy_for("web42", "h1") is b
    files.book.refresh()
    assert files.book.policy_for("web42", "h1").rule.ratio == 3
    assert files.book.policy_for("web1", "h1") is a
    assert files.book.problem == ""


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("b.toml", 'name = "b"\n[limit]\nlease = "3h"\n', "b.toml:3: limit.lease"),
        ("b.toml", 'name = "a"\n', "policies.toml:1: files[1]: expected one file a version"),
        ("policies.toml", SELECTION.replace('"b"', '"c"'), "policies.toml:4: for[0].policy"),
        ("policies.toml", SELECTION.replace("b.toml", "c.toml"), "c.toml: cannot be read"),
    ],
)
def test_a_bad_change_leaves_everything_in_force_is_logged_once_and_stands_in_problem(
    files: Files, caplog: pytest.LogCaptureFixture, name: str, text: str, said: str
) -> None:
    before = files.book.policy_for("web42", "h1")
    good = (files.directory / name).read_text()
    files.write("a.toml", 'name = "a"\n[rule]\nratio = 5.0\n')
    files.write(name, text)
    with caplog.at_level(logging.ERROR):
        files.book.refresh()
        files.book.refresh()
    assert files.book.policy_for("web42", "h1") is before
    assert files.book.policy_for("web1", "h1").rule.ratio == 2
    assert said in files.book.problem
    assert "the policies read before stay in force" in files.book.problem
    assert len(caplog.records) == 1
    files.write(name, good)
    files.book.refresh()
    assert files.book.problem == ""
    assert files.book.policy_for("web1", "h1").rule.ratio == 5


def test_a_file_that_was_missing_is_taken_when_it_comes(files: Files) -> None:
    files.write("policies.toml", SELECTION.replace("b.toml", "c.toml"))
    files.book.refresh()
    assert "c.toml" in files.book.problem
    files.write("c.toml", 'name = "b"\n[rule]\nratio = 4.0\n')
    files.book.refresh()
    assert files.book.policy_for("web42", "h1").rule.ratio == 4


def test_a_bad_file_stops_the_start(files: Files) -> None:
    files.write("a.toml", "name = 3\n")
    with pytest.raises(SettingsError, match=r"a\.toml:1: name"):
        files.read()


def test_the_shipped_selection_is_the_built_in_one() -> None:
    shipped = PolicyBook(Path("config/policies.toml"), lambda tenant: "", lambda: 1e9)
    built_in = PolicyBook(None, lambda tenant: "", lambda: 1e9)
    assert shipped.policies() == built_in.policies()
