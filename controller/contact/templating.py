"""Letters out of templates: the built-in ones, or a provider's own in their place.

A provider's folder is looked through first: `<policy's name>/<template>`, then `<template>`. Its
templates may replace a built-in one, or extend it block by block under the name that it keeps:
`{% extends "built-in/first-notice.txt.j2" %}`. They run in Jinja's sandbox.

A template that fails never stops a letter: the built-in one is written instead.
"""

from __future__ import annotations

import contextlib
import logging
import re
import textwrap
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from controller.language.catalogue import Language
from controller.language.templates import speaking

_log = logging.getLogger(__name__)

BUILT_IN_PREFIX = "built-in"
_SUFFIX = ".j2"
_COLUMNS = 72


@dataclass(frozen=True)
class Written:
    """A letter's words. `subject` is one line, `text` is folded at 72 columns."""

    subject: str
    text: str
    html: str


class BrokenTemplate(Exception):
    """A provider's own template cannot be used: the file, the line, and why."""


def log_broken(problem: BrokenTemplate) -> None:
    """What becomes of a template that broke while the controller runs."""
    _log.error("%s; the built-in letter is sent instead", problem)


class LetterTemplates:
    """The templates of one controller. `folder` is the provider's own; None: there is none.

    `when_broken` is told of a provider's template that fails, before the built-in one is taken; it
    may raise instead.
    """

    def __init__(
        self,
        folder: Path | None = None,
        when_broken: Callable[[BrokenTemplate], None] = log_broken,
    ) -> None:
        self._folder = folder
        self._when_broken = when_broken
        self._environments: dict[tuple[tuple[str, Path] | None, str, bool], jinja2.Environment] = {}
        self._broken: dict[str, tuple[tuple[str, int], ...]] = {}
        """Problems, each with how the folder was when it showed."""

    @property
    def problem(self) -> str:
        """Which of the provider's templates failed, and why; empty when none did since the last
        change in their folder."""
        now = _state_of(self._folder) if self._broken and self._folder else ()
        told = [problem for problem, then in self._broken.items() if then == now]
        return "; ".join(f"{each}: the built-in letter is sent instead" for each in told)

    def write(
        self, kind: str, policy: str, values: Mapping[str, Any], language: Language
    ) -> Written:
        """The letter of this kind to customers under `policy` (its name)."""
        if self._folder is not None:
            try:
                return self._written(kind, (policy, self._folder), values, language)
            except Exception as error:  # noqa: BLE001 - whatever a template does, the letter goes out
                problem = BrokenTemplate(_where_and_why(error, self._folder))
                state = _state_of(self._folder)
                self._broken = {it: then for it, then in self._broken.items() if then == state}
                self._broken[str(problem)] = state
                self._when_broken(problem)
        return self._written(kind, None, values, language)

    def _written(
        self,
        kind: str,
        own: tuple[str, Path] | None,
        values: Mapping[str, Any],
        language: Language,
    ) -> Written:
        said, _, text = self._filled(f"{kind}.txt{_SUFFIX}", own, values, language).partition("\n")
        subject = said.removeprefix("Subject: ").strip()
        if not said.startswith("Subject: ") or not subject:
            raise ValueError(
                f'{kind}.txt{_SUFFIX}: expected "Subject: " and words in the first line, '
                f'found "{said}"'
            )
        html = self._filled(f"{kind}.html{_SUFFIX}", own, values, language)
        for part, name in ((text, "txt"), (html, "html")):
            for url in values["links"]:
                if url not in part:
                    raise ValueError(
                        f"{kind}.{name}{_SUFFIX}: expected the customer's link (page_url), "
                        "found a letter without it"
                    )
        return Written(subject, _tidy(text), html)

    def _filled(
        self,
        name: str,
        own: tuple[str, Path] | None,
        values: Mapping[str, Any],
        language: Language,
    ) -> str:
        html = name.endswith(f".html{_SUFFIX}")
        key = own, language.code, html
        if key not in self._environments:
            self._environments[key] = speaking(_environment(loader_for(own), html=html), language)
        return self._environments[key].get_template(name).render(values)


def _state_of(folder: Path) -> tuple[tuple[str, int], ...]:
    """Its templates, each with when it was last changed."""
    files = sorted((*folder.glob(f"*{_SUFFIX}"), *folder.glob(f"*/*{_SUFFIX}")))
    state = []
    for file in files:
        with contextlib.suppress(OSError):  # It went meanwhile, or leads nowhere.
            state.append((str(file), file.stat().st_mtime_ns))
    return tuple(state)


def template_names() -> frozenset[str]:
    """Every template that there is a built-in one of."""
    return frozenset(jinja2.PackageLoader("controller.contact").list_templates())


def loader_for(own: tuple[str, Path] | None) -> jinja2.BaseLoader:
    """Where templates are looked for; `own` is a policy's name and the provider's folder."""
    built_in = jinja2.PackageLoader("controller.contact")
    if own is None:
        return built_in
    policy, folder = own
    folders = [folder / policy, folder] if policy else [folder]
    prefixed = jinja2.PrefixLoader({BUILT_IN_PREFIX: built_in})
    return jinja2.ChoiceLoader([jinja2.FileSystemLoader(folders), prefixed, built_in])


def _environment(loader: jinja2.BaseLoader, *, html: bool) -> jinja2.Environment:
    environment = ImmutableSandboxedEnvironment(
        loader=loader,
        autoescape=html,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(prose=_prose, bullet=_bullet, indented=_indented, columns=_columns)
    return environment


def _where_and_why(error: Exception, folder: Path) -> str:
    """The file and line of a provider's template that an error came from, as far as it is known."""
    if isinstance(error, jinja2.TemplateSyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {error.message}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(f"{folder}/")]
    templates = own or [frame for frame in frames if frame.filename.endswith(_SUFFIX)]
    reason = f"{type(error).__name__}: {error}"
    if not templates:
        return f"{folder}: {reason}"
    return f"{templates[-1].filename}:{templates[-1].lineno}: {reason}"


def _tidy(text: str) -> str:
    """Paragraphs with one empty line between them, whatever the template's branches left."""
    return re.sub(r"\n{3,}", "\n\n", text.strip()) + "\n"


def _prose(text: str) -> str:
    """A paragraph for plain-text mail."""
    return _folded(text, first="", rest="")


def _bullet(text: str) -> str:
    """One point of a list for plain-text mail."""
    return _folded(text, first="  * ", rest="    ")


def _indented(text: str) -> str:
    """What stands under a heading of its own within a section."""
    return _folded(text, first="    ", rest="    ")


def _columns(pairs: Sequence[tuple[str, str]]) -> str:
    """Labels and values side by side."""
    wide = 5 + max((len(label) for label, _ in pairs), default=0)
    return "\n".join(
        _folded(value, first=f"  {label}:".ljust(wide), rest=" " * wide) for label, value in pairs
    )


def _folded(text: str, *, first: str, rest: str) -> str:
    return textwrap.fill(
        " ".join(text.split()),
        _COLUMNS,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
