"""Two customers of a web host: users' slices, no interface, one uplink with a server behind it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testhost.host import Host

SENT, ALLOWED = 1_000_000, 300_000
"""Bytes per second that each flow wants, and that a limit allows."""
SETTLED_SECONDS, MEASURED_SECONDS = 4.0, 10.0
SERVER = "10.214.0.2"
WORLD = f"""
set -e
ip netns add world
ip link add up0 type veth peer name eth0 netns world
ip addr add 10.214.0.1/24 dev up0 && ip link set up0 up
ip -n world addr add {SERVER}/24 dev eth0 && ip -n world link set eth0 up
ip -n world link set lo up
ip -o route show default | sed 's/.* dev //; s/ .*//' > /run/uplink-before
sysctl -q -w net.ipv6.conf.$(cat /run/uplink-before).disable_ipv6=1
ip route del default
ip route add default via {SERVER}
useradd -u 1001 -m anna && useradd -u 1002 -m bert
id fairuse-agent >/dev/null 2>&1 || useradd -r fairuse-agent
install -d -m 1777 /run/traffic
systemd-run -q --unit=world -p NetworkNamespacePath=/run/netns/world \\
    python3 /srv/traffic.py server {SERVER}
systemd-run -q --unit=local --slice=user-1001.slice python3 /srv/traffic.py server 127.0.0.1
"""
END_OF_WORLD = """
systemctl stop user-1001.slice user-1002.slice world fairuse-limiter
systemctl reset-failed
userdel -r anna; userdel -r bert
ip netns del world; ip link del up0
ip route add default via 10.0.2.2
sysctl -q -w net.ipv6.conf.$(cat /run/uplink-before).disable_ipv6=0
rm -rf /run/traffic /etc/systemd/system/user-.slice.d/fairuse.conf
systemctl daemon-reload
"""
AGENT = """
[[tenants]]
cgroup = "user.slice/{tenant}.slice"
"""
LIMITER = """
socket = "/run/fairuse-web.sock"
journal = "/var/lib/fairuse-web/journal"
agent_users = []
"""
SAMPLE = """
import asyncio, json, sys, time
from pathlib import Path
from fairuse_agent.sampling import ipaccounting
from fairuse_agent.sampling.round import Sampler
from fairuse_agent.settings import load_agent_settings

ipaccounting._LONGEST_SECONDS *= float(sys.argv[1])

async def main():
    sampler = Sampler(load_agent_settings(Path("/etc/fairuse/web-agent.toml")))
    sampler.read()
    await sampler.prepare()
    sampler.read()
    Path("/run/traffic/sampling").touch()
    used = {}
    while True:
        last = Path("/run/traffic/enough").exists()
        await asyncio.sleep(1)
        await sampler.prepare()
        found = sampler.read()
        for tenant in found.tenants:
            had = used.setdefault(tenant.tenant, [0, 0, 0, 0])
            for place, name in enumerate(("in_bytes", "out_bytes", "in_packets", "out_packets")):
                had[place] += getattr(tenant, "net_" + name)
        if last:
            break
    Path("/run/traffic/sampled").write_text(json.dumps({"used": used, "notes": found.notes}))
    sampler.close()

asyncio.run(main())
"""
ASK = """
import json, sys, time
from pathlib import Path
import msgspec
from fairuse_agent.limiter import main
from fairuse_protocol.limits import LimitOrder, SetLimits, TenantPlace
from fairuse_protocol.messages import Allowance

wanted, patience = json.loads(sys.argv[1]), float(sys.argv[2])
amount = Allowance(bytes_per_second=float(sys.argv[3]))
request = SetLimits(
    orders=tuple(
        LimitOrder(order=f"{sys.argv[4]}-{tenant}-{way}", tenant=tenant, resource=way,
                   allowance=amount, fair_share=amount, remaining_seconds=300)
        for tenant, way in wanted
    ),
    places=tuple(
        TenantPlace(tenant=name, weight=1, cgroups=(f"/user.slice/{name}.slice",))
        for name in ("user-1001", "user-1002")
    ),
    controller_heard_seconds_ago=0,
)
main.ANSWER_SECONDS = patience
until = time.monotonic() + patience
while True:
    state = main.ask("/run/fairuse-web.sock", request)
    held = {each.order for each in state.held}
    if held == {order.order for order in request.orders} or time.monotonic() > until:
        break
    time.sleep(0.5)
