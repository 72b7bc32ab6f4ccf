"""Notice, deadline, limit and lift on a booted host: real systemd units, a real mail server."""

from __future__ import annotations

import email
import email.policy
import mailbox
from pathlib import Path

import pytest

from tests.booted.installed import LEASE_SECONDS, MAILED_TO, Installed
from tests.booted.load import HOG, NEIGHBOURS, measure, start_tenants, unit_of


def test_a_unit_that_takes_the_processor_is_written_to_held_and_let_go(
    installed: Installed, tmp_path: Path
) -> None:
    host = installed.host
    before = quota(installed)
    start_tenants(host)

    case = installed.until("a case", lambda: next(iter(installed.cases()), None))
    assert (case["tenant"], case["resource"], case["host"]) == (HOG, "cpu", "node-1")
    greedy = measure(host)
    assert greedy[HOG].cores > 1.2, "it takes more than twice its fair share of half a core"

    installed.until("the mail", lambda: "Message-ID" in letters(installed))
    box = tmp_path / "mbox"
    box.write_text(letters(installed))
    (letter,) = mailbox.mbox(box)
    message = email.message_from_bytes(letter.as_bytes(), policy=email.policy.default)
    text = message.get_body(("plain",)).get_content()
    for said in ("fair share", "CPU", "waited"):
        assert said in text

    held = installed.until("a limit", installed.held)
    assert held[0]["tenant"] == HOG
    ordered = held[0]["allowance"]["cores"]
    limited = measure(host)
    assert limited[HOG].cores == pytest.approx(ordered, rel=0.1), "within 10 % of the order"
    for name in NEIGHBOURS:
        assert limited[name].waiting < greedy[name].waiting, f"{name} waits less"

    installed.until("the lift", lambda: not installed.held(), seconds=LEASE_SECONDS + 20)
    assert quota(installed) == before
    assert measure(host, 5)[HOG].cores > 1.2 * ordered, "it may take what it wants again"


def letters(installed: Installed) -> str:
    return installed.host.run(f"cat /var/mail/{MAILED_TO}", check=False).stdout


def quota(installed: Installed) -> str:
    shown = "CPUQuotaPerSecUSec,CPUQuotaPeriodUSec,DropInPaths"
    return installed.host.run(f"systemctl show -p {shown} {unit_of(HOG)}").stdout
