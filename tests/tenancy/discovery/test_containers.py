"""Docker containers by label, Kubernetes pods by namespace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fairuse_agent.settings import AgentSettings
from fairuse_agent.tenancy.discovery.docker import Docker
from fairuse_agent.tenancy.discovery.kinds import would_claim
from fairuse_agent.tenancy.discovery.kubernetes import Kubernetes, pods_of
from tests.tenancy.discovery.trees import Tree

SHOP = "4f1c9a0b7d3e" + "0" * 52
BLOG = "77aa01d2c3b4" + "1" * 52
UID = "0d4ac2a5-5f0e-4c2f-9c7b-1d9f6e3a2b10"
OTHER = "9b1e6f0a-8d1c-4e1d-8a2f-2c7d5e9f0a11"
STATIC = "0123456789abcdef0123456789abcdef"
"""The kubelet gives pods of its own manifests a hash for a uid."""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "cgroup")


def line(identity: str, name: str, labels: str = "null") -> str:
    return f'{{"Id":"{identity}","Name":"/{name}","Labels":{labels}}}\n'


def test_without_help_a_container_is_known_by_its_id(tree: Tree) -> None:
    tree.make(f"system.slice/docker-{SHOP}.scope", cpu_weight=200)
    tree.make(f"docker/{BLOG}", "docker/buildx", "system.slice/docker.service")
    tree.switch_on(Docker(None, tree.shares))
    assert tree.look() == {
        f"/system.slice/docker-{SHOP}.scope": "4f1c9a0b7d3e",
        f"/docker/{BLOG}": "77aa01d2c3b4",
    }
    assert tree.weight("4f1c9a0b7d3e") == 2


def test_labels_name_the_tenant_and_give_its_weight(tree: Tree, tmp_path: Path) -> None:
    file = tmp_path / "containers"
    labels = '{"fairuse.tenant":"acme","fairuse.weight":"3","com.example":"a,b=c"}'
    file.write_text(line(SHOP, "shop", labels) + line(BLOG, "blog", '{"fairuse.weight":"none"}'))
    tree.make(f"system.slice/docker-{SHOP}.scope", f"system.slice/docker-{BLOG}.scope")
    docker = Docker(file, tree.shares)
    tree.switch_on(docker)
    assert sorted(tree.look().values()) == ["acme", "blog"]
    assert tree.weight("acme") == 3
    assert tree.weight("blog") == 1
    assert "label fairuse.tenant" in tree.owner(f"/system.slice/docker-{SHOP}.scope").why
    assert not docker.notes()


def test_a_container_that_the_file_lacks_is_nobodys_until_it_has_it(
    tree: Tree, tmp_path: Path
) -> None:
    file = tmp_path / "containers"
    file.write_text(line(SHOP, "shop"))
    shop, blog = f"/system.slice/docker-{SHOP}.scope", f"/system.slice/docker-{BLOG}.scope"
    tree.make(shop, blog)
    tree.switch_on(Docker(file, tree.shares))
    assert tree.look() == {shop: "shop"}
    assert f"is not in {file} yet" in tree.ownership.why_not(blog)
    replacement = tmp_path / "new"
    replacement.write_text(line(SHOP, "shop") + line(BLOG, "blog"))
    replacement.replace(file)
    assert tree.look() == {shop: "shop", blog: "blog"}


def test_a_file_that_broke_renames_nobody_and_is_told(tree: Tree, tmp_path: Path) -> None:
    file = tmp_path / "containers"
    file.write_text(line(SHOP, "shop"))
    tree.make(f"docker/{SHOP}")
    docker = Docker(file, tree.shares)
    tree.switch_on(docker)
    tree.look()
    for broken in ("{", None):
        file.unlink()
        if broken is not None:
            file.write_text(broken)
        assert tree.look() == {f"/docker/{SHOP}": "shop"}
        (note,) = docker.notes()
        assert str(file) in note


def test_pods_folders_tell_namespaces_by_uid() -> None:
    assert pods_of([f"shop_web-0_{UID}", f"kube-system_etcd-node1_{STATIC}", "lost+found"]) == {
        UID: ("shop", "web-0"),
        STATIC: ("kube-system", "etcd-node1"),
    }


def test_pods_are_their_namespaces_and_their_requests_add_up(tree: Tree, tmp_path: Path) -> None:
    logs = tmp_path / "pods"
    (logs / f"shop_web-0_{UID}").mkdir(parents=True)
    (logs / f"shop_web-1_{OTHER}").mkdir()
    (logs / f"kube-system_etcd_{STATIC}").mkdir()
    burstable = "kubepods.slice/kubepods-burstable.slice"
    pods = {
        f"/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice": 79,
        f"/{burstable}/kubepods-burstable-pod{OTHER.replace('-', '_')}.slice": 20,
        f"/{burstable}/kubepods-burstable-pod{STATIC}.slice": 10,
    }
    for path, weight in pods.items():
        tree.make(path, f"{path}/cri-containerd-{SHOP}.scope")
        tree.make(path, cpu_weight=weight)
    tree.switch_on(Kubernetes(logs, tree.shares))
    assert list(tree.look().values()) == ["shop", "shop"]
    assert tree.weight("shop") == pytest.approx(0.99)
    assert "kube-system" in tree.ownership.why_not(list(pods)[2])


def test_pods_of_the_cgroupfs_driver_are_found(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / f"pods/blog_php_{UID}").mkdir(parents=True)
    (tmp_path / f"pods/shop_web_{OTHER}").mkdir()
    tree.make(f"kubepods/besteffort/pod{UID}/{SHOP}", f"kubepods/pod{OTHER}/{SHOP}")
    tree.switch_on(Kubernetes(tmp_path / "pods", tree.shares))
    assert sorted(tree.look().values()) == ["blog", "shop"]


def test_a_pod_is_known_once_its_folder_is_there(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "pods").mkdir()
    tree.make(f"kubepods/pod{UID}")
    tree.switch_on(Kubernetes(tmp_path / "pods", tree.shares))
    assert tree.look() == {}
    assert "namespace is not known" in tree.ownership.why_not(f"/kubepods/pod{UID}")
    (tmp_path / f"pods/shop_web_{UID}").mkdir()
    assert tree.look() == {f"/kubepods/pod{UID}": "shop"}


def test_a_pod_whose_folder_never_comes_costs_nothing_after_a_while(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pods").mkdir()
    tree.make(f"kubepods/pod{UID}")
    tree.switch_on(Kubernetes(tmp_path / "pods", tree.shares))
    listed: list[object] = []
    real = os.listdir

    def listdir(path: str) -> list[str]:
        listed.append(path)
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    for _ in range(40):
        tree.look()
    listed.clear()
    tree.look()
    assert tmp_path / "pods" not in listed


def test_pods_without_a_readable_list_have_no_owner_and_a_note_says_so(
    tree: Tree, tmp_path: Path
) -> None:
    tree.make(f"kubepods/pod{UID}")
    kubernetes = Kubernetes(tmp_path / "absent", tree.shares)
    tree.switch_on(kubernetes)
    assert tree.look() == {}
    (note,) = kubernetes.notes()
    assert "pods are not counted" in note
    assert str(tmp_path / "absent") in note


def test_a_kind_that_is_off_is_named_where_it_would_help() -> None:
    on = AgentSettings().discover
    assert would_claim(f"/docker/{SHOP}", on) == "docker"
    assert would_claim("/user.slice/user-1000.slice", on) == "users"
    assert would_claim("/lxc.payload.a", on) == ""
    assert would_claim("/system.slice/ssh.service", on) == ""
