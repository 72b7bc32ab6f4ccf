"""A real browser, brought up once a module, and cases in every state for it to look at."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from controller.contact.links import CustomerLinks
from tests.cases.world import CALM
from tests.cli.served import Served, serve

STATES = ("watching", "notified", "limited", "held", "closed")


@dataclass(frozen=True)
class Door:
    """A link to one case, and the controller behind it."""

    url: str
    served: Served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("needs Chromium (Debian: chromium-headless-shell): what customers see")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium)
        yield running
        await running.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Door]]:
    """A link to a case in each state; "unknown" opens nothing."""
    async with AsyncExitStack() as stack:
        found = {}
        for state in STATES:
            directory = tmp_path_factory.mktemp(state)
            served = await stack.enter_async_context(serve(directory))
            found[state] = await open_door(served, directory, state)
        url = found["notified"].url
        found["unknown"] = Door(url[:-1] + ("A" if url[-1] != "A" else "B"), served)
        yield found


def find_chromium() -> str | None:
    """This machine's own; the one without windows starts many times faster."""
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")


async def open_door(served: Served, directory: Path, state: str) -> Door:
    """The link to a new case of `served`, brought into this state."""
    world = served.world
    match state:
        case "watching":
            await world.reports(10)
        case "limited":
            await served.limited()
        case _:
            await served.notified()
    case_id = await served.case_id()
    match state:
        case "held":
            await world.desk.answer(case_id, "dispute", "That was not us.")
        case "closed":
            await world.until(lambda case: case.state == "closed", used=CALM, waiting=0.0)
    assert (await world.only_case()).state == state
    secret = (directory / "link-secret").read_bytes()
    links = CustomerLinks(secret, served.url, lambda: world.now)
    return Door(links.url_for(case_id, world.now + 86400), served)
