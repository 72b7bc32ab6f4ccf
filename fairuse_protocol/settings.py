"""Configuration files: TOML into typed settings, refused whole when anything in them is wrong.

A setting's type is a frozen msgspec Struct whose fields have defaults. An error names the file,
the line, the key, what was found and what is expected, so that it can be mended without reading
the code.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, dataclass_transform

import msgspec
import tomli

from fairuse_protocol.toml_lines import Step, key_lines, nearest_line
from fairuse_protocol.units import Duration, Rate, Size

SettingsType = TypeVar("SettingsType")

_PARSED_FROM_TEXT = (Duration, Rate, Size)
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<key>[^`]+)`")
_MISSING_FIELD = re.compile(r"Object missing required field `(?P<key>[^`]+)`")
_AT_PATH = re.compile(r"(?P<reason>.*?) - at `\$(?P<path>.*)`$", re.DOTALL)
_STEP = re.compile(r"\.(?P<key>\w+)|\[(?P<index>\d+)\]|\[\.\.\.\]")
_OWN_KEY = re.compile(r"(?P<key>[a-z_]+(?:\.[a-z_]+|\[\d+\])*): (?=expected )")
"""How a reason begins that `require` gave."""
_NAMED_KEY = re.compile(r"[a-z_]+(?:\.[a-z_]+)*")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every settings table. Subclasses check ranges in ``__post_init__``."""


class SettingsError(Exception):
    """A configuration file cannot be used. The message says where, what and what is expected."""


def load_settings(path: Path, settings_type: type[SettingsType]) -> SettingsType:
    """Read `path` into `settings_type`, or raise SettingsError naming file and key."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    return parse_settings(text, settings_type, source=str(path))


def parse_settings(text: str, settings_type: type[SettingsType], *, source: str) -> SettingsType:
    """Read TOML `text` into `settings_type`; `source` names it in errors."""
    try:
        raw = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise SettingsError(f"{source}:{error.lineno}: not valid TOML: {error}") from error
    try:
        return _convert(raw, settings_type)
    except msgspec.ValidationError as error:
        problem, path = _explain(str(error), raw, settings_type)
        raise SettingsError(f"{_place(text, path, problem, source)}: {problem}") from error


def problem_in(path: Path, problem: str) -> SettingsError:
    """The error that `require` found in the settings of `path` once they were read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return SettingsError(f"{path}: {problem}")
    own = _OWN_KEY.match(problem)
    steps = _own_steps(own["key"]) if own else ()
    return SettingsError(f"{_place(text, steps, problem, str(path))}: {problem}")


def require(condition: bool, key: str, *, expected: str, found: object) -> None:
    """Check one setting from a ``__post_init__``; `key` counts from the checking table."""
    if not condition:
        raise ValueError(f"{key}: expected {expected}, found {found}")


def _from_text(wanted: type, found: Any) -> Any:
    for kind in _PARSED_FROM_TEXT:
        if wanted is kind:
            if not isinstance(found, str):
                raise ValueError(
                    f"expected {kind.__name__.lower()} text with a unit, found {found!r}"
                )
            return kind.parse(found)
    raise NotImplementedError(f"settings cannot hold {wanted}")


def _convert(raw: object, settings_type: type[SettingsType]) -> SettingsType:
    return msgspec.convert(raw, settings_type, dec_hook=_from_text, strict=True)


def _explain(
    message: str, raw: dict[str, Any], settings_type: type[Any]
) -> tuple[str, tuple[Step, ...]]:
    """What is wrong in words that name the key, and the path to that key."""
    fields = _known_fields(settings_type)
    located = _AT_PATH.match(message)
    path = _steps(located["path"] if located else "", raw, settings_type)
    reason = located["reason"] if located else message
    unknown = _UNKNOWN_FIELD.match(reason)
    if unknown:
        where = f"[{_written(path)}] " if path else ""
        close = difflib.get_close_matches(unknown["key"], fields, n=1)
        hint = f'; did you mean "{close[0]}"?' if close else ""
        return f'{where}unknown key "{unknown["key"]}"{hint}', (*path, unknown["key"])
    if _MISSING_FIELD.match(reason):
        where = f"{_written(path)}: " if path else ""
        return f"{where}{_what_is_missing(path, raw, settings_type)}", path
    own = _OWN_KEY.match(reason)
    if own:
        path, reason = (*path, *_own_steps(own["key"])), reason[own.end() :]
    if not path:
        return reason, path
    named = [step for step in path if isinstance(step, str)]
    choices = fields.get(named[-1], [])
    expected = f"; expected one of {', '.join(choices)}" if choices and not own else ""
    return f"{_written(path)}: {reason}{expected}", path


