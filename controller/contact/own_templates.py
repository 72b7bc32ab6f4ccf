"""A provider's own templates, tried out before the controller starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from controller.contact.notice import NoticeTerms
from controller.contact.specimens import every_letter
from controller.contact.template_blocks import stray_blocks
from controller.contact.templating import BrokenTemplate, LetterTemplates, template_names
from controller.fairshare.policy import Policy
from controller.language.catalogue import languages
from controller.tenants import TenantContact
from fairuse_protocol.settings import SettingsError


def own_templates(folder: str, provider_name: str) -> LetterTemplates:
    """The templates with those of `folder` in front; empty: the built-in ones alone.

    Every letter is written once in every language, for everybody and for each policy that has a
    folder of its own. SettingsError names file and line of what cannot be used.
    """
    if not folder:
        return LetterTemplates()
    path = Path(folder)
    if not path.is_dir():
        raise SettingsError(f"contact.templates: expected a folder, found none at {path}")
    for problem in _misnamed(path):
        raise SettingsError(problem)
    own = [each.name for each in sorted(path.iterdir()) if each.is_dir()]
    for policy in ("", *(name for name in own if not name.startswith("."))):
        _try(path, policy, provider_name)
        for problem in stray_blocks(path, policy):
            raise SettingsError(f"contact.templates: {problem}")
    return LetterTemplates(path)


def _try(path: Path, policy: str, provider_name: str) -> None:
    # Nothing can be quoted from the built-in policy.
    clause = "" if policy == Policy().name else "Share what is scarce."
    specimen = Policy(name=policy or "specimen", clause=clause)
    terms = NoticeTerms(
        provider_name=provider_name,
        policy_for=lambda case: specimen,
        link_for=lambda case_id, at, language: f"https://fairuse.example/c/{case_id}",
        takes_replies=True,
        templates=LetterTemplates(path, when_broken=_refuse),
        draw=lambda chart: b"",
    )
    for code in languages():
        for _ in every_letter(TenantContact(name="Specimen", language=code), terms):
            continue


def _refuse(problem: BrokenTemplate) -> None:
    raise SettingsError(f"contact.templates: {problem}")


def _misnamed(path: Path) -> Iterator[str]:
    """Files that would never be looked at: a letter that was meant to be changed would not be."""
    known = template_names()
    for file in sorted((*path.glob("*.j2"), *path.glob("*/*.j2"))):
        if file.name not in known and not file.name.startswith("_"):
            letters = ", ".join(sorted(name for name in known if not name.startswith("_")))
            yield (
                f"contact.templates: {file}: expected the name of a letter ({letters}), or one "
                "that begins with _ for what they share"
            )
