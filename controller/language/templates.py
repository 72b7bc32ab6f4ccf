"""Templates in a language: Jinja's `{% trans %}` over the catalogues."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jinja2

from controller.language.catalogue import Language, languages


def in_every_language(make: Callable[[], jinja2.Environment]) -> Mapping[str, jinja2.Environment]:
    """One environment a language, by its code. Raises CatalogueError as `languages` does."""
    return {code: speaking(make(), language) for code, language in languages().items()}


def speaking(environment: jinja2.Environment, language: Language) -> jinja2.Environment:
    """The same environment, with the language's catalogue in it and `language` as a global."""
    environment.policies["ext.i18n.trimmed"] = True
    environment.add_extension("jinja2.ext.i18n")
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        language.catalogue.gettext, language.catalogue.ngettext, newstyle=True
    )
    environment.globals["language"] = language
    return environment
