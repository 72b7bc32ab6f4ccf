"""Languages and their catalogues: one gettext `.po` file each, read as it is.

English is the language of the program itself and needs no file. A further language is one more
file in `catalogues/`, named by its code: `de.po`, `pt_BR.po`. A provider's own are in
`OWN_CATALOGUES`, and go before those that are shipped, text by text.
"""

from __future__ import annotations

import gettext
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType

from babel import Locale, UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.support import Translations

_SUFFIX = ".po"
OWN_CATALOGUES = Path("/etc/fairuse/catalogues")
"""Where a provider adds a language, or says something otherwise in one that is shipped."""


class CatalogueError(Exception):
    """A catalogue cannot be used. The message says which, where in it, and why."""


@dataclass(frozen=True)
class Language:
    """A language that people are spoken to in. Two are the same when their codes are."""

    code: str
    """As its catalogue is named: "da", "pt_BR"."""
    locale: Locale = field(repr=False, compare=False)
    """How it writes numbers and dates."""
    catalogue: gettext.NullTranslations = field(repr=False, compare=False)

    @property
    def tag(self) -> str:
        """As HTML's `lang` wants it: "pt-BR"."""
        return self.code.replace("_", "-")

    def gettext(self, message: str, /, **values: str) -> str:
        """The message in this language, with its %(placeholders)s filled in."""
        return self.catalogue.gettext(message) % values

    def ngettext(self, one: str, many: str, count: int | Decimal, /, **values: str) -> str:
        """The message in the form that goes with `count` as it is written beside it."""
        return self.catalogue.ngettext(one, many, self._counted_like(count)) % values

    def _counted_like(self, count: int | Decimal) -> int:
        """A whole number that takes the same form: gettext knows no fractions.

        Where only fractions take a form ("1,5 ядра"), it is that of two in most languages.
        """
        if count == int(count):
            return int(count)
        form = self.locale.plural_form(count)
        return next((n for n in (1, 2, 5) if self.locale.plural_form(n) == form), 2)


ENGLISH = Language("en", Locale("en", "GB"), gettext.NullTranslations())
"""Dates as the program's English writes them: "22 November 2026, 14:05"."""


def message(text: str) -> str:
    """Marks a text for the catalogues where it stands; it is translated where it is used."""
    return text


def messages(one: str, many: str) -> tuple[str, str]:
    """As `message`, for what is said of one and of several."""
    return one, many


@cache
def languages(own: Path | None = None) -> Mapping[str, Language]:
    """Every language there is, by code; `own` is another folder than OWN_CATALOGUES.

    Raises CatalogueError when a catalogue cannot be used.
    """
    shipped = resources.files(__package__) / "catalogues"
    known = {ENGLISH.code: ENGLISH} | {each.code: each for each in _read_all(shipped)}
    folder = OWN_CATALOGUES if own is None else own
    for read in _read_all(folder) if folder.is_dir() else ():
        known[read.code] = _over(known.get(read.code), read)
    return MappingProxyType(known)


def _over(shipped: Language | None, own: Language) -> Language:
    """The shipped language with what `own` says otherwise."""
    if shipped is None:
        return own
    own.catalogue.add_fallback(shipped.catalogue)
    return replace(shipped, catalogue=own.catalogue)


def _read_all(folder: Traversable) -> list[Language]:
    try:
        files = sorted(folder.iterdir(), key=lambda file: file.name)
    except OSError as error:
        raise CatalogueError(f"{folder}: cannot be read: {error}") from error
    return [read_language(file) for file in files if file.name.endswith(_SUFFIX)]


def read_language(file: Traversable) -> Language:
    """The language of one catalogue, or CatalogueError. What it lacks is said in English."""
    code = file.name.removesuffix(_SUFFIX)
    try:
        locale = Locale.parse(code)
    except (UnknownLocaleError, ValueError) as error:
        raise CatalogueError(
            f'{file}: expected a language\'s code before {_SUFFIX}, found "{code}"'
        ) from error
    try:
        with file.open("rb") as opened:
            catalogue = read_po(opened, locale=locale, abort_invalid=True)
        faults = list(catalogue.check())
        compiled = io.BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        translations = Translations(compiled)
    except OSError as error:
        raise CatalogueError(f"{file}: cannot be read: {error}") from error
    # Whatever stands in a file: an encoding that nobody knows, a plural form that cannot be.
    except (PoFileError, ValueError, LookupError) as error:
        raise CatalogueError(
            f"{file}: not a gettext catalogue: {error}; msgfmt --check names the line"
        ) from error
    for entry, errors in faults:
        raise CatalogueError(f'{file}: line {entry.lineno}: "{entry.id}": {errors[0]}')
    return Language(code, locale, translations)
