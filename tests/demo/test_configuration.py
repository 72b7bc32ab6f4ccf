from __future__ import annotations

from pathlib import Path

import pytest

from controller.cases.selection import Selection
from controller.fairshare.policy import Policy
from controller.settings import ControllerSettings
from controller.tenants import TenantDirectory
from fairuse_agent.limiter.settings import LimiterSettings
from fairuse_agent.settings import AgentSettings
from fairuse_cli.demo.configuration import (
    DEADLINE_SECONDS,
    LEASE_SECONDS,
    WINDOW_SECONDS,
    Places,
    write,
)
from fairuse_cli.demo.stage import TENANTS
from fairuse_protocol.settings import Settings, load_settings


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places(tmp_path)
    places.make(0)
    write(places, http_port=8460, smtp_port=2525, agents_user="nobody")
    return places


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("agent.toml", AgentSettings),
        ("limiter.toml", LimiterSettings),
        ("controller.toml", ControllerSettings),
        ("policies.toml", Selection),
        ("policy.toml", Policy),
        ("tenants.toml", TenantDirectory),
    ],
)
def test_every_program_accepts_its_file(places: Places, file: str, kind: type[Settings]) -> None:
    assert load_settings(places.directory / file, kind) != kind()


def test_agent_and_limiter_meet_at_the_same_socket(places: Places) -> None:
    agent = load_settings(places.agent_settings, AgentSettings)
    limiter = load_settings(places.limiter_settings, LimiterSettings)
    assert agent.limiter.socket == limiter.socket


def test_everybody_can_be_written_to(places: Places) -> None:
    directory = load_settings(places.directory / "tenants.toml", TenantDirectory)
    assert set(directory.tenants) == set(TENANTS)
    assert all(tenant.contacts[0].email for tenant in directory.tenants.values())


def test_a_limited_tenant_is_under_the_rule_that_limited_it(places: Places) -> None:
    policy = load_settings(places.directory / "policy.toml", Policy)
    assert policy.limit.headroom < policy.rule.ratio
    # Or the limit would move while it is measured.
    assert policy.limit.ease == 1
    assert float(policy.limit.lease) == LEASE_SECONDS == float(policy.limit.step_every) + 1
    for step in (policy.severity.low, policy.severity.high, policy.severity.critical):
        assert float(step.deadline) == DEADLINE_SECONDS
    assert float(policy.rule.window) == WINDOW_SECONDS
