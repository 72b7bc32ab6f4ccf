# Copyright: the Fairuse project. Apache-2.0
"""Settings of the inventory as TOML."""

from __future__ import annotations

import json
import re

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: to_toml
short_description: Settings as a TOML document
version_added: 0.1.0
description:
  - Writes a mapping as TOML. Nested mappings become tables, lists of mappings arrays of tables.
  - Keys whose value is null are left out, so that the program's own default applies.
positional: _input
options:
  _input:
    description: The settings.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write the settings of the agent
  ansible.builtin.copy:
    content: "{{ settings | fairuse.fairuse.to_toml }}"
    dest: /etc/fairuse/agent.toml
"""

RETURN = r"""
_value:
  description: The document.
  type: str
"""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(settings):
    """The document, keys in their order; AnsibleFilterError names what TOML cannot hold."""
    if not isinstance(settings, dict):
        raise AnsibleFilterError("to_toml: expected a mapping, found %r" % (settings,))
    return "\n".join(_table(settings, [])) + "\n"


def _table(table, path):
    """Lines of one table: plain values first, since whatever follows a header belongs to it."""
    lines, below = [], []
    for key, value in table.items():
        here = path + [_key(key)]
        if value is None:
            continue
        if isinstance(value, dict):
            below += ["", "[%s]" % ".".join(here)] + _table(value, here)
        elif isinstance(value, (list, tuple)) and value and all(isinstance(v, dict) for v in value):
            for entry in value:
                below += ["", "[[%s]]" % ".".join(here)] + _table(entry, here)
        else:
            lines.append("%s = %s" % (_key(key), _value(value, here)))
    return lines + below


def _key(key):
    return key if _BARE_KEY.fullmatch(str(key)) else json.dumps(str(key))


def _value(value, path):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        # A basic string of TOML escapes as JSON does. A copy: Ansible's own strings are tagged.
        return json.dumps("".join(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join(_value(entry, path) for entry in value)
    raise AnsibleFilterError(
        "to_toml: %s: expected text, a number, true or false, a list or a mapping, found %r"
        % (".".join(path), value)
    )


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """By the names that playbooks use."""
        return {"to_toml": to_toml}
