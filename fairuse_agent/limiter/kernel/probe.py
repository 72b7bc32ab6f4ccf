"""Which means of tc this kernel has, tried out in a network namespace that vanishes afterwards.

Run as a program (`python -m fairuse_agent.limiter.kernel.probe`) it makes a namespace of its own,
an IFB in it, and tries there what a limit would do; it prints one JSON object. The namespace dies
with the process, so that even a killed probe leaves nothing, and pyroute2's memory goes with it.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from typing import Literal

import msgspec

from fairuse_agent.limiter.kernel import tcattr

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SCRATCH = "fairuse-probe"
_TRY_RATE, _TRY_BYTES = 1_000_000, 100_000
_SECONDS = 20


class IngressWay(msgspec.Struct, frozen=True, kw_only=True):
    """How packets from a tenant are limited here: an IFB or a policer, behind which filter."""

    police: bool
    classifier: Literal["matchall", "u32"]


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What the kernel can do. A reason (text) stands where a means is missing."""

    shaper: bool = False
    ingress: IngressWay | None = None
    reason: str = ""


def probe() -> Probed:
    """Ask a child process; never raises, because a host without tc can still limit CPU."""
    command = [sys.executable, "-m", "fairuse_agent.limiter.kernel.probe"]
    try:
        done = subprocess.run(  # noqa: S603  # our own module by our own interpreter
            command, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Probed(
            reason=f"unknown: trying tc out took longer than {_SECONDS} s, so nothing is limited"
            " by it; restart fairuse-limiter when this host has less to do"
        )
    except OSError as error:
        return Probed(reason=f"tc could not be probed: {error}")
    try:
        return msgspec.json.decode(done.stdout, type=Probed)
    except msgspec.DecodeError:
        told = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return Probed(reason=f"tc could not be probed: {' '.join(told) or 'no answer'}")


def describe(probed: Probed) -> dict[str, str]:
    """The ways for net-in and net-out, for a person."""
    missing = probed.reason or "none: this kernel has no sch_htb"
    ways = {"net-in": "htb" if probed.shaper else missing, "net-out": missing}
    if probed.ingress is not None:
        means = "police" if probed.ingress.police else "ifb + htb"
        ways["net-out"] = f"{means} behind {probed.ingress.classifier}"
    elif not probed.reason:
        ways["net-out"] = (
            "none: this kernel has neither ifb with act_mirred nor act_police, behind"
            " cls_matchall or cls_u32"
        )
    return ways


def _enter_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) and libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET):
        raise OSError(
            ctypes.get_errno(),
            "a network namespace to try tc in was not given: run with CAP_SYS_ADMIN",
        )


def _try_out() -> Probed:
    from fairuse_agent.limiter.kernel import netlink, shaping  # noqa: PLC0415  # in the child only
    from fairuse_agent.limiter.kernel.knobs import KernelError  # noqa: PLC0415  # as above
    from fairuse_agent.limiter.kernel.traffic import index_of  # noqa: PLC0415  # as above

    def works(kind: str, actions: bytes) -> bool:
        options = tcattr.matchall(actions) if kind == "matchall" else tcattr.u32_all(actions)
        try:
            netlink.replace_filter(loopback, kind, 0, options)
        except KernelError:
            return False
        return True

    loopback = 1
    try:
        netlink.add_ifb(_SCRATCH)
    except KernelError:
        has_ifb, scratch = False, loopback
    else:
        has_ifb, scratch = True, index_of(_SCRATCH)
    try:
        shaping.shape(scratch, _TRY_RATE)
        shaper = True
    except KernelError:
        shaper = False
    try:
        netlink.add_ingress(loopback)
    except KernelError:
        return Probed(shaper=shaper)
    # A policer drops, and TCP keeps well below a rate that drops: it may leave a tenant less than
    # its fair share (promise 3), so it is the last resort.
    for police in (False, True):
        if not police and not (has_ifb and shaper):
            continue
        actions = (
            tcattr.police(_TRY_RATE, _TRY_BYTES, _TRY_BYTES) if police else tcattr.redirect(scratch)
        )
        for kind in ("matchall", "u32"):
            if works(kind, actions):
                way = IngressWay(police=police, classifier=kind)
                return Probed(shaper=shaper, ingress=way)
    return Probed(shaper=shaper)


def main() -> None:
    """The child's part."""
    _enter_namespace()
    sys.stdout.write(json.dumps(msgspec.to_builtins(_try_out())))


if __name__ == "__main__":
    main()
