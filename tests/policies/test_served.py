"""What the running controller shows of its policies."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.cli.served import serve
from tests.web.pages import read
from tests.web.test_status import look

FILES = {
    "policies.toml": 'files = ["own.toml"]\n[[for]]\npolicy = "own"\ntenants = ["hog"]\n',
    "own.toml": 'name = "own"\nclause = "Leave room for others."\n[times]\nmore_time = "3d"\n',
}


@pytest.fixture
def policies_file(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path / "policies.toml"


async def test_the_customers_page_speaks_by_the_policy_of_that_customer(
    policies_file: Path,
) -> None:
    async with serve(policies_file.parent, policies_file=str(policies_file)) as served:
        case_id = await served.notified()
        link = served.services.links.url_for(case_id, served.world.now + 3600)
        url = f"{served.url}/c/{link.rpartition('/')[2]}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            page = await read(response)
    assert "Leave room for others." in page.text
    assert "That adds 3 days at once." in page.text


async def test_a_policy_that_cannot_be_used_stands_on_the_status_page_until_it_is_mended(
    policies_file: Path,
) -> None:
    own = policies_file.with_name("own.toml")
    async with serve(policies_file.parent, policies_file=str(policies_file)) as served:
        own.write_text(FILES["own.toml"] + '[limit]\nlease = "3h"\n')
        served.services.policies.refresh()
        shown = (await look(served)).text
        assert "own.toml:6: limit.lease: expected" in shown
        assert "the policies read before stay in force" in shown
        own.write_text(FILES["own.toml"])
        served.services.policies.refresh()
        assert "own.toml" not in (await look(served)).text


@pytest.mark.parametrize(
    ("tenants", "language"),
    [("", "da"), ('[tenants.hog]\nlanguage = "en"\n', "en")],
    ids=["the policy's", "the contact's own"],
)
async def test_servicepoint_the_page_is_in_the_policys_language_unless_the_contact_has_its_own(
    policies_file: Path, tenants: str, language: str
) -> None:
    policies_file.with_name("own.toml").write_text(f'language = "da"\n{FILES["own.toml"]}')
    async with serve(policies_file.parent, policies_file=str(policies_file)) as served:
        policies_file.with_name("tenants.toml").write_text(tenants)
        case_id = await served.notified()
        link = served.services.links.url_for(case_id, served.world.now + 3600)
        url = f"{served.url}/c/{link.rpartition('/')[2]}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert f'<html lang="{language}"' in (await read(response)).html
