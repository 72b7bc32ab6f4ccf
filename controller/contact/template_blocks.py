"""Blocks of a provider's own templates that no letter has: Jinja would never write them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

import jinja2
from jinja2 import nodes

from controller.contact.templating import loader_for


def stray_blocks(folder: Path, policy: str) -> Iterator[str]:
    """What is wrong with the templates of this policy (empty: those for everybody), with file and
    line. A block inside another is the provider's own business."""
    environment = jinja2.Environment(  # noqa: S701 - it reads templates and writes nothing
        extensions=["jinja2.ext.i18n"]
    )
    loader = loader_for((policy, folder))
    for file in sorted((folder / policy).glob("*.j2")):
        try:
            tree = environment.parse(file.read_text(encoding="utf-8"), filename=str(file))
            base = _base(tree)
            known = _blocks(environment, loader, base) if base else set()
        except jinja2.TemplateSyntaxError as error:
            yield f"{error.filename}:{error.lineno}: {error.message}"
            continue
        except (OSError, UnicodeDecodeError, jinja2.TemplateNotFound) as error:
            yield f"{file}: {type(error).__name__}: {error}"
            continue
        for block in _outermost(tree) if base else ():
            if block.name not in known:
                close = difflib.get_close_matches(block.name, known, n=1)
                hint = f'; did you mean "{close[0]}"?' if close else ""
                yield (
                    f"{file}:{block.lineno}: expected a block of {base} "
                    f'({", ".join(sorted(known))}), found "{block.name}"{hint}'
                )


def _base(tree: nodes.Template) -> str | None:
    """The template that this one extends, if it is named outright."""
    extends = tree.find(nodes.Extends)
    name = extends.template if extends is not None else None
    return str(name.value) if isinstance(name, nodes.Const) else None


def _blocks(environment: jinja2.Environment, loader: jinja2.BaseLoader, name: str) -> set[str]:
    """Every block of the template and of those that it extends."""
    known: set[str] = set()
    seen: set[str] = set()
    following: str | None = name
    while following is not None and following not in seen:
        seen.add(following)
        source, filename, _ = loader.get_source(environment, following)
        tree = environment.parse(source, following, filename)
        known.update(block.name for block in tree.find_all(nodes.Block))
        following = _base(tree)
    return known


def _outermost(node: nodes.Node) -> Iterator[nodes.Block]:
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Block):
            yield child
        else:
            yield from _outermost(child)
