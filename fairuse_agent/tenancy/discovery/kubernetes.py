"""Kubernetes pods by namespace, on a node.

A pod's cgroup is named by the pod's uid alone. The kubelet keeps a folder of logs for each pod,
`/var/log/pods/NAMESPACE_POD_UID`, from before its first container starts until it is gone; that
list is the one source that needs neither credentials nor the container runtime's socket. Where
it is not readable, pods have no owner, and a note says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from fairuse_agent.tenancy.discovery.kind import Finding, Kind
from fairuse_agent.tenancy.discovery.shares import CpuShares

_LOOKS = 30
"""For how many rounds a pod without a folder of logs is waited for."""


class Kubernetes(Kind):
    """The tenant is the namespace. A pod's weight is its CPU shares, which the kubelet sets from
    its CPU requests; a namespace's is the sum of its pods'."""

    name = "kubernetes"
    places = (
        "/kubepods.slice/kubepods-pod{tenant}.slice",
        "/kubepods.slice/kubepods-*.slice/kubepods-*-pod{tenant}.slice",
        "/kubepods/pod{tenant}",
        "/kubepods/*/pod{tenant}",
    )
    unknown = "the pod's namespace is not known"

    def __init__(self, pod_logs: Path, shares: CpuShares) -> None:
        """`pod_logs` is the kubelet's /var/log/pods."""
        super().__init__()
        self._pod_logs = pod_logs
        self._shares = shares
        self._pods: dict[str, tuple[str, str]] = {}
        self._missing: dict[str, int] = {}
        self._trouble = ""

    def of_cgroup(self, path: str) -> Finding | None:
        """A pod's namespace, as soon as the kubelet has named it."""
        uid = self._captured(path)
        if uid is None:
            return None
        uid = uid.replace("_", "-")
        if uid not in self._pods:
            self._list()
        if uid not in self._pods:
            self._missing[uid] = _LOOKS
            return None
        namespace, pod = self._pods[uid]
        weight, why = self._shares.weight(path)
        return Finding(namespace, weight, f"pod {pod} in namespace {namespace}; {why}")

    def look(self) -> bool:
        """While a pod's namespace is unknown its folder may come; one whose never does is asked
        about no more."""
        if not self._missing:
            return False
        self._list()
        if any(uid in self._pods for uid in self._missing):
            self._missing.clear()  # All are asked about again.
            return True
        self._missing = {uid: more for uid, left in self._missing.items() if (more := left - 1)}
        return False

    def notes(self) -> Sequence[str]:
        """Tells when the list of pods cannot be read."""
        if self._trouble:
            return (f"kubernetes: pods are not counted, their namespaces are in {self._trouble}",)
        return ()

    def _list(self) -> None:
        try:
            self._pods = pods_of(os.listdir(self._pod_logs))  # noqa: PTH208 (names only)
            self._trouble = ""
        except OSError as error:
            self._trouble = f"{self._pod_logs}: {error.strerror}"


def pods_of(folders: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Namespace and name by uid, from folder names; "_" stands in neither of the three."""
    pods = {}
    for folder in folders:
        parts = folder.split("_")
        if len(parts) == 3:
            namespace, pod, uid = parts
            pods[uid] = (namespace, pod)
    return pods
