"""Live domains' XML in the shape that libvirt prints it."""

from __future__ import annotations

PROJECT = "8a6f0c3e1d5b4b0f9d1e2c3b4a596877"
NOVA = """\
  <metadata>
    <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/{version}">
      <nova:package version="27.1.0"/>
      <nova:name>web &lt;1&gt;</nova:name>
      <nova:creationTime>2026-10-02 11:15:04</nova:creationTime>
      <nova:flavor name="m1.medium">
        <nova:memory>4096</nova:memory>
        <nova:disk>40</nova:disk>
        <nova:vcpus>{vcpus}</nova:vcpus>
      </nova:flavor>
      <nova:owner>
        <nova:user uuid="3e0c5c2b1a594d0c8c6a8e8f5f4a1b20">anna</nova:user>
        <nova:project uuid="{project}">acme</nova:project>
      </nova:owner>
      <nova:root type="image" uuid="1f6c1c0e-7a3a-4e3c-9c79-6d7c0a2f1b11"/>
    </nova:instance>
  </metadata>
"""


def nova(project: str = PROJECT, *, version: str = "1.1", vcpus: int = 2) -> str:
    return NOVA.format(project=project, version=version, vcpus=vcpus)


def domain_xml(
    name: str,
    *,
    number: int | None = 3,
    uuid: str = "c7a5fdbd-cdaf-9455-926a-d65c16db1809",
    vcpu: str = '<vcpu placement="static">2</vcpu>',
    metadata: str = "",
    interfaces: tuple[str, ...] = (),
    kind: str = "kvm",
) -> str:
    devices = "".join(
        f"""
    <interface type="bridge">
      <mac address="52:54:00:8e:1f:{place:02x}"/>
      <source bridge="br-int"/>
      <target dev="{device}"/>
      <model type="virtio"/>
      <alias name="net{place}"/>
    </interface>"""
        for place, device in enumerate(interfaces)
    )
    identity = "" if number is None else f' id="{number}"'
    return f"""\
<domain type="{kind}"{identity}>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
{metadata}  <memory unit="KiB">65536</memory>
  {vcpu}
  <os><type>hvm</type></os>
  <devices>{devices}
    <interface type="hostdev" managed="yes"><mac address="52:54:00:00:00:01"/></interface>
  </devices>
</domain>
"""
