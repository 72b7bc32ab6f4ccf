from __future__ import annotations

import logging
from pathlib import Path

import pytest

from controller.contact.own_templates import own_templates
from controller.contact.templating import template_names
from fairuse_protocol.settings import SettingsError
from tests.contact import samples
from tests.contact.letters import anna, grouped, rendered

SHORT = "Subject: {{ tenant }} is busy\n{{ greeting }}\n{{ page_url }}\n"


def own(folder: Path, **files: str) -> Path:
    """A folder with these templates; `__` in a name stands for a folder."""
    for name, text in files.items():
        path = folder / (name.replace("__", "/").replace("_", "-") + ".txt.j2")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_a_template_of_the_providers_own_takes_the_built_in_ones_place(tmp_path: Path) -> None:
    templates = own_templates(str(own(tmp_path, closed=SHORT)), "Northwind Hosting")
    letter = rendered("closed", terms=samples.terms(templates=templates))
    assert letter.subject == "web-042 is busy"
    assert letter.text.startswith("Hello Anna,\nhttps://fairuse.example.net/c/")
    assert letter.html == rendered("closed").html
    assert rendered("limit-ended", terms=samples.terms(templates=templates)) == rendered(
        "limit-ended"
    )


def test_one_block_can_be_another_and_the_rest_as_it_was(tmp_path: Path) -> None:
    block = (
        '{% extends "built-in/first-notice.txt.j2" %}'
        "{% block causes %}{% filter prose %}Ask us about plans with more cores.{% endfilter %}"
        "{% endblock %}"
    )
    templates = own_templates(str(own(tmp_path, first_notice=block)), "Northwind Hosting")
    terms = samples.terms(templates=templates)
    before, after = rendered("first-notice").text, rendered("first-notice", terms=terms).text
    assert "Ask us about plans with more cores." in after
    assert "WHAT IT MIGHT BE" not in after
    assert before.partition("WHAT IT MIGHT BE")[0] == after.partition("Ask us about plans")[0]
    assert "Ask us about plans with more cores." in grouped(anna(), terms=terms).text


def test_the_layout_of_all_letters_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "_mail.html.j2").write_text(
        '{% extends "built-in/_mail.html.j2" %}'
        "{% block masthead %}<p>Northwind, since 1998</p>{% endblock %}",
        encoding="utf-8",
    )
    terms = samples.terms(templates=own_templates(str(tmp_path), "Northwind Hosting"))
    for kind in ("closed", "reminder"):
        assert "<p>Northwind, since 1998</p>" in rendered(kind, terms=terms).html


def test_a_policys_own_template_goes_before_that_for_everybody(tmp_path: Path) -> None:
    (tmp_path / "Example AUP").mkdir()
    (tmp_path / "Example AUP" / "closed.txt.j2").write_text(SHORT, encoding="utf-8")
    own(tmp_path, closed=SHORT.replace("is busy", "was busy"))
    terms = samples.terms(templates=own_templates(str(tmp_path), "Northwind Hosting"))
    assert rendered("closed", terms=terms).subject == "web-042 is busy"


def test_without_a_folder_the_built_in_letters_are_written() -> None:
    terms = samples.terms(templates=own_templates("", "Northwind Hosting"))
    assert rendered("closed", terms=terms) == rendered("closed")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(f"{SHORT}{{% if %}}", "closed.txt.j2:4: Expected an expression", id="syntax"),
        pytest.param(f"{SHORT}{{{{ tennant }}}}", "closed.txt.j2:4: UndefinedError", id="name"),
        pytest.param(f"{SHORT}{{{{ 1 / 0 }}}}", "closed.txt.j2:4: ZeroDivisionError", id="sums"),
        pytest.param(
            f"{SHORT}{{{{ tenant.__class__.__mro__ }}}}", "closed.txt.j2:4: SecurityError", id="out"
        ),
        pytest.param(
            f'{SHORT}{{% include "none.j2" %}}', "closed.txt.j2:4: TemplateNotFound", id="include"
        ),
        pytest.param(SHORT.replace("{{ page_url }}", ""), "customer's link", id="no link"),
        pytest.param("Hello\n{{ page_url }}", 'expected "Subject: "', id="no subject"),
    ],
)
def test_a_broken_template_stops_the_start_and_is_named(
    tmp_path: Path, text: str, said: str
) -> None:
    own(tmp_path, closed=text)
    with pytest.raises(SettingsError) as refused:
        own_templates(str(tmp_path), "Northwind Hosting")
    assert said in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_a_broken_template_of_one_policy_stops_the_start_too(tmp_path: Path) -> None:
    own(tmp_path, slow__closed=f"{SHORT}{{% endif %}}")
    with pytest.raises(SettingsError, match=r"slow/closed\.txt\.j2:4"):
        own_templates(str(tmp_path), "Northwind Hosting")


