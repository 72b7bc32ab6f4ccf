#!/usr/bin/python
# Copyright: the Fairuse project. Apache-2.0
"""What a host lacks to be watched and limited, before anything is changed there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: survey
short_description: Says what a host lacks for Fairuse
version_added: 0.1.0
description:
  - Looks at Python, the init system, the cgroup mode, pressure figures (PSI) and tc's modules.
  - Changes nothing, in check mode or out of it.
author: The Fairuse project (@fairuse)
options:
  python:
    description: The interpreter that the programs will run with, by path or by name on the PATH.
    type: str
    required: true
  limits:
    description: Whether the host is to limit tenants, not only to run a controller.
    type: bool
    default: true
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
"""

EXAMPLES = r"""
- name: Look before anything is changed
  fairuse.fairuse.survey:
    python: /usr/bin/python3.11
  register: found
"""

RETURN = r"""
lacks:
  description: What is missing, each with what that costs and how to mend it.
  returned: always
  type: list
  elements: dict
  sample:
    - name: psi
      found: no /proc/pressure/cpu
      costs: waiting is judged by the scheduler's run delay alone, and disk waiting not at all
      mend: boot with psi=1
tag:
  description: The Python and machine that wheels have to be for.
  returned: when the interpreter answers
  type: str
  sample: cp311-x86_64
cgroups:
  description: V(v2), V(hybrid), V(v1) or V(none).
  returned: always
  type: str
  sample: v2
"""

import os
import re

from ansible.module_utils.basic import AnsibleModule

TC_MODULES = ("sch_htb", "sch_ingress", "act_mirred", "ifb")
_ASK_PYTHON = "import sys, platform; print(*sys.version_info[:2], platform.machine())"


def lack(name, found, costs, mend):
    """One thing that is missing; `name` is what an inventory accepts it by."""
    return {"name": name, "found": found, "costs": costs, "mend": mend}


def python_lacks(version, interpreter):
    """`version` is None when the interpreter does not answer."""
    if version is not None and version >= (3, 11):
        return []
    found = "no answer" if version is None else "%d.%d" % version
    return [
        lack(
            "python",
            "%s: %s" % (interpreter, found),
            "nothing can be installed",
            "install Python 3.11 or newer (Debian 12: python3; EL 8 and 9, Ubuntu 22.04: "
            "python3.11) and set fairuse_install_python",
        )
    ]


def cgroup_mode(filesystem, controllers, v1):
    """From what is mounted at /sys/fs/cgroup, its v2 controllers, and v1's if there are any."""
    if filesystem == "cgroup2" and "cpu" in controllers:
        return "v2"
    if v1:
        return "hybrid" if filesystem == "hybrid" else "v1"
    return "none"


def cgroup_lacks(mode):
    """v1 works with less, so it is the operator's choice."""
    if mode == "v2":
        return []
    if mode == "none":
        return [
            lack(
                "cgroups",
                "no cgroup hierarchy with cpu",
                "nothing can be measured by tenant",
                "boot with systemd.unified_cgroup_hierarchy=1",
            )
        ]
    return [
        lack(
            "cgroup-v2",
            "cgroup mode %s" % mode,
            "no pressure figures by tenant, and no disk limits of systemd's units",
            "boot with systemd.unified_cgroup_hierarchy=1 (it changes the host's containers too)",
        )
    ]


def psi_lacks(pressure_file_readable, built_in):
    """The file is there but unreadable when PSI is compiled in and switched off."""
    if pressure_file_readable:
        return []
    mend = (
        "boot with psi=1 on the kernel's command line (GRUB_CMDLINE_LINUX in /etc/default/grub, "
        "then update-grub or grub2-mkconfig, then reboot)"
    )
    if not built_in:
        mend = "a kernel with CONFIG_PSI: Debian's, Ubuntu's and EL's have it; " + mend
    return [
        lack(
            "psi",
            "/proc/pressure/cpu cannot be read",
            "waiting is judged by the scheduler's run delay, and waiting for disks not at all",
            mend,
        )
    ]


def tc_lacks(missing, kernel):
    """The modules that no limit of the network works without."""
    if not missing:
        return []
    return [
        lack(
            "tc",
            "kernel %s lacks %s" % (kernel, ", ".join(missing)),
            "network use cannot be limited here, or in one direction only",
            "install the kernel's further modules (EL: kernel-modules-extra; Ubuntu: "
            "linux-modules-extra-%s) and reboot into that kernel" % kernel,
        )
    ]


def modules_of(listings):
    """Names of modules out of modules.dep and modules.builtin, with _ for -."""
    names = set()
    for listing in listings:
        for line in listing.splitlines():
            file = os.path.basename(line.split(":")[0])
            names.add(re.sub(r"\.ko.*$", "", file).replace("-", "_"))
    return names


def _read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def _filesystem():
    for line in (_read("/proc/self/mounts") or "").splitlines():
        words = line.split()
        if words[1] == "/sys/fs/cgroup":
            unified = os.path.isdir("/sys/fs/cgroup/unified")
            return "hybrid" if words[2] == "tmpfs" and unified else words[2]
    return ""


def _missing_tc(kernel):
    folder = "/lib/modules/%s" % kernel
    known = modules_of(
        text
        for text in (_read(folder + "/modules.dep"), _read(folder + "/modules.builtin"))
        if text
    )
    return [
        name
        for name in TC_MODULES
        if name not in known and not os.path.isdir("/sys/module/%s" % name)
    ]


def main():
    """Look, and answer."""
    module = AnsibleModule(
        argument_spec={
            "python": {"type": "str", "required": True},
            "limits": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    interpreter = module.params["python"]
    words = []
    if module.get_bin_path(interpreter):
        status, answer, said = module.run_command([interpreter, "-c", _ASK_PYTHON])
        words = answer.split() if status == 0 else []
    version = (int(words[0]), int(words[1])) if words else None
    kernel = os.uname()[2]
    controllers = (_read("/sys/fs/cgroup/cgroup.controllers") or "").split()
    v1 = os.path.isdir("/sys/fs/cgroup/cpu") or os.path.isdir("/sys/fs/cgroup/cpu,cpuacct")
    mode = cgroup_mode(_filesystem(), controllers, v1)
    lacks = python_lacks(version, interpreter)
    if not os.path.isdir("/run/systemd/system"):
        lacks.append(
            lack("systemd", "another init", "the programs cannot be started", "a host with systemd")
        )
    if module.params["limits"]:
        lacks += cgroup_lacks(mode)
        readable = _read("/proc/pressure/cpu") is not None
        lacks += psi_lacks(readable, os.path.exists("/proc/pressure"))
        lacks += tc_lacks(_missing_tc(kernel), kernel)
    result = {"changed": False, "lacks": lacks, "cgroups": mode}
    if words:
        result["tag"] = "cp%s%s-%s" % tuple(words)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
