"""Writes the variables' part of deploy/ansible/README.md out of the roles' argument specs.

    python tools/ansible_readme.py           # writes it; make ansible-readme
    python tools/ansible_readme.py --check   # 1 when it is not current

Needs PyYAML.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

COLLECTION = Path(__file__).resolve().parents[1] / "deploy/ansible"
ROLES = ("fairuse_install", "fairuse_agent", "fairuse_controller", "fairuse_gate")
BEGIN, END = "<!-- made by tools/ansible_readme.py -->", "<!-- end -->"
_MARKUP = re.compile(r"\b([VCOP])\(([^()]*)\)")


def main() -> int:
    """Write, or say whether there is something to write."""
    readme = COLLECTION / "README.md"
    found = readme.read_text(encoding="utf-8")
    wanted = with_variables(found)
    if "--check" in sys.argv[1:]:
        return int(found != wanted)
    readme.write_text(wanted, encoding="utf-8")
    return 0


def with_variables(readme: str) -> str:
    """The README with its part between the marks made anew."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{variables()}{END}{after}"


def variables() -> str:
    """A section for each role."""
    parts = []
    for role in ROLES:
        file = COLLECTION / "roles" / role / "meta/argument_specs.yml"
        spec = yaml.safe_load(file.read_text(encoding="utf-8"))["argument_specs"]["main"]
        told = f"{_prose(spec['short_description'])}. {_prose(spec['description'])}"
        parts.append(f"### {role}\n{told}\n")
        parts.append("\n| variable | type | default | |\n| --- | --- | --- | --- |\n")
        parts += [f"| {' | '.join(row)} |\n" for row in _rows("", spec["options"])]
        parts.append("\n")
    return "".join(parts)


def _rows(path: str, options: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for name, option in options.items():
        kind = option["type"]
        if "elements" in option:
            kind += f" of {option['elements']}"
        told = _prose(option["description"])
        if "choices" in option:
            told += " One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + "."
        yield f"`{path}{name}`", kind, _default(option), told.replace("|", "\\|")
        yield from _rows(f"{path}{name}.", option.get("options", {}))


def _default(option: dict[str, Any]) -> str:
    if option.get("required"):
        return "**required**"
    if "default" not in option or option["default"] in ("", [], {}):
        return ""
    return f"`{option['default']}`".replace("|", "\\|")


def _prose(text: str | list[str]) -> str:
    joined = text if isinstance(text, str) else " ".join(text)
    return _MARKUP.sub(lambda found: f"`{found[2].partition('#')[0]}`", joined)


if __name__ == "__main__":
    sys.exit(main())
