"""On which line of a TOML file a key stands, which the parser does not tell.

For text that the parser has accepted. What stands inside an inline value (an array, an inline
table) is not looked into: `nearest_line` answers with the line where that value begins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Step = str | int
"""One step of a path from the top of the file: a key, or a place in an array from 0."""

_PART = re.compile(
    r"""[ \t]*(?:"(?P<basic>(?:\\.|[^"\\])*)"|'(?P<literal>[^']*)'|(?P<bare>[\w-]+))"""
    r"[ \t]*(?P<dot>\.?)"
)
_VALUE_PIECE = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|(?P<open>[\[{])|(?P<close>[\]}])|(?P<newline>\n)|[^\"'\#\[\]{}\n]+",
    re.DOTALL,
)
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_REST_OF_LINE = re.compile(r"[^\n]*")


def key_lines(text: str) -> dict[tuple[Step, ...], int]:
    """The line, from 1, of every table, array of tables and key, by its path from the top.

    A table that has no header of its own stands where the first thing in it does.
    """
    lines: dict[tuple[Step, ...], int] = {}
    newest: dict[tuple[Step, ...], int] = {}
    table: tuple[Step, ...] = ()
    position, line, counted_to = 0, 1, 0
    while (position := _end(_BLANK, text, position)) < len(text):
        line += text.count("\n", counted_to, position)
        counted_to = position
        if text[position] == "[":
            is_array = text.startswith("[[", position)
            key, position = _read_key(text, position + 1 + is_array)
            table = _through_arrays((), key, newest)
            if is_array:
                array = (*_through_arrays((), key[:-1], newest), key[-1])
                newest[array] = newest.get(array, -1) + 1
                table = (*array, newest[array])
            path = table
            position = _end(_REST_OF_LINE, text, position)
        else:
            key, position = _read_key(text, position)
            path = _through_arrays(table, key, newest)
            position = _after_value(text, position + 1)
        for length in range(1, len(path) + 1):
            lines.setdefault(path[:length], line)
        lines[path] = line
    return lines


def nearest_line(lines: Mapping[tuple[Step, ...], int], path: Sequence[Step]) -> int | None:
    """The line of the deepest part of `path` that has one; None when nothing has."""
    for length in range(len(path), 0, -1):
        line = lines.get(tuple(path[:length]))
        if line is not None:
            return line
    return None


def _read_key(text: str, position: int) -> tuple[tuple[str, ...], int]:
    """A dotted key, and where it ends."""
    parts = []
    while part := _PART.match(text, position):
        named = part["bare"] or part["literal"] or part["basic"] or ""
        parts.append(re.sub(r"\\(.)", r"\1", named) if part["basic"] else named)
        position = part.end()
        if not part["dot"]:
            break
    return tuple(parts), position


def _through_arrays(
    start: tuple[Step, ...], key: Sequence[str], newest: dict[tuple[Step, ...], int]
) -> tuple[Step, ...]:
    """`key` below `start`; an array of tables on the way means the newest table in it."""
    path = start
    for part in key:
        path = (*path, part)
        if path in newest:
            path = (*path, newest[path])
    return path


def _after_value(text: str, position: int) -> int:
    """Where the line of a value ends, or the last one if it goes over several."""
    depth = 0
    while piece := _VALUE_PIECE.match(text, position):
        position = piece.end()
        depth += bool(piece["open"]) - bool(piece["close"])
        if piece["newline"] and depth == 0:
            break
    return position


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position
