"""Pages for people: templates into answers. Security headers come with the route."""

from __future__ import annotations

from typing import Any

import jinja2
from aiohttp import web

_templates = jinja2.Environment(
    loader=jinja2.ChoiceLoader(
        # Pages share some sentences with the mails.
        [jinja2.PackageLoader("controller.web"), jinja2.PackageLoader("controller.contact")]
    ),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, values: dict[str, Any], *, root: str, status: int = 200) -> web.Response:
    """One page. `root` leads from its address to the server's root, also behind a path prefix."""
    text = _templates.get_template(template).render(values, root=root)
    return web.Response(text=text, status=status, content_type="text/html")
