"""What a running libvirt domain's XML says of its owner, its processors and its interfaces."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

_NOVA = (
    "http://openstack.org/xmlns/libvirt/nova/1.1",
    "http://openstack.org/xmlns/libvirt/nova/1.0",
)
"""Where Nova writes whose a server is: the version grew with a field that is not read here."""


class DomainXmlError(ValueError):
    """The text does not describe a running domain. The text says what is missing."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A running domain. `project*` and `user` are empty where Nova did not make it."""

    id: int
    uuid: str
    name: str
    vcpus: int
    interfaces: tuple[str, ...]
    """The host's ends: taps, macvtaps."""
    project: str = ""
    """The OpenStack project's uuid, which never changes; its name may."""
    project_name: str = ""
    user: str = ""


def parse_domain(text: str) -> Domain:
    """Read what virDomainGetXMLDesc gives of a live domain, or raise DomainXmlError.

    The format is https://libvirt.org/formatdomain.html; libvirt itself wrote the text, from its
    own parsed form, so that no entity of a guest's making can stand in it.
    """
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 (libvirt's own writing, see above)
    except ElementTree.ParseError as error:
        raise DomainXmlError(f"expected a domain's XML: {error}") from error
    number, name = root.get("id", ""), root.findtext("name", "")
    if root.tag != "domain" or not number.isdecimal() or not name:
        raise DomainXmlError(
            f'expected a running <domain id="..."> with a <name>, found <{root.tag} id="{number}">'
        )
    project, project_name, user = _nova_owner(root)
    return Domain(
        id=int(number),
        uuid=root.findtext("uuid", ""),
        name=name,
        vcpus=_vcpus(root),
        interfaces=tuple(
            device
            for target in root.findall("devices/interface/target")
            if (device := target.get("dev"))
        ),
        project=project,
        project_name=project_name,
        user=user,
    )


def _vcpus(root: ElementTree.Element) -> int:
    """How many are plugged in now; the text is how many there can be."""
    vcpu = root.find("vcpu")
    if vcpu is None:
        return 1
    text = vcpu.get("current") or vcpu.text or ""
    return int(text) if text.strip().isdecimal() else 1


def _nova_owner(root: ElementTree.Element) -> tuple[str, str, str]:
    """The project's uuid and name, and the user's name."""
    for namespace in _NOVA:
        owner = root.find(f"metadata/{{{namespace}}}instance/{{{namespace}}}owner")
        project = owner.find(f"{{{namespace}}}project") if owner is not None else None
        if owner is not None and project is not None and project.get("uuid"):
            user = owner.findtext(f"{{{namespace}}}user", "")
            return project.get("uuid", ""), project.text or "", user
    return "", "", ""
