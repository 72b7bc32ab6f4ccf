"""libvirt's domains: what XML says, what scopes say without it, and what waits for what."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairuse_agent.tenancy.discovery.domain_xml import Domain, DomainXmlError, parse_domain
from fairuse_agent.tenancy.discovery.libvirt import Libvirt
from fairuse_agent.tenancy.discovery.libvirt_watch import LibvirtWatch
from tests.tenancy.discovery.domains import PROJECT, domain_xml, nova
from tests.tenancy.discovery.trees import Tree

WEB = r"/machine.slice/machine-qemu\x2d3\x2dweb\x2d1.scope"
DB = r"/machine.slice/machine-prod.slice/machine-qemu\x2d4\x2ddb.scope"
TAP, OTHER_TAP = "tap4f1c2d3e-0b", "vnet7"


class Told(LibvirtWatch):
    """A watch that knows what the test says, and asks nobody. That the real one learns the same
    from libvirt is `test_libvirt_watch`'s part."""

    def __init__(self, *domains: str, answered: bool = True) -> None:
        super().__init__()
        self.starts = 0
        self.problem = ""
        self.answered = answered
        self.tell(*domains)

    def tell(self, *domains: str) -> None:
        self.domains = {found.id: found for found in map(parse_domain, domains)}

    def start(self, patience_seconds: float = 0.0) -> None:
        self.starts += 1

    def trouble(self) -> str:
        return self.problem


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "cgroup")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_domain_of_nova_tells_its_project_and_its_user(version: str) -> None:
    xml = domain_xml("instance-0000002a", metadata=nova(version=version), interfaces=(TAP,))
    assert parse_domain(xml) == Domain(
        id=3,
        uuid="c7a5fdbd-cdaf-9455-926a-d65c16db1809",
        name="instance-0000002a",
        vcpus=2,
        interfaces=(TAP,),
        project=PROJECT,
        project_name="acme",
        user="anna",
    )


def test_metadata_of_others_is_no_project() -> None:
    other = (
        '<metadata><a:instance xmlns:a="http://example.net/a"><a:owner/></a:instance></metadata>'
    )
    found = parse_domain(domain_xml("web", metadata=other))
    assert (found.project, found.user) == ("", "")


@pytest.mark.parametrize(
    ("vcpu", "count"),
    [
        ('<vcpu placement="static">4</vcpu>', 4),
        ('<vcpu placement="static" current="2">16</vcpu>', 2),
        ("<vcpu>1</vcpu>", 1),
        ("", 1),
    ],
)
def test_the_vcpus_that_count_are_those_plugged_in(vcpu: str, count: int) -> None:
    assert parse_domain(domain_xml("web", vcpu=vcpu)).vcpus == count


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<domain", "expected a domain's XML"),
        ("<network/>", "found <network"),
        (domain_xml("off", number=None), "expected a running <domain"),
    ],
)
def test_what_is_no_running_domain_is_refused_by_name(xml: str, message: str) -> None:
    with pytest.raises(DomainXmlError, match=message):
        parse_domain(xml)


def test_domains_are_tenants_by_name_and_projects_guests_add_up(tree: Tree) -> None:
    watch = Told(
        domain_xml("web-1", metadata=nova(), interfaces=(TAP,)),
        domain_xml("db", number=4, metadata=nova(), vcpu="<vcpu>4</vcpu>"),
        domain_xml("plain", number=5, interfaces=(OTHER_TAP,)),
    )
    plain = r"/machine.slice/machine-qemu\x2d5\x2dplain.scope"
    tree.make(f"{WEB}/libvirt/vcpu0", DB, plain)
    tree.switch_on(Libvirt((tree.root,), watch))
    assert tree.look() == {WEB: PROJECT, DB: PROJECT, plain: "plain"}
    assert tree.weight(PROJECT) == 6
    assert tree.owner(WEB).why == "project acme of user anna, domain web-1; 2 vCPUs"
    for name, tenant in ((TAP, PROJECT), (OTHER_TAP, "plain"), ("qvo4f1c2d3e-0b", None)):
        owner = tree.ownership.owner_of_interface(name)
        assert (owner.tenant if owner else None) == tenant