print(msgspec.json.encode(state).decode())
"""


def until(condition: str) -> str:
    """A command that waits for another one to succeed."""
    return f"until {condition}; do sleep 0.2; done"


class WebHost:
    """The test host with its two customers."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def flow(self, who: str, role: str, name: str, *, to: str = SERVER, size: int = 0) -> None:
        """A service of this user in its slice, which sends or receives."""
        slice_name = {"anna": "user-1001.slice", "bert": "user-1002.slice"}[who]
        self.host.run(
            f"systemd-run -q --unit={name} --uid={who} --slice={slice_name}"
            f" python3 /srv/traffic.py {role} {name} {to} {size} {SENT}"
        )

    def done(self, name: str) -> int:
        """Wait for the end of a flow of a known size; what arrived."""
        while self.host.run(f"systemctl is-active {name}", check=False).returncode == 0:
            time.sleep(0.5)
        return int(self.host.read(f"/run/traffic/{name}").split()[-1])

    def rates(self, *names: str) -> dict[str, float]:
        """Bytes per second that arrive of each flow from now on."""
        time.sleep(MEASURED_SECONDS)
        found = {}
        for name in names:
            lines = [line.split() for line in self.host.read(f"/run/traffic/{name}").splitlines()]
            readings = [(float(at), int(total)) for at, total in lines]
            last = readings[-1]
            first = min(readings, key=lambda each: abs(each[0] - last[0] + MEASURED_SECONDS))
            found[name] = (last[1] - first[1]) / (last[0] - first[0])
        return found

    def start_limiter(self) -> None:
        program = "fairuse-limiter run --config /etc/fairuse/web.toml"
        self.host.run(
            f"systemd-run -q --unit=fairuse-limiter {program}"
            f" && {until('test -S /run/fairuse-web.sock')}"
        )

    def order(self, *wanted: tuple[str, str], series: str) -> dict[str, list[dict[str, object]]]:
        """Order these limits and no others, and wait until they are held; the limiter's state.
        An order that has ended does not come back: another `series` names new ones."""
        words = (json.dumps(wanted), str(20 * self.host.slowness), str(ALLOWED), series)
        state = json.loads(self.host.python(ASK, *words).stdout)
        assert len(state.get("held", [])) == len(wanted), state
        return dict(state)

    def standing(self) -> str:
        return self.host.run("tc qdisc show; tc class show dev up0; nft list ruleset").stdout


@pytest.fixture(scope="module")
def web(host: Host) -> Iterator[WebHost]:
    host.write("/srv/traffic.py", Path(__file__).with_name("traffic.py").read_text())
    host.write("/etc/fairuse/web-agent.toml", AGENT)
    host.write("/etc/fairuse/web.toml", LIMITER)
    host.run(WORLD)
    made = WebHost(host)
    made.start_limiter()
    yield made
    host.run(END_OF_WORLD, check=False)


def test_an_operator_is_told_that_systemd_does_not_count_yet(web: WebHost) -> None:
    command = "setpriv --reuid=fairuse-agent --clear-groups fairuse-agent check --config"
    told = web.host.run(f"{command} /etc/fairuse/web-agent.toml").stdout
    assert "first /user.slice/user-1001.slice: systemd's IPAccounting is off" in told
    web.host.write("/etc/systemd/system/user-.slice.d/fairuse.conf", "[Slice]\nIPAccounting=yes\n")
    web.host.run("systemctl daemon-reload")
    told = web.host.run(f"{command} /etc/fairuse/web-agent.toml").stdout
    assert "IPAccounting" not in told, "it counts from the reload on"


