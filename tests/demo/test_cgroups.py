from __future__ import annotations

from pathlib import Path

import pytest

from fairuse_cli.demo.cgroups import Hierarchies

HYBRID = """\
30 24 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
33 30 0:29 / /sys/fs/cgroup/blkio rw,nosuid - cgroup cgroup rw,blkio
34 30 0:30 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory
"""


def test_a_hybrid_machine_has_a_group_in_every_hierarchy_of_use_once() -> None:
    found = Hierarchies(HYBRID)
    assert found.groups("birch") == (
        Path("/sys/fs/cgroup/cpu,cpuacct/fairuse-demo/birch"),
        Path("/sys/fs/cgroup/blkio/fairuse-demo/birch"),
        Path("/sys/fs/cgroup/unified/fairuse-demo/birch"),
    )
    assert found.quota_file("birch").name == "cpu.cfs_quota_us"
    assert found.stat_file("birch").parent.parent.parent.name == "unified"
    assert found.lacking() == ""


@pytest.fixture
def unified(tmp_path: Path) -> Hierarchies:
    return Hierarchies(f"31 30 0:27 / {tmp_path} rw - cgroup2 cgroup2 rw\n")


def test_a_unified_machine_has_one_group_a_tenant(unified: Hierarchies, tmp_path: Path) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("cpuset cpu io memory pids\n")
    assert unified.lacking() == ""
    assert unified.groups("birch") == (tmp_path / "fairuse-demo" / "birch",)
    assert unified.quota_file("birch").name == "cpu.max"


def test_a_unified_machine_that_keeps_the_cpu_controller_back_says_what_to_do(
    unified: Hierarchies, tmp_path: Path
) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("memory pids\n")
    assert f"echo +cpu > {tmp_path}/cgroup.subtree_control" in unified.lacking()


def test_without_cgroup2_nobody_can_be_seen_to_wait() -> None:
    v1_only = Hierarchies(HYBRID.replace("cgroup2 cgroup2", "tmpfs tmpfs"))
    assert "no cgroup2 is mounted" in v1_only.lacking()
