"""What can go wrong for whoever types a command, each with the exit status that scripts see."""

from __future__ import annotations

REFUSED, USAGE, UNREACHABLE, UNAUTHORISED, INTERNAL = 1, 2, 3, 4, 5

EXIT_STATUSES = """\b
Exit status:
  0  done
  1  the controller refused: no such case, or not possible now
  2  the command or its settings are wrong
  3  the controller cannot be reached
  4  no token, or one that does not allow this
  5  the controller or this program failed
"""
"""For --help; the first line keeps the help from being wrapped."""


class CommandFailed(Exception):
    """The command cannot be done. The text says what was expected, what was found, what to do."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
