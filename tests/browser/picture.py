"""Draws docs/customer-page.png: `python -m tests.browser.picture`, with Chromium there."""

from __future__ import annotations

import asyncio
import math
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright

from controller.contact.links import CustomerLinks
from controller.fairshare.policy import Policy
from controller.storage import reports
from fairuse_protocol.reports import encode_report
from tests.browser.conftest import find_chromium
from tests.cases.world import World
from tests.cli.served import serve
from tests.contact.samples import NOW
from tests.fairshare.reports import cpu_report

PICTURE = Path(__file__).parents[2] / "docs/customer-page.png"
POLICY = Policy(
    name="Example AUP", clause="Do not take a disproportionate share of shared resources."
)
TENANTS = """
[tenants.web-042]
time_zone = "Europe/Copenhagen"
"""


async def draw(directory: Path) -> None:
    async with serve(directory, policy=POLICY, provider_name="Northwind Hosting") as served:
        (directory / "tenants.toml").write_text(TENANTS)
        world = served.world
        world.now = NOW
        for n in range(190):
            await _report(world, n, used=0.5 if n < 100 else 4.6 + 0.4 * math.sin(n))
        await world.deliver()
        case_id = await served.case_id()
        await world.desk.answer(case_id, "acknowledge", "The nightly import did not end.")
        for n in range(190, 250):
            await _report(world, n, used=4.6 + 0.4 * math.sin(n) if n < 235 else 0.5)
        secret = (directory / "link-secret").read_bytes()
        links = CustomerLinks(secret, served.url, lambda: world.now)
        await _take(links.url_for(case_id, world.now + 86400))


async def _report(world: World, number: int, *, used: float) -> None:
    """Ten seconds on a machine of fifteen, eleven of which want more than they get."""
    world.now += 10
    world.steady += 10
    busy = used > 2
    others = {f"web-{n:03}": 0.22 + 0.02 * math.sin(n + number) for n in range(100, 114)}
    report = cpu_report(
        world.now,
        {"web-042": used, **others},
        waiting={name: 0.23 if busy and name < "web-111" else 0.01 for name in others},
        host_waiting=0.4 if busy else 0.02,
        host="node-17",
        sequence=number,
    )
    row = reports.ReportRow("node-17", "s", number, world.now, encode_report(report))
    async with world.database.write() as connection:
        await reports.append(connection, [row])
    await world.desk.observe(world.desk.see(report))


async def _take(url: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium())
        page = await browser.new_page(viewport={"width": 800, "height": 1880}, color_scheme="light")
        await page.goto(url)
        await page.screenshot(path=PICTURE)
        await browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(draw(Path(directory)))
