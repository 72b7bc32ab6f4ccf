"""Pages for people: templates into answers. Security headers come with the route."""

from __future__ import annotations

from typing import Any

import jinja2
from aiohttp import web

from controller.language.catalogue import ENGLISH, Language
from controller.language.templates import in_every_language


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            # Pages share some sentences with the mails.
            [jinja2.PackageLoader("controller.web"), jinja2.PackageLoader("controller.contact")]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


_templates = in_every_language(_environment)


def page(
    template: str,
    values: dict[str, Any],
    *,
    root: str,
    status: int = 200,
    language: Language = ENGLISH,
) -> web.Response:
    """One page. `root` leads from its address to the server's root, also behind a path prefix."""
    text = _templates[language.code].get_template(template).render(values, root=root)
    return web.Response(text=text, status=status, content_type="text/html")