def _what_is_missing(path: Sequence[Step], raw: dict[str, Any], settings_type: type[Any]) -> str:
    """Which keys a table has to have, and which of them it lacks."""
    found: Any = raw
    info: Any = msgspec.inspect.type_info(settings_type)
    for step in path:
        found, info = found[step], _below(info, step)
    needed = [field.encode_name for field in info.fields if field.required]
    lacking = [name for name in needed if name not in found]
    return f"expected all of {', '.join(needed)}, found no {' and no '.join(lacking)}"


def _below(info: Any, step: Step) -> Any:
    """The type of what is at `step` in a value of this type; of several, the table."""
    if isinstance(info, msgspec.inspect.StructType):
        below: Any = next(field.type for field in info.fields if field.encode_name == step)
    elif isinstance(info, msgspec.inspect.DictType):
        below = info.value_type
    else:
        below = info.item_type
    if isinstance(below, msgspec.inspect.UnionType):
        return next(each for each in below.types if hasattr(each, "fields"))
    return below


def _steps(path_text: str, raw: dict[str, Any], settings_type: type[Any]) -> tuple[Step, ...]:
    """The path as msgspec writes it, with the keys of mappings, which it leaves out."""
    steps: list[Step] = []
    for step in _STEP.finditer(path_text):
        if step["key"]:
            steps.append(step["key"])
        elif step["index"]:
            steps.append(int(step["index"]))
        else:
            key = _bad_key(steps, raw, settings_type)
            if key is None:
                break
            steps.append(key)
    return tuple(steps)


def _bad_key(path: Sequence[Step], raw: dict[str, Any], settings_type: type[Any]) -> str | None:
    """The first key of the mapping at `path` without whose neighbours the error is still there."""
    mapping: Any = raw
    for step in path:
        mapping = mapping[step]
    for key in mapping if isinstance(mapping, dict) else ():
        try:
            _convert(_replaced(raw, path, {key: mapping[key]}), settings_type)
        except msgspec.ValidationError:
            return str(key)
    return None


def _replaced(container: Any, path: Sequence[Step], value: object) -> Any:
    """A copy of `container` with `value` at `path`."""
    if not path:
        return value
    copy = container.copy()
    copy[path[0]] = _replaced(container[path[0]], path[1:], value)
    return copy


def _written(path: Sequence[Step]) -> str:
    """A path as people write it: "tenants[0].cgroup"."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(parts).removeprefix(".")


def _own_steps(key: str) -> tuple[Step, ...]:
    """The path of a key as `require` is given it: "for[0].policy"."""
    return tuple(
        step["key"] or int(step["index"]) for step in _STEP.finditer(f".{key}") if step.lastgroup
    )


def _place(text: str, path: Sequence[Step], problem: str, source: str) -> str:
    """File and line of the key, or of one that the problem names where the key has its default."""
    named = [tuple(key.split(".")) for key in _NAMED_KEY.findall(problem)]
    if len(path) > 1:
        # Within a table a single word is just a word.
        named = [key for key in named if len(key) > 1]
    known = key_lines(text)
    lines = (known[key] for key in (tuple(path), *named) if key in known)
    line = next(lines, nearest_line(known, path))
    return source if line is None else f"{source}:{line}"


def _known_fields(settings_type: object) -> dict[str, list[str]]:
    """Every key of the settings type and of the tables below it, with its choices if it has any."""
    fields: dict[str, list[str]] = {}
    pending: list[Any] = [msgspec.inspect.type_info(settings_type)]
    while pending:
        info = pending.pop()
        if isinstance(info, msgspec.inspect.StructType):
            for field in info.fields:
                fields[field.encode_name] = _choices(field.type)
                pending.append(field.type)
        elif isinstance(info, msgspec.inspect.UnionType):
            pending.extend(info.types)
        elif isinstance(info, msgspec.inspect.VarTupleType):
            pending.append(info.item_type)
        elif isinstance(info, msgspec.inspect.DictType):
            pending.append(info.value_type)
    return fields


def _choices(info: msgspec.inspect.Type) -> list[str]:
    if isinstance(info, msgspec.inspect.VarTupleType):
        info = info.item_type
    if isinstance(info, msgspec.inspect.LiteralType):
        return [f'"{value}"' for value in info.values]
    return []
