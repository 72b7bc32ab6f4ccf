"""The collection's Python, loaded as it stands. Ansible itself is not in the product's environment:
of it, the plugins need one exception here."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import yaml

COLLECTION = Path(__file__).parents[2] / "deploy/ansible"


class AnsibleFilterError(Exception):
    """Stands for Ansible's own."""


def plugin(kind: str, name: str) -> Any:
    """One plugin's module."""
    errors, basic = types.ModuleType("ansible.errors"), types.ModuleType("basic")
    errors.AnsibleFilterError = AnsibleFilterError  # type: ignore[attr-defined]  # made here
    basic.AnsibleModule = None  # type: ignore[attr-defined]  # only main() needs it
    stood_in = {
        "ansible": types.ModuleType("ansible"),
        "ansible.errors": errors,
        "ansible.module_utils": types.ModuleType("module_utils"),
        "ansible.module_utils.basic": basic,
    }
    file = COLLECTION / "plugins" / kind / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    before = {key: sys.modules[key] for key in stood_in if key in sys.modules}
    sys.modules.update(stood_in)
    try:
        spec.loader.exec_module(module)
    finally:
        for key in stood_in:
            del sys.modules[key]
        sys.modules.update(before)
    return module


def options(role: str) -> dict[str, Any]:
    """The variables of a role, as its argument spec says them."""
    file = COLLECTION / "roles" / role / "meta/argument_specs.yml"
    found: dict[str, Any] = yaml.safe_load(file.read_text())["argument_specs"]["main"]["options"]
    return found


def defaults(role: str) -> dict[str, Any]:
    """The variables of a role that have a default."""
    file = COLLECTION / "roles" / role / "defaults/main.yml"
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found
