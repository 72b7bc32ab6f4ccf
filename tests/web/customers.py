"""A customer for tests of their page."""

from __future__ import annotations

from urllib.parse import urljoin

import aiohttp

from controller.contact.links import CustomerLinks
from tests.cli.served import Served
from tests.web.pages import Page, read

KINDS = ["solved", "acknowledge", "more-time", "dispute", "agreement", "load-test"]
"""What can be said in the first days of a case, in the page's order."""
FILLED_IN = {
    "note": "x",
    "name": "Hanne",
    "from": "1970-01-20 00:00",
    "until": "1970-01-25",
}
"""For every form at once: the tests' clock begins on 12 January 1970."""


class Customer:
    """Somebody with a browser and the link to one case."""

    def __init__(
        self, served: Served, session: aiohttp.ClientSession, links: CustomerLinks
    ) -> None:
        self.served = served
        self.world = served.world
        self.session = session
        self.links = links
        self.case_id = ""

    def link(self, *, valid: float = 3600) -> str:
        url = self.links.url_for(self.case_id, self.world.now + valid)
        return f"{self.served.url}/c/{url.rpartition('/')[2]}"

    async def get(self, url: str = "") -> Page:
        async with self.session.get(url or self.link()) as response:
            return await read(response)

    async def say(self, kind: str, note: str = "", **fields: str) -> Page:
        """Send the form that the page offers for this, and go where it leads."""
        page = await self.get()
        (action,) = (form for form in page.forms if form.endswith(f"/{kind}"))
        return await self.post(urljoin(page.url, action), note, **fields)

    async def post(self, url: str, note: str = "", **fields: str) -> Page:
        async with self.session.post(url, data={"note": note, **fields}) as response:
            return await read(response)
