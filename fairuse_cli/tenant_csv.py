"""CSV into the tenant directory's entries, refused whole when a line of it is wrong.

A line is one contact of a tenant; further lines of the same tenant are further contacts. Columns
are named as the keys of tenants.toml are, and those that both a tenant and a contact have begin
with `contact_` for the contact.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import msgspec

from controller.contact.sources.entry import fault_in, is_tenants_name
from controller.tenants import Tenant, TenantContact

_NOT_FROM_OUTSIDE = frozenset({"webhook_url", "webhook_secret_file"})
"""A webhook needs a secret in a file of the controller's: such tenants go into tenants.toml."""
_MOST_TOLD = 20

_TENANT_KEYS = tuple(key for key in Tenant.__struct_fields__ if key != "contacts")
_CONTACT_KEYS = {
    (f"contact_{key}" if key in _TENANT_KEYS else key): key
    for key in TenantContact.__struct_fields__
    if key not in _NOT_FROM_OUTSIDE
}
_COLUMN_OF = {key: column for column, key in _CONTACT_KEYS.items()}
_LISTS = frozenset(
    field.name
    for field in msgspec.structs.fields(TenantContact)
    if isinstance(field.default, tuple)
)
COLUMNS = ("tenant", *_TENANT_KEYS, *_CONTACT_KEYS)
"""Every column that there can be. Only `tenant` has to be there."""


class CsvRefused(Exception):
    """The file cannot be used. The text names its lines, one fault a line."""


@dataclass
class _Lines:
    """What the lines of one tenant say."""

    first: int
    said: dict[str, str] = field(default_factory=dict)
    contacts: list[dict[str, object]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    """The line of each contact."""


def read_csv(path: Path) -> dict[str, Tenant]:
    """Every tenant of the file, or CsvRefused with everything that is wrong in it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CsvRefused(f"{path}: cannot be read as UTF-8: {error}") from error
    faults: list[str] = []
    tenants: dict[str, _Lines] = {}
    for number, row in _rows(text, faults):
        _take(row, number, tenants, faults)
    entries: dict[str, Tenant] = {}
    for name, lines in tenants.items():
        entry = _entry(lines, faults)
        if entry is not None:
            entries[name] = entry
    if not entries and not faults:
        faults.append("1: expected a line for each contact below the columns, found none")
    if faults:
        raise CsvRefused(_told(path, faults))
    return entries


def _rows(text: str, faults: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line's cells that hold something, by column, with the number of its first line."""
    head = text.partition("\n")[0]
    # Spreadsheets write semicolons where the comma is in the numbers.
    delimiter = ";" if head.count(";") > head.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [cell.strip().lower() for cell in next(reader, [])]
        wrong = _wrong_columns(columns)
        if wrong:
            faults.extend(f"1: {fault}" for fault in wrong)
            return
        number = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if len(cells) == len(columns):
                    pairs = zip(columns, cells, strict=True)
                    yield number, {name: cell.strip() for name, cell in pairs if cell.strip()}
                else:
                    faults.append(
                        f"{number}: expected {len(columns)} cells as in line 1, found {len(cells)}"
                    )
            number = reader.line_num + 1
    except csv.Error as error:
        faults.append(f"{reader.line_num}: not valid CSV: {error}")


def _wrong_columns(columns: list[str]) -> list[str]:
    faults = []
    if "tenant" not in columns:
        faults.append('expected a column "tenant", found none')
    for index, column in enumerate(columns):
        if column in columns[:index]:
            faults.append(f'expected each column once, found "{column}" twice')
        elif column not in COLUMNS:
            close = difflib.get_close_matches(column, COLUMNS, n=1)
            hint = f'did you mean "{close[0]}"?' if close else f"there are {', '.join(COLUMNS)}"
            faults.append(f'unknown column "{column}"; {hint}')
    return faults


def _take(row: dict[str, str], number: int, tenants: dict[str, _Lines], faults: list[str]) -> None:
    name = row.get("tenant", "")
    if not is_tenants_name(name):
        faults.append(f"{number}: tenant: expected a name that can be printed, found {name!r}")
        return
    lines = tenants.setdefault(name, _Lines(first=number))
    for key in _TENANT_KEYS:
        said = row.get(key)
        before = lines.said.setdefault(key, said) if said else None
        if before is not None and before != said:
            faults.append(
                f'{number}: {key}: expected "{before}" as for the same tenant above, found "{said}"'
            )
    contact: dict[str, object] = {
        key: tuple(row[column].split()) if key in _LISTS else row[column]
        for column, key in _CONTACT_KEYS.items()
        if column in row
    }
    if contact:
        lines.contacts.append(contact)
        lines.numbers.append(number)


def _entry(lines: _Lines, faults: list[str]) -> Tenant | None:
    contacts = []
    for number, said in zip(lines.numbers, lines.contacts, strict=True):
        good, wrong = _usable(said, TenantContact, _COLUMN_OF)
        contact = msgspec.convert(good, TenantContact)
        contacts.append(contact)
        if fault := fault_in(contact):
            wrong.append(fault)
        faults.extend(f"{number}: {fault}" for fault in wrong)
    good, wrong = _usable({**lines.said}, Tenant, {})
    faults.extend(f"{lines.first}: {fault}" for fault in wrong)
    return None if wrong else msgspec.convert({**good, "contacts": contacts}, Tenant)


def _usable(
    said: dict[str, object], kind: type[Tenant | TenantContact], columns: dict[str, str]
) -> tuple[dict[str, object], list[str]]:
    """What can be used of what a line says, and what is wrong with each of the others: one fault
    must not hide the next. `columns`: the column of a key that is called otherwise."""
    good: dict[str, object] = {}
    faults = []
    for key, value in said.items():
        try:
            msgspec.convert({key: value}, kind)
        except msgspec.ValidationError as error:
            column = columns.get(key, key)
            faults.append(_in_words(column, key, value, kind) or _with_column(column, key, error))
        else:
            good[key] = value
    return good, faults


def _in_words(
    column: str, key: str, value: object, kind: type[Tenant | TenantContact]
) -> str | None:
    """What is wrong with a value of which only some are allowed; None: there is no such list."""
    allowed = _allowed(key, kind)
    given = value if isinstance(value, tuple) else (value,)
    wrong = [each for each in given if each not in allowed]
    if not allowed or not wrong:
        return None
    some = "" if isinstance(value, tuple) else "one of "
    found = ", ".join(f'"{each}"' for each in wrong)
    return f"{column}: expected {some}{', '.join(allowed)}, found {found}"


def _allowed(key: str, kind: type[Tenant | TenantContact]) -> tuple[str, ...]:
    """The values that this key can have, where they are counted."""
    hint = get_type_hints(kind)[key]
    item = get_args(hint)[0] if get_origin(hint) is tuple else hint
    return get_args(item) if get_origin(item) is Literal else ()


def _with_column(column: str, key: str, error: msgspec.ValidationError) -> str:
    """As the setting itself says it, under the column's name."""
    return f"{column}: {str(error).removeprefix(f'{key}: ')}"


def _told(path: Path, faults: list[str]) -> str:
    more = len(faults) - _MOST_TOLD
    shown = [f"{path}:{fault}" for fault in faults[:_MOST_TOLD]]
    return "\n".join([*shown, *([f"and {more} more"] if more > 0 else [])])
