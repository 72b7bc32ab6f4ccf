"""Every catalogue says all that the program says, with the same figures in it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_keywords, parse_mapping_cfg
from babel.messages.pofile import read_po

from controller.language.catalogue import (
    ENGLISH,
    CatalogueError,
    Language,
    languages,
    read_language,
)

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "controller/language/catalogues"
CODES = [path.stem for path in sorted(FOLDER.glob("*.po"))]
_PLACEHOLDER = re.compile(r"%(?:%|\(\w+\)s)")


def said_in_the_code() -> Catalog:
    """What `make catalogues` finds."""
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]  # Babel has no types for it
    keywords = {**DEFAULT_KEYWORDS, **parse_keywords(["message", "messages:1,2"])}
    catalogue = Catalog()
    for _, _, text, _, _ in extract_from_dir(
        ROOT, methods, options, keywords, directory_filter=lambda path: ".venv" not in path
    ):
        catalogue.add(text)
    return catalogue


def catalogue(code: str) -> Catalog:
    with (FOLDER / f"{code}.po").open("rb") as file:
        return read_po(file, locale=code)


def forms(message: Message) -> tuple[str, ...]:
    assert message.string is not None
    return (message.string,) if isinstance(message.string, str) else tuple(message.string)


def placeholders(text: str) -> Counter[str]:
    return Counter(set(_PLACEHOLDER.findall(text)))


@pytest.fixture(scope="module")
def in_code() -> Catalog:
    return said_in_the_code()


def test_danish_is_spoken() -> None:
    assert set(languages()) == {"en", *CODES}
    assert "da" in CODES


@pytest.mark.parametrize("code", CODES)
def test_every_text_is_translated_and_none_that_nobody_says(code: str, in_code: Catalog) -> None:
    translated = catalogue(code)
    lacking = [m.id for m in in_code if m.id and (m.id not in translated or m.fuzzy)]
    empty = [m.id for m in translated if m.id and not all(forms(m))]
    stale = [m.id for m in translated if m.id and m.id not in in_code]
    assert (lacking, empty, stale) == ([], [], []), f"{code}.po: run make catalogues and translate"
    assert not any(m.fuzzy for m in translated if m.id)


@pytest.mark.parametrize("code", CODES)
def test_every_translation_has_the_placeholders_of_its_text(code: str) -> None:
    for message in catalogue(code):
        if not message.id:
            continue
        ids = (message.id,) if isinstance(message.id, str) else tuple(message.id)
        wanted = placeholders(ids[-1])
        *fewer, last = forms(message)
        assert placeholders(last) == wanted, f"{code}.po: {ids[-1]!r}"
        for form in fewer:
            # "The last hour" may leave the number 1 away.
            assert wanted - placeholders(form) <= Counter(["%(count)s"]), f"{code}.po: {form!r}"
            assert placeholders(form) <= wanted, f"{code}.po: {form!r}"


def read(tmp_path: Path, name: str, body: str) -> Language:
    path = tmp_path / name
    path.write_text(
        'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n' + body,
        encoding="utf-8",
    )
    return read_language(path)


def test_a_new_language_is_a_file_and_what_it_lacks_is_said_in_english(tmp_path: Path) -> None:
    german = read(tmp_path, "de.po", 'msgid "your server"\nmsgstr "Ihr Server"\n')
    assert german.gettext("your server") == "Ihr Server"
    assert german.gettext("Hello") == "Hello"
    assert german.tag == "de"
    assert german != ENGLISH


def test_a_file_that_is_not_named_by_a_language_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CatalogueError, match=r'xx_nonsense\.po: expected a language.*"xx_nonsense"'
    ):
        read(tmp_path, "xx_nonsense.po", "")


def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"de\.po: not a gettext catalogue"):
        read(tmp_path, "de.po", "This is a letter.\n")


def test_a_placeholder_that_would_stop_a_notice_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r'de\.po: line 6: "%\(count\)s days"'):
        read(
            tmp_path,
            "de.po",
            '#, python-format\nmsgid "%(count)s days"\nmsgstr "%(zahl)s Tage"\n',
        )


@pytest.mark.parametrize(
    ("code", "count", "form"),
    [
        ("en", 1, "one"),
        ("en", 0, "many"),
        ("en", Decimal("1.5"), "many"),
        ("en", Decimal("0.67"), "many"),
        ("da", 1, "one"),
        ("da", 2, "many"),
        ("da", Decimal("1.5"), "one"),
        ("da", Decimal("6.2"), "many"),
    ],
)
def test_words_take_the_form_that_goes_with_the_number_before_them(
    code: str, count: int | Decimal, form: str
) -> None:
    assert languages()[code].ngettext("one", "many", count) == form


def own_catalogue(folder: Path, code: str, text: str, said: str) -> None:
    header = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    (folder / f"{code}.po").write_text(
        f'{header}\nmsgid "{text}"\nmsgstr "{said}"\n', encoding="utf-8"
    )


def test_a_provider_adds_a_language_in_a_folder_of_its_own(tmp_path: Path) -> None:
    own_catalogue(tmp_path, "sv", "Open your page", "Öppna din sida")
    swedish = languages(tmp_path)["sv"]
    assert swedish.gettext("Open your page") == "Öppna din sida"
    assert swedish.gettext("What we saw") == "What we saw"


@pytest.mark.parametrize("code", ["da", "en"])
def test_a_provider_says_one_text_otherwise_and_the_rest_stays(code: str, tmp_path: Path) -> None:
    own_catalogue(tmp_path, code, "What it might be", "!")
    own, shipped = languages(tmp_path)[code], languages()[code]
    assert own.gettext("What it might be") == "!"
    assert own.gettext("What we saw") == shipped.gettext("What we saw")
    assert own.locale == shipped.locale


def test_a_providers_own_catalogue_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "de.po").write_text("nonsense", encoding="utf-8")
    with pytest.raises(CatalogueError, match=rf"{tmp_path}/de\.po"):
        languages(tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: text/plain; charset=klingon",
        "Plural-Forms: nplurals=2; plural=n !! 1",
        "Plural-Forms: nplurals=two; plural=(n != 1)",
    ],
)
def test_a_header_that_makes_no_sense_is_refused_and_its_file_named(
    tmp_path: Path, header: str
) -> None:
    path = tmp_path / "de.po"
    path.write_text(f'msgid ""\nmsgstr ""\n"{header}\\n"\n\nmsgid "yes"\nmsgstr "ja"\n')
    with pytest.raises(CatalogueError, match=r"de\.po: not a gettext catalogue"):
        languages(tmp_path)


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        pytest.param("controller.main", ["run", "--config"], id="the controller"),
        pytest.param("fairuse_cli.main", ["policy", "check"], id="a look at a policy"),
    ],
)
def test_a_catalogue_that_cannot_be_used_stops_the_start_with_a_sentence(
    tmp_path: Path, program: str, arguments: list[str]
) -> None:
    own_catalogue(tmp_path, "nonsense", "yes", "ja")
    config = tmp_path / "some.toml"
    config.write_text("")
    start = (
        "import sys; from pathlib import Path; from controller.language import catalogue; "
        f"catalogue.OWN_CATALOGUES = Path({str(tmp_path)!r}); "
        f"from {program} import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", start, *arguments, str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert f"{tmp_path}/nonsense.po: expected a language's code" in done.stderr
    assert "Traceback" not in done.stderr