def test_a_template_that_no_letter_has_the_name_of_stops_the_start(tmp_path: Path) -> None:
    own(tmp_path, first_notce=SHORT)
    with pytest.raises(SettingsError, match=r"first-notce\.txt\.j2: expected the name of a letter"):
        own_templates(str(tmp_path), "Northwind Hosting")


EXTENDED = '{% extends "built-in/closed.txt.j2" %}\n{% block BLOCK %}Ask us.\n{% endblock %}'


@pytest.mark.parametrize("policy", ["", "slow__"])
def test_a_block_that_the_letter_does_not_have_stops_the_start_and_those_that_it_has_are_named(
    tmp_path: Path, policy: str
) -> None:
    own(tmp_path, **{f"{policy}closed": EXTENDED.replace("BLOCK", "efect")})
    with pytest.raises(SettingsError) as refused:
        own_templates(str(tmp_path), "Northwind Hosting")
    said = str(refused.value)
    assert f"{tmp_path}/{'slow/' if policy else ''}closed.txt.j2:2: expected a block of" in said
    assert "(actions, body, course, effect, footer, lead, subject)" in said
    assert said.endswith('found "efect"; did you mean "effect"?')


def test_a_layout_may_have_blocks_of_its_own_for_other_templates_to_fill(tmp_path: Path) -> None:
    (tmp_path / "_house.txt.j2").write_text(
        '{% extends "built-in/closed.txt.j2" %}'
        "{% block effect %}{% block advert %}{% endblock %}{% endblock %}",
        encoding="utf-8",
    )
    own(
        tmp_path,
        closed='{% extends "_house.txt.j2" %}{% block advert %}More cores await you.{% endblock %}',
    )
    terms = samples.terms(templates=own_templates(str(tmp_path), "Northwind Hosting"))
    assert "More cores await you." in rendered("closed", terms=terms).text


def test_a_template_that_no_letter_uses_yet_is_read_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "_house.txt.j2").write_text("{% block %}", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"_house\.txt\.j2:1"):
        own_templates(str(tmp_path), "Northwind Hosting")


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected a folder, found none"):
        own_templates(str(tmp_path / "none"), "Northwind Hosting")


def test_a_template_that_breaks_later_does_not_stop_the_letter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    templates = own_templates(str(own(tmp_path, closed=SHORT)), "Northwind Hosting")
    terms = samples.terms(templates=templates)
    rendered("closed", terms=terms)
    assert templates.problem == ""
    own(tmp_path, closed=f"{SHORT}\n{{{{ closed_by }}}}")
    with caplog.at_level(logging.ERROR):
        assert rendered("closed", terms=terms) == rendered("closed")
    assert f"{tmp_path}/closed.txt.j2:5: UndefinedError" in caplog.text
    assert "the built-in letter is sent instead" in caplog.text
    assert f"{tmp_path}/closed.txt.j2:5: UndefinedError" in templates.problem


def test_a_broken_template_is_a_problem_until_its_folder_is_changed(tmp_path: Path) -> None:
    templates = own_templates(str(own(tmp_path, closed=SHORT)), "Northwind Hosting")
    terms = samples.terms(templates=templates)
    own(tmp_path, closed=f"{SHORT}\n{{{{ closed_by }}}}")
    (tmp_path / "_leads-nowhere.txt.j2").symlink_to(tmp_path / "none")
    rendered("closed", terms=terms)
    rendered("reminder", terms=terms)
    assert templates.problem.endswith(": the built-in letter is sent instead")
    own(tmp_path, closed=f"{SHORT}\nGoodbye.")
    assert templates.problem == ""


def test_every_letter_that_there_is_can_be_replaced() -> None:
    letters = {name.partition(".")[0] for name in template_names() if not name.startswith("_")}
    assert {f"{name}.{part}.j2" for name in letters for part in ("txt", "html")} == {
        name for name in template_names() if not name.startswith("_")
    }
