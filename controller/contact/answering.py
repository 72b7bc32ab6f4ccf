"""What a customer can answer and what it brings about, in the same words everywhere. Pure."""

from __future__ import annotations

from controller.cases.model import AnswerKind, Case
from controller.fairshare.policy import Times
from controller.fairshare.sentence import duration
from controller.language.catalogue import Language, message
from controller.settings import Mode

TITLES: dict[AnswerKind, str] = {
    "acknowledge": message("I am looking into it"),
    "more-time": message("I need more time"),
    "solved": message("It is solved"),
    "dispute": message("This is wrong"),
}


def meanings(
    case: Case, times: Times, mode: Mode, language: Language, *, left_seconds: float = 0.0
) -> dict[AnswerKind, str]:
    """What each answer brings about, as the case stands.

    `left_seconds`: the time before a limit that a customer who answers now has anyhow; 0 where
    nobody knows when they will.
    """
    gettext = language.gettext
    if case.state == "limited":
        return {
            "acknowledge": gettext("We know that you have seen this."),
            "more-time": "",
            "solved": gettext(
                "The limit is lifted at once, and we check for %(time)s.",
                time=duration(times.solved_check, language),
            ),
            "dispute": gettext("One of our staff looks at the case. The limit runs out by itself."),
        }
    return {
        **_meanings_of_time(times, mode, language, left_seconds),
        "solved": gettext(
            "We check for %(time)s. If we do not see it any more, the case closes.",
            time=duration(times.solved_check, language),
        ),
        "dispute": gettext(
            "One of our staff looks at the case. Until then nothing happens by itself."
        ),
    }


def _meanings_of_time(
    times: Times, mode: Mode, language: Language, left_seconds: float
) -> dict[AnswerKind, str]:
    gettext = language.gettext
    if mode != "enforce":
        return {
            "acknowledge": gettext("We know that you have seen this."),
            "more-time": gettext("We know that it takes longer."),
        }
    seen = gettext("We know that you have seen this. The time that you have stays as it is.")
    if left_seconds < times.acknowledged:
        seen = gettext(
            "From your answer on, nothing is limited for at least %(time)s.",
            time=duration(times.acknowledged, language),
        )
    return {
        "acknowledge": seen,
        "more-time": gettext(
            "That adds %(time)s at once.", time=duration(times.more_time, language)
        ),
    }
