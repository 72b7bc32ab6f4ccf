"""The little pattern language of `[[tenants]]`: `{tenant}`, `*` and `**`.

Where a text can be split in more than one way, the left part is taken as short as possible:
`tap{tenant}i*` reads "tap100i1i2" as tenant "100".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"\{[^{}]*\}|[{}]|\*+|[^{}*]+")
_ANY_COMPONENTS = "**"


class PatternError(ValueError):
    """A pattern cannot be used. The text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A pattern for one interface name."""

    text: str
    expression: re.Pattern[str]

    @classmethod
    def parse(cls, text: str) -> NamePattern:
        """Compile `text`, or raise PatternError."""
        if "/" in text or not text:
            raise PatternError('expected an interface name such as "tap{tenant}i*"')
        _require_one_tenant(text)
        return cls(text, re.compile(_component(text)))

    def tenant(self, name: str) -> str | None:
        """The tenant that `name` speaks of, or None where the pattern does not fit."""
        match = self.expression.fullmatch(name)
        return match["tenant"] if match else None


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A pattern for a cgroup's path. `components` are expressions; None stands for `**`."""

    text: str
    expression: re.Pattern[str]
    components: tuple[re.Pattern[str] | None, ...]

    @classmethod
    def parse(cls, text: str) -> PathPattern:
        """Compile `text`, or raise PatternError."""
        _require_one_tenant(text)
        parts = text.strip("/").split("/")
        if "" in parts:
            raise PatternError('expected one "/" between components')
        whole, components = "", list[re.Pattern[str] | None]()
        for part in parts:
            if part == _ANY_COMPONENTS:
                whole += "(?:/[^/]+)*?"
                components.append(None)
            else:
                expression = _component(part)
                whole += "/" + expression
                components.append(re.compile(expression))
        return cls(text, re.compile(whole), tuple(components))

    def tenant(self, path: str) -> str | None:
        """The tenant that owns the cgroup `path`, or None where the pattern does not fit."""
        match = self.expression.fullmatch(path)
        return match["tenant"] if match else None

    def may_fit_below(self, path: str) -> bool:
        """Can a cgroup below `path` ("" is the root) fit? What cannot need not be walked."""
        names = path.split("/")[1:]
        for index, component in enumerate(self.components):
            if component is None:
                return True
            if index == len(names):
                return True
            if component.fullmatch(names[index]) is None:
                return False
        return False


def _require_one_tenant(text: str) -> None:
    if text.count("{tenant}") != 1:
        raise PatternError("expected {tenant} in it once")


def _component(text: str) -> str:
    """One path component or interface name as a regular expression."""
    expression = ""
    for token in _TOKEN.findall(text):
        if token == "{tenant}":
            expression += "(?P<tenant>[^/]+?)"
        elif token == "*":
            expression += "[^/]*?"
        elif token.startswith("*"):
            raise PatternError('expected "**" to be a whole path component')
        elif token[0] in "{}":
            raise PatternError(f"found {token}; the only name in braces is {{tenant}}")
        else:
            expression += re.escape(token)
    return expression
