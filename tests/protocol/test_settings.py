"""A configuration that is wrong stops the start, and says where and what."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.fairshare.policy import Policy
from controller.settings import ControllerSettings
from controller.tenants import TenantDirectory
from fairuse_agent.limiter.settings import LimiterSettings
from fairuse_agent.settings import AgentSettings
from fairuse_protocol.settings import Settings, SettingsError, load_settings, parse_settings

SHIPPED: dict[str, type[Settings]] = {
    "agent.toml": AgentSettings,
    "limiter.toml": LimiterSettings,
    "controller.toml": ControllerSettings,
    "tenants.toml": TenantDirectory,
    **{f"policies/{path.name}": Policy for path in sorted(Path("config/policies").glob("*.toml"))},
}


@pytest.mark.parametrize(
    ("settings_type", "text", "said"),
    [
        pytest.param(
            AgentSettings,
            '[sampling]\nintervall = "10s"',
            ["[sampling]", 'unknown key "intervall"', 'did you mean "interval"?'],
            id="unknown key",
        ),
        pytest.param(
            AgentSettings, "[sampling]\ninterval = 10", ["sampling.interval", "10"], id="no unit"
        ),
        pytest.param(
            AgentSettings,
            '[sampling]\ninterval = "10"',
            ["sampling.interval", 'such as "90s"', 'found "10"'],
            id="not a duration",
        ),
        pytest.param(
            AgentSettings,
            '[sampling]\ninterval = "1h"',
            ["sampling.interval: expected 1s to 5m", "found 1h"],
            id="out of range",
        ),
        pytest.param(
            AgentSettings,
            '[[tenants]]\ncgroup = "x/y"',
            ["tenants[0]", "{tenant}", '"x/y"'],
            id="a rule that names nobody",
        ),
        pytest.param(
            AgentSettings, "[weights]\nt1 = 0.0", ["weights.t1", "positive"], id="zero weight"
        ),
        pytest.param(
            ControllerSettings,
            'mode = "enforced"',
            ["mode", "'enforced'", "observe", "contact", "enforce"],
            id="not one of the modes",
        ),
        pytest.param(
            ControllerSettings,
            '[listen]\nport = "80"',
            ["listen.port", "int", "str"],
            id="wrong type",
        ),
        pytest.param(
            ControllerSettings,
            '[listen]\nhost = "192.0.2.1"',
            ["listen", "loopback", "certificate", "192.0.2.1"],
            id="plain http to the world",
        ),
        pytest.param(
            ControllerSettings,
            '[contact]\npage_url = "fairuse.example.com"',
            ["toml:2: contact.page_url", "https://NAME", 'found "fairuse.example.com"'],
            id="a page without a scheme",
        ),
        pytest.param(
            ControllerSettings,
            '[contact]\npage_url = "http://fairuse.example.com"',
            ["contact.page_url", "localhost and private addresses only"],
            id="customers' secrets over plain http",
        ),
        pytest.param(
            ControllerSettings,
            '[contact]\npage_url = "https://[fairuse"',
            ["contact.page_url", 'found "https://[fairuse"'],
            id="a page that is no address",
        ),
        pytest.param(
            ControllerSettings,
            '[contact]\nlink_valid = "1s"',
            ["contact.link_valid: expected 7d or more", "has to be able to", "found 1s"],
            id="links that are over before anybody answers",
        ),
        pytest.param(
            ControllerSettings,
            '[contact]\nprovider_name = " "',
            ["contact.provider_name: expected the name that your customers know you by"],
            id="a provider without a name",
        ),
        pytest.param(
            LimiterSettings, 'max_lease = "2d"', ["max_lease", "1s to 1d", "2d"], id="long lease"
        ),
        pytest.param(
            Policy,
            "[limit]\nheadroom = 0.5",
            ["limit", "headroom", "1 or more", "0.5"],
            id="unfair",
        ),
        pytest.param(AgentSettings, "[sampling]\n=", ["not valid TOML", "line 2"], id="no TOML"),
    ],
)
def test_the_error_names_file_key_what_was_found_and_what_is_expected(
    settings_type: type, text: str, said: list[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_settings(text, settings_type, source="etc/some.toml")
    for part in ["etc/some.toml", *said]:
        assert part in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://fairuse.example.com",
        "https://example.com:8443/fairuse/",
        "http://localhost:8460",
        "http://[::1]:8460",
        "http://10.1.2.3",
        "http://192.168.1.5:8460",
    ],
)
def test_the_customers_page_is_behind_tls_or_in_the_house(url: str) -> None:
    read = parse_settings(f'[contact]\npage_url = "{url}"', ControllerSettings, source="x")
    assert read.contact.page_url == url


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing\.toml: cannot be read"):
        load_settings(tmp_path / "missing.toml", AgentSettings)
    (tmp_path / "latin.toml").write_bytes(b'x = "\xe6"')
    with pytest.raises(SettingsError, match=r"latin\.toml: cannot be read"):
        load_settings(tmp_path / "latin.toml", AgentSettings)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_configuration_loads(name: str) -> None:
    load_settings(Path("config") / name, SHIPPED[name])


def test_the_shipped_policy_says_what_the_built_in_one_does() -> None:
    assert load_settings(Path("config/policies/default.toml"), Policy) == Policy()


def test_observe_is_the_default_everywhere() -> None:
    assert ControllerSettings().mode == "observe"
    assert load_settings(Path("config/controller.toml"), ControllerSettings).mode == "observe"
