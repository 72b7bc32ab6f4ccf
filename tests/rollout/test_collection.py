"""What the collection says of itself is so: variables, settings, README."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from controller.settings import ControllerSettings
from fairuse_agent.limiter.settings import LimiterSettings
from fairuse_agent.settings import AgentSettings
from fairuse_protocol.settings import Settings
from tests.rollout.collection import COLLECTION, defaults, options

ROLES = ("fairuse_install", "fairuse_agent", "fairuse_controller", "fairuse_gate")
# What a role sets by itself, so that an inventory cannot say it a second time.
OWN = {
    "fairuse_agent_settings": {"controller.url", "controller.ca_file", "host.name"},
    "fairuse_controller_settings": {"rings_file", "policies_file"},
}


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_those_that_the_argument_spec_tells(role: str) -> None:
    told = {
        name: option["default"] for name, option in options(role).items() if "default" in option
    }
    assert defaults(role) == told


@pytest.mark.parametrize(
    ("role", "variable", "settings"),
    [
        ("fairuse_agent", "fairuse_agent_settings", AgentSettings),
        ("fairuse_agent", "fairuse_agent_limiter_settings", LimiterSettings),
        ("fairuse_controller", "fairuse_controller_settings", ControllerSettings),
    ],
)
def test_every_setting_of_a_program_can_be_given_with_its_type(
    role: str, variable: str, settings: type[Settings]
) -> None:
    wanted = dict(_settings("", msgspec.inspect.type_info(settings)))
    for path in OWN.get(variable, ()):
        del wanted[path]
    assert dict(_options("", options(role)[variable]["options"])) == wanted


def _options(path: str, told: dict[str, Any]) -> Any:
    for name, option in told.items():
        yield f"{path}{name}", option["type"]
        yield from _options(f"{path}{name}.", option.get("options", {}))


def _settings(path: str, info: Any) -> Any:
    for field in info.fields:
        kind, below = _kind(field.type)
        yield f"{path}{field.encode_name}", kind
        if below is not None:
            yield from _settings(f"{path}{field.encode_name}.", below)


def _kind(info: Any) -> tuple[str, Any]:
    match info:
        case msgspec.inspect.UnionType():
            return _kind(next(t for t in info.types if not isinstance(t, msgspec.inspect.NoneType)))
        case msgspec.inspect.StructType():
            return "dict", info
        case msgspec.inspect.VarTupleType():
            item = info.item_type
            return "list", item if isinstance(item, msgspec.inspect.StructType) else None
        case msgspec.inspect.IntType():
            return "int", None
        case msgspec.inspect.FloatType():
            return "float", None
        case msgspec.inspect.DictType():
            return "dict", None
    return "str", None


def test_the_readme_tells_the_variables_as_they_are() -> None:
    script = COLLECTION.parents[1] / "tools/ansible_readme.py"
    ended = subprocess.run([sys.executable, script, "--check"], check=False)
    assert ended.returncode == 0, "run: make ansible-readme"


_SECRETS = ("smtp_password }}", "token.json", "token.stdout")


def test_no_task_says_a_token_or_a_password_aloud() -> None:
    for file in COLLECTION.glob("roles/*/tasks/*.yml"):
        for task in file.read_text().split("\n- name: ")[1:]:
            for step in task.split("\n    - name: "):
                if any(secret in step for secret in _SECRETS):
                    assert "no_log: true" in step, f"{file.name}: {step.splitlines()[0]}"
