"""Configuration files: TOML into typed settings, refused whole when anything in them is wrong.

A setting's type is a frozen msgspec Struct whose fields have defaults. An error names the file,
the key, what was found and what is expected, so that it can be mended without reading the code.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any, TypeVar, dataclass_transform

import msgspec
import tomli

from fairuse_protocol.units import Duration, Rate, Size

SettingsType = TypeVar("SettingsType")

_PARSED_FROM_TEXT = (Duration, Rate, Size)
_UNKNOWN_FIELD = re.compile(
    r"Object contains unknown field `(?P<key>[^`]+)`(?: - at `(?P<at>.+)`)?"
)
_AT_PATH = re.compile(r"(?P<reason>.*?) - at `\$\.?(?P<path>.*)`$", re.DOTALL)


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
        raise SettingsError(f"{source}: not valid TOML: {error}") from error
    try:
        return msgspec.convert(raw, settings_type, dec_hook=_from_text, strict=True)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{source}: {_explain(str(error), settings_type)}") from error


def require(condition: bool, key: str, *, expected: str, found: object) -> None:
    """Check one setting's range from a ``__post_init__``."""
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


def _explain(message: str, settings_type: object) -> str:
    fields = _known_fields(settings_type)
    unknown = _UNKNOWN_FIELD.search(message)
    if unknown:
        table = (unknown["at"] or "$").removeprefix("$").lstrip(".")
        where = f"[{table}] " if table else ""
        close = difflib.get_close_matches(unknown["key"], fields, n=1)
        hint = f'; did you mean "{close[0]}"?' if close else ""
        return f'{where}unknown key "{unknown["key"]}"{hint}'
    located = _AT_PATH.match(message)
    if not located or not located["path"]:
        return message
    path, reason = located["path"], located["reason"]
    choices = fields.get(path.split(".")[-1].split("[")[0], [])
    expected = f"; expected one of {', '.join(choices)}" if choices else ""
    return f"{path}: {reason}{expected}"


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
