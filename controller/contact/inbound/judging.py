"""What a mail that came back is. Pure: bytes and addresses in, a named outcome out."""

from __future__ import annotations

from dataclasses import dataclass

from controller.contact.addresses import CaseAddresses, ForCase, Forged, ForLetter
from controller.contact.delivery import one_line
from controller.contact.inbound.letter import Letter, Unreadable, read_letter
from controller.contact.inbound.reports import failed_recipients, is_report, statuses
from controller.contact.inbound.text import own_words, whole_text

_ADDRESSED_IN = ("Delivered-To", "X-Original-To", "Envelope-To", "To", "Cc")
"""The first three are put on top by the server that delivers; the first is the surest."""
_AUTOMATIC_PRECEDENCE = frozenset({"bulk", "junk", "list", "auto_reply"})
_AUTOMATIC_HEADERS = (
    "X-Auto-Response-Suppress",
    "X-Autoreply",
    "X-Autorespond",
    "X-Autoresponse",
    "X-Vacation",
    "List-Id",
)
_SENDER_CHARACTERS = 200
_SUBJECT_CHARACTERS = 200


@dataclass(frozen=True)
class Said:
    """What a mail says, made safe and bounded."""

    sender: str
    subject: str
    text: str
    words: str
    """The sender's own, without what they quote."""


@dataclass(frozen=True)
class Reply:
    """A person answers."""

    about: ForCase | ForLetter
    said: Said


@dataclass(frozen=True)
class AutoReply:
    """A program answers: an absence, a ticket system, a list."""

    about: ForCase | ForLetter
    said: Said
    why: str


@dataclass(frozen=True)
class Bounce:
    """A mail server that had accepted the notice could not deliver it after all."""

    about: ForLetter
    said: Said
    recipients: tuple[str, ...]
    """Whom it did not reach; empty: it does not say, so nobody was reached for all we know."""
    reason: str


@dataclass(frozen=True)
class Progress:
    """A mail server tells how far the notice got: delayed, or passed on."""

    about: ForLetter
    said: Said
    delayed: bool
    reason: str


@dataclass(frozen=True)
class NotOurs:
    """Not addressed to a case."""


@dataclass(frozen=True)
class Hostile:
    """Refused: made to look like ours, or made to do harm."""

    why: str


OfACase = Reply | AutoReply | Bounce | Progress
Outcome = OfACase | NotOurs | Hostile


@dataclass(frozen=True)
class Addressed:
    """A mail with one of our addresses on it, whose signature is good."""

    about: ForCase | ForLetter
    letter: Letter

    @property
    def fingerprint(self) -> str:
        """The same for each copy of the same mail to the same address."""
        kind = "letter" if isinstance(self.about, ForLetter) else "case"
        return f"{kind}-{self.about.id}-{self.letter.fingerprint_of_content}"


def open_letter(raw: bytes, addresses: CaseAddresses) -> Addressed | NotOurs | Hostile:
    """Whose it is. Nothing else is kept of a mail that is nobody's."""
    letter = read_letter(raw)
    if isinstance(letter, Unreadable):
        return Hostile(letter.why)
    texts = (text for name in _ADDRESSED_IN for text in letter.headers(name))
    match addresses.first_meaning(texts):
        case None:
            return NotOurs()
        case Forged() as forged:
            return Hostile(f"the address +{forged.address} has no good signature")
        case about:
            return Addressed(about, letter)


def judge(raw: bytes, addresses: CaseAddresses) -> Outcome:
    """What it is."""
    opened = open_letter(raw, addresses)
    if not isinstance(opened, Addressed):
        return opened
    about, letter = opened.about, opened.letter
    said = _said(letter)
    if isinstance(about, ForLetter) and (told := _told_by_server(about, letter, said)):
        return told
    why = _automatic(letter)
    return AutoReply(about, said, why) if why else Reply(about, said)


def _told_by_server(about: ForLetter, letter: Letter, said: Said) -> Bounce | Progress | None:
    """A report, in its standard form or another. None: it is no report."""
    if is_report(letter):
        told = statuses(letter)
        failed = [each for each in told if each.action == "failed"]
        if failed or not told:
            named = tuple(address for each in failed for address in each.recipients)
            return Bounce(about, said, named, failed[0].words if failed else said.subject)
        delayed = any(each.action == "delayed" for each in told)
        return Progress(about, said, delayed, told[0].words)
    if named := failed_recipients(letter):
        return Bounce(about, said, named, said.subject)
    # Absences are told to the envelope's sender too, from nobody, but they say so (RFC 3834):
    # what else comes from nobody is a bounce of an old kind.
    if _from_nobody(letter) and (_from_a_server(letter) or not _marked_automatic(letter)):
        return Bounce(about, said, (), said.subject)
    return None


def _automatic(letter: Letter) -> str:
    """Why no person wrote it; empty if one may have."""
    if letter.message.get_content_type() == "multipart/report":
        return "a report"
    return _marked_automatic(letter) or ("it comes from nobody" if _from_nobody(letter) else "")


def _marked_automatic(letter: Letter) -> str:
    submitted = letter.header("Auto-Submitted").partition(";")[0].strip().lower()
    if submitted not in ("", "no"):
        return f"Auto-Submitted: {one_line(submitted, 40)}"
    precedence = letter.header("Precedence").lower()
    if precedence in _AUTOMATIC_PRECEDENCE:
        return f"Precedence: {precedence}"
    return next((name for name in _AUTOMATIC_HEADERS if letter.has(name)), "")


def _from_nobody(letter: Letter) -> bool:
    return letter.header("Return-Path") == "<>"


def _from_a_server(letter: Letter) -> bool:
    return "mailer-daemon@" in letter.header("From").lower()


def _said(letter: Letter) -> Said:
    text = whole_text(letter)
    return Said(
        sender=letter.header("From")[:_SENDER_CHARACTERS],
        subject=letter.header("Subject")[:_SUBJECT_CHARACTERS],
        text=text,
        words=own_words(text),
    )