def test_the_number_tells_whose_a_scope_is_where_its_name_was_cut(tree: Tree) -> None:
    cut = r"/machine.slice/machine-qemu\x2d7\x2da\x2dvery\x2dlong\x2dna.scope"
    tree.make(cut)
    tree.switch_on(Libvirt((tree.root,), Told(domain_xml("a-very-long-name-of-a-vm", number=7))))
    assert tree.look() == {cut: "a-very-long-name-of-a-vm"}


def test_a_guest_is_nobodys_until_libvirt_has_told_whose_it_is(tree: Tree) -> None:
    watch = Told()
    tree.make(WEB)
    tree.switch_on(Libvirt((tree.root,), watch))
    assert tree.look() == {}
    assert "libvirt has told of no such domain" in tree.ownership.why_not(WEB)
    watch.tell(domain_xml("web-1", metadata=nova()))
    assert tree.look() == {WEB: PROJECT}


def test_without_libvirt_scopes_names_and_vcpu_cgroups_are_what_there_is(tree: Tree) -> None:
    watch = Told(answered=False)
    watch.problem = "libvirt does not answer: no socket"
    older = "/machine/qemu-9-old-one.libvirt-qemu"
    tree.make(f"{WEB}/libvirt/vcpu0", f"{WEB}/libvirt/vcpu1", f"{WEB}/libvirt/emulator")
    tree.make(f"{older}/vcpu0", DB)
    libvirt = Libvirt((tree.root,), watch)
    tree.switch_on(libvirt)
    assert tree.look() == {WEB: "web-1", DB: "db", older: "old-one"}
    assert [tree.weight(name) for name in ("web-1", "db", "old-one")] == [2, 1, 1]
    (note,) = libvirt.notes()
    assert "named by their scopes, no interface is known to be theirs" in note
    assert "no socket" in note
    watch.problem, watch.answered = "", True
    watch.tell(domain_xml("web-1", metadata=nova()))
    assert tree.look() == {WEB: PROJECT}, "what it does not list is not running"
    assert not libvirt.notes()


def test_while_libvirt_may_still_answer_no_name_is_made_up(tree: Tree) -> None:
    watch = Told(answered=False)
    tree.make(WEB)
    tree.switch_on(Libvirt((tree.root,), watch))
    assert tree.look() == {}
    watch.problem = "libvirt has not answered for 10 s"
    assert tree.look() == {WEB: "web-1"}


def test_what_libvirt_told_holds_while_it_restarts(tree: Tree) -> None:
    watch = Told(domain_xml("web-1"))
    tree.make(WEB)
    libvirt = Libvirt((tree.root,), watch)
    tree.switch_on(libvirt)
    watch.problem = "libvirt closed the connection"
    assert tree.look() == {WEB: "web-1"}
    (note,) = libvirt.notes()
    assert "domains are as last told" in note


def test_a_host_without_guests_never_asks_libvirt(tree: Tree) -> None:
    watch = Told()
    watch.problem = "not installed"
    tree.make("machine.slice/systemd-nspawn@web.service")
    libvirt = Libvirt((tree.root,), watch)
    tree.switch_on(libvirt)
    assert tree.look() == {}
    assert (watch.starts, libvirt.notes()) == (0, ())
    tree.make(WEB)
    tree.look()
    assert watch.starts == 1


def test_nothing_is_decided_again_while_libvirt_has_no_news(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.make(WEB)
    libvirt = Libvirt((tree.root,), Told(domain_xml("web-1")))
    tree.switch_on(libvirt)
    tree.look()
    monkeypatch.setattr(libvirt, "of_cgroup", None)  # Would raise when called.
    assert tree.look() == {WEB: "web-1"}
