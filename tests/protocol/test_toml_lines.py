"""An error in a settings file names the line, however the file is written."""

from __future__ import annotations

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from controller.fairshare.policy import Policy
from controller.tenants import TenantDirectory
from fairuse_agent.settings import AgentSettings
from fairuse_protocol.settings import SettingsError, parse_settings
from fairuse_protocol.toml_lines import key_lines, nearest_line

FILE = '''\
# a comment with = and [brackets]
name = "a # no comment"
text = """
[not.a.table]
key = 1
"""
raw = \'\'\'
\\"
[[neither]]\'\'\'
list = [  # a comment ]
  "x]", { y = 1 },
]
rule.cpu.waiting = 0.1

[rule.disk]  # [x]
"quoted.key" = 1
'single' = { in = { line = 1 } }

[[tenants]]
cgroup = "a"
[tenants.sub]
deep = 1

[[tenants]]
cgroup = "b"
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 2),
        (("text",), 3),
        (("raw",), 7),
        (("list",), 10),
        (("rule", "cpu"), 13),
        (("rule", "cpu", "waiting"), 13),
        (("rule", "disk"), 15),
        (("rule", "disk", "quoted.key"), 16),
        (("rule", "disk", "single"), 17),
        (("tenants",), 19),
        (("tenants", 0), 19),
        (("tenants", 0, "cgroup"), 20),
        (("tenants", 0, "sub", "deep"), 22),
        (("tenants", 1), 24),
        (("tenants", 1, "cgroup"), 25),
    ],
)
def test_every_way_to_write_a_key_has_its_line(path: tuple[str | int, ...], line: int) -> None:
    assert tomli.loads(FILE)
    assert key_lines(FILE)[path] == line


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("list", 1, "y"), 10),
        (("rule", "disk", "single", "in", "line"), 17),
        (("rule", "net_in", "waiting"), 13),
        (("nowhere",), None),
    ],
)
def test_what_has_no_line_of_its_own_has_that_of_what_it_stands_in(
    path: tuple[str | int, ...], line: int | None
) -> None:
    assert nearest_line(key_lines(FILE), path) == line


@given(st.text(alphabet="ab.[]{}=\"'#\\\n 1,", max_size=60))
def test_the_lines_of_anything_that_parses_are_those_of_its_keys(text: str) -> None:
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError:
        return
    lines = key_lines(text)
    assert {path[0] for path in lines} == set(document)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


@pytest.mark.parametrize(
    ("settings_type", "text", "said"),
    [
        pytest.param(Policy, "\n[rule]\n\nratio = 0.5", ":4: rule.ratio: expected", id="range"),
        pytest.param(Policy, "[rule]\nratioo = 2", ":2: [rule] unknown key", id="unknown key"),
        pytest.param(
            Policy,
            "[rule]\ncpu = { harmed_waiting = 2 }",
            ":2: rule.cpu.harmed_waiting",
            id="inline",
        ),
        pytest.param(Policy, "[severity.low]\nwaiting = 0.1", ":1: severity.low:", id="missing"),
        pytest.param(Policy, "[rule]\n\nratio =", ":3: not valid TOML", id="no TOML"),
        pytest.param(
            AgentSettings,
            '[[tenants]]\ncgroup = "{tenant}"\n[[tenants]]\ncgroup = 3',
            ":4: tenants[1].cgroup:",
            id="array of tables",
        ),
        pytest.param(
            TenantDirectory,
            '[tenants.a]\nplan = "x"\n[tenants.b]\nname = "b"\nplan = 3',
            ":5: tenants.b.plan:",
            id="a mapping's key, which the validator leaves out",
        ),
    ],
)
def test_a_settings_error_names_file_line_and_key(
    settings_type: type, text: str, said: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_settings(text, settings_type, source="some.toml")
    assert str(refused.value).startswith(f"some.toml{said}")
