# Copyright: the Fairuse project. Apache-2.0
"""Which host is in which ring of a rollout, and which step a ring may take next."""

from __future__ import annotations

import math

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: rings
short_description: Hosts divided into the rings of a rollout
version_added: 0.1.0
description:
  - V(canary) is the hosts given, or the first by name. V(one) holds a hundredth of the fleet,
    V(ten) a tenth, V(all) the rest; canaries count, and a ring is never empty while hosts are left.
  - The same hosts give the same rings, whatever their order.
positional: _input
options:
  _input:
    description: Names of all hosts.
    type: list
    elements: str
    required: true
  canary:
    description: Names of the hosts that go first.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show the rings
  ansible.builtin.debug:
    msg: "{{ groups['fairuse_agents'] | fairuse.fairuse.rings(groups['fairuse_canary']) }}"
"""

RETURN = r"""
_value:
  description: Rings by name in their order, each with its hosts.
  type: dict
"""

RINGS = ("canary", "one", "ten", "all")
MODES = ("observe", "contact", "enforce")
_PART = {"one": 0.01, "ten": 0.1, "all": 1.0}


def rings(hosts, canary=()):
    """Each ring's hosts, in the order of the rings; AnsibleFilterError if a canary is no host."""
    fleet = sorted(set(hosts))
    strangers = sorted(set(canary) - set(fleet))
    if strangers:
        raise AnsibleFilterError(
            "rings: expected canaries among the hosts, found %s" % ", ".join(strangers)
        )
    first = sorted(set(canary)) or fleet[:1]
    left = [host for host in fleet if host not in first]
    divided, placed = {"canary": first}, len(first)
    for name in RINGS[1:]:
        wanted = max(1, math.ceil(_PART[name] * len(fleet)) - placed)
        if name == "all":
            wanted = len(left)
        divided[name], left = left[:wanted], left[wanted:]
        placed += len(divided[name])
    return divided


def next_rings(current, ring, mode, divided):
    """The whole of rings.toml once `ring` is in `mode`, from what is in force.

    Raises AnsibleFilterError when a ring would overtake an earlier one, or skip a mode. Going back
    is always allowed; later rings go back with it.
    """
    if ring not in RINGS or mode not in MODES:
        raise AnsibleFilterError(
            "expected a ring of %s and a mode of %s, found ring %r and mode %r"
            % (", ".join(RINGS), ", ".join(MODES), ring, mode)
        )
    modes = dict.fromkeys(RINGS, "observe")
    modes.update({entry["name"]: entry["mode"] for entry in current if entry["name"] in modes})
    wanted, place = MODES.index(mode), RINGS.index(ring)
    if wanted > MODES.index(modes[ring]) + 1:
        raise AnsibleFilterError(
            "ring %s is at %s: contact comes before enforce; go to contact first"
            % (ring, modes[ring])
        )
    for earlier in RINGS[:place]:
        if MODES.index(modes[earlier]) < wanted and divided[earlier]:
            raise AnsibleFilterError(
                "ring %s cannot go to %s before ring %s, which is at %s"
                % (ring, mode, earlier, modes[earlier])
            )
    modes[ring] = mode
    for later in RINGS[place + 1 :]:
        modes[later] = MODES[min(wanted, MODES.index(modes[later]))]
    listed = [{"name": name, "mode": modes[name], "hosts": divided[name]} for name in RINGS]
    # Hosts that the inventory does not know yet are watched only.
    return {"ring": listed + [{"name": "unknown", "mode": "observe", "hosts": ["*"]}]}


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """By the names that playbooks use."""
        return {"rings": rings, "next_rings": next_rings}
