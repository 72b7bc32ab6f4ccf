"""A browser without a head: reads pages and fills in their forms, as a customer would."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

import aiohttp


@dataclass
class Page:
    """What came back, and what is on it."""

    status: int
    headers: dict[str, str]
    html: str
    url: str
    forms: list[str] = field(default_factory=list)
    """Where each form goes."""
    text: str = ""
    problems: list[str] = field(default_factory=list)
    """What the page's own security policy would not allow."""


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self._hidden = False
        self._pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            assert given["method"] == "post"
            self._page.forms.append(given["action"] or "")
        if tag == "script" and "src" not in given:
            self._page.problems.append("a script of its own")
        if "style" in given or any(name.startswith("on") for name in given):
            self._page.problems.append(f"<{tag} {given}>")
        self._hidden = tag in ("style", "title", "desc")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._pieces.append(data)

    def words(self) -> str:
        return " ".join(" ".join(self._pieces).split())


async def read(response: aiohttp.ClientResponse) -> Page:
    page = Page(response.status, dict(response.headers), await response.text(), str(response.url))
    reader = _Reader(page)
    reader.feed(page.html)
    page.text = reader.words()
    return page
