"""The customer's page in a real browser: what it looks like, and that everybody can use it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Page, Request, expect

from tests.browser.conftest import STATES, Door, open_door
from tests.cases.world import CALM
from tests.cli.served import serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

NARROW, WIDE = 360, 1440
_PATIENCE_MILLISECONDS = 60_000
"""A bound, not a wait: a machine that other work shares takes half a minute to show a page."""
expect.set_options(timeout=_PATIENCE_MILLISECONDS)


@asynccontextmanager
async def opened(
    browser: Browser,
    url: str,
    *,
    scripts: bool = True,
) -> AsyncIterator[Page]:
    """The page in a window of its own; whatever its own security policy refuses is a failure."""
    window = await browser.new_context(
        viewport={"width": NARROW, "height": 800}, java_script_enabled=scripts
    )
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text or message.type == "warning":
            complaints.append(message.text)

    page = await window.new_page()
    page.set_default_timeout(_PATIENCE_MILLISECONDS)
    page.on("console", heard)
    await page.goto(url)
    yield page
    await window.close()
    assert complaints == []


async def breadth(page: Page) -> int:
    """How much wider than the window the page is."""
    pixels: int = await page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return pixels


@pytest.mark.parametrize("state", [*STATES, "unknown"])
async def test_everybody_can_read_the_page_in_every_state(
    browser: Browser, doors: dict[str, Door], state: str
) -> None:
    async with opened(browser, doors[state].url) as page:
        await page.evaluate(
            "for (const each of document.querySelectorAll('details')) each.open = true"
        )
        for width in (NARROW, WIDE):
            await page.set_viewport_size({"width": width, "height": 800})
            assert await breadth(page) <= 0, f"{width} px wide"
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)
                found = await Axe().run(page)
                assert found.response["violations"] == [], f"{width} px wide, {scheme}"


async def test_the_keyboard_is_enough_to_answer(browser: Browser, tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        door = await open_door(served, tmp_path, "notified")
        async with opened(browser, door.url) as page:
            for _ in range(40):
                await page.keyboard.press("Tab")
                focused = page.locator(":focus")
                if await focused.get_attribute("id") == "note-acknowledge":
                    break
            await page.keyboard.type("We look at the database.")
            await page.keyboard.press("Tab")
            outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid", "nobody sees where the keyboard is"
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("status")).to_have_text(
                "You said that you are looking into it."
            )
        assert (await served.world.only_case()).answers == ("acknowledge",)


async def test_everything_works_without_scripts(browser: Browser, tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        door = await open_door(served, tmp_path, "notified")
        async with opened(browser, door.url, scripts=False) as page:
            await served.world.report({**CALM, "hog": 1.5}, waiting=0.0)
            for used in ("1.5", "1.2"):
                await served.world.report({**CALM, "hog": float(used)}, waiting=0.0)
                await page.get_by_role("link", name="Look again").click()
                await expect(page.locator("#now")).to_contain_text(f"uses {used} CPU cores")
            await page.get_by_text("This is, or will be, a load test").click()
            form = page.get_by_role("form", name="This is, or will be, a load test")
            await form.get_by_label("Until").fill("1970-01-13T22:00")
            await form.get_by_label("Your name").fill("Hanne Hog")
            await form.get_by_label("What you are going to test").fill("the new shop")
            await form.get_by_role("button").click()
            await expect(page.get_by_role("status")).to_contain_text("You told us of a load test.")
            await page.get_by_role("button", name="Say that it is solved").click()
            await expect(page.get_by_role("status")).to_have_text("You said that it is solved.")
        (request,) = (await served.world.only_case()).requests
        assert (request.kind, request.asked_by) == ("load-test", "Hanne Hog")


async def test_what_is_used_now_keeps_itself_up_to_date(browser: Browser, tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        door = await open_door(served, tmp_path, "notified")
        async with opened(browser, "about:blank") as page:
            await page.clock.install()
            await page.goto(door.url)
            await served.world.report({**CALM, "hog": 1.5}, waiting=0.0)
            await expect(page.locator("#now")).to_contain_text("uses 6 CPU cores")
            await page.clock.run_for(10_500)
            await expect(page.locator("#now")).to_contain_text("uses 1.5 CPU cores")
            await served.world.desk.dismiss(
                await served.case_id(), by="otto", reason="settled by telephone"
            )
            await page.clock.run_for(10_500)
            await expect(page.get_by_role("heading", level=1)).to_contain_text("is closed")


async def test_the_link_is_told_to_nobody(browser: Browser, doors: dict[str, Door]) -> None:
    url = doors["notified"].url
    token = url.rpartition("/")[2]
    asked: list[Request] = []
    async with opened(browser, "about:blank") as page:
        page.on("request", lambda each: asked.append(each))  # noqa: PLW0108 - playwright marks it
        await page.goto(url)
        referers = [(await each.all_headers()).get("referer", "") for each in asked]
    assert len(asked) > 1
    assert not any(token in referer for referer in referers)
    assert all(each.url.startswith(doors["notified"].served.url) for each in asked)


async def test_the_page_in_danish_fits_a_telephone(browser: Browser, tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        (tmp_path / "tenants.toml").write_text(
            '[tenants.hog]\nlanguage = "da"\ntime_zone = "Europe/Copenhagen"\n'
        )
        door = await open_door(served, tmp_path, "limited")
        async with opened(browser, door.url) as page:
            assert await breadth(page) <= 0
            assert await page.locator("html").get_attribute("lang") == "da"
            text = await page.locator("body").inner_text()
            assert (
                re.search(r"\b(the|your|of|and|is|we|not)\b", text.replace("your hosting", ""))
                is None
            )