def test_what_a_customer_moved_is_measured_within_five_percent_by_an_unprivileged_agent(
    web: WebHost,
) -> None:
    web.host.write("/srv/sample.py", SAMPLE)
    web.host.run(
        "systemd-run -q --unit=sampling --uid=fairuse-agent /opt/fairuse/bin/python /srv/sample.py"
        f" {web.host.slowness} && {until('test -e /run/traffic/sampling')}"
    )
    web.flow("anna", "send", "anna-sends", size=6_000_000)
    web.flow("anna", "receive", "anna-receives", size=5_000_000)
    assert web.done("anna-sends") == 6_000_000
    assert web.done("anna-receives") == 5_000_000
    web.flow("anna", "send", "anna-at-home", to="127.0.0.1", size=8_000_000)
    assert web.done("anna-at-home") == 8_000_000
    web.host.run(
        "touch /run/traffic/enough; while ! test -e /run/traffic/sampled; do sleep 0.2; done"
    )
    sampled = json.loads(web.host.read("/run/traffic/sampled"))
    received, sent, *packets = sampled["used"]["user-1001"]
    print(sampled)
    assert 6_000_000 < sent < 1.05 * 6_000_000
    assert 5_000_000 < received < 1.05 * 5_000_000
    assert all(packets)
    assert sum(sampled["used"].get("user-1002", (0,))) < 10_000


def test_a_customer_is_held_both_ways_and_its_neighbour_and_loopback_are_not(web: WebHost) -> None:
    before = web.standing()
    for who in ("anna", "bert"):
        web.flow(who, "send", f"{who}-out")
        web.flow(who, "receive", f"{who}-in")
    web.flow("anna", "send", "anna-loopback", to="127.0.0.1")
    state = web.order(("user-1001", "net-out"), ("user-1001", "net-in"), series="one")
    assert {each["way"] for each in state["held"]} == {
        "nftables into an HTB class on up0",
        "nftables limit on up0",
    }
    time.sleep(SETTLED_SECONDS)
    through = web.rates("anna-out", "anna-in", "bert-out", "bert-in", "anna-loopback")
    print({name: round(rate / ALLOWED, 3) for name, rate in through.items()})
    assert through["anna-out"] == pytest.approx(ALLOWED, rel=0.1)
    assert through["anna-in"] == pytest.approx(ALLOWED, rel=0.1)
    for name in ("bert-out", "bert-in", "anna-loopback"):
        assert through[name] > 2 * ALLOWED, name
    web.host.run("systemctl stop anna-out")
    web.flow("anna", "send", "anna-again")
    time.sleep(SETTLED_SECONDS)
    again = web.rates("anna-again")
    print({name: round(rate / ALLOWED, 3) for name, rate in again.items()})
    assert again["anna-again"] == pytest.approx(ALLOWED, rel=0.1), (
        "the slice is held, not a service"
    )
    web.order(series="one")
    assert web.standing() == before
    web.host.run("systemctl stop anna-again anna-in anna-loopback bert-out bert-in")


def test_one_limit_ends_and_the_others_stands_until_a_killed_limiter_is_started_again(
    web: WebHost,
) -> None:
    before = web.standing()
    web.flow("anna", "send", "anna-two")
    web.flow("bert", "send", "bert-two")
    web.order(("user-1001", "net-out"), ("user-1002", "net-out"), series="two")
    web.order(("user-1002", "net-out"), series="two")
    time.sleep(SETTLED_SECONDS)
    through = web.rates("anna-two", "bert-two")
    print({name: round(rate / ALLOWED, 3) for name, rate in through.items()})
    assert through["anna-two"] > 2 * ALLOWED
    assert through["bert-two"] == pytest.approx(ALLOWED, rel=0.1)
    web.host.run("systemctl kill -s KILL fairuse-limiter; sleep 1; systemctl reset-failed")
    assert web.standing() != before
    web.host.run("rm -f /run/fairuse-web.sock")
    web.start_limiter()
    assert web.standing() == before
