"""Write ``docs/reference.md`` from the docstrings of the public names: ``make docs``."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import dj_panel

PAGE = Path(__file__).with_name("reference.md")

GROUPS: dict[str, tuple[str, ...]] = {
    "Schemas": (
        "Schema",
        "VirtualModule",
        "virtual_schema",
        "list_schemas",
        "Instance",
        "conn",
        "Connection",
    ),
    "Tables": ("Table", "FreeTable", "Manual", "Lookup", "Imported", "Computed", "Part"),
    "Queries": ("Not", "AndList", "Top", "U", "Diagram"),
    "Computing": ("AutoPopulate", "Job"),
    "Values": (
        "Codec",
        "SchemaCodec",
        "list_codecs",
        "get_codec",
        "ObjectRef",
        "NpyRef",
        "MatCell",
        "MatStruct",
    ),
}
"""Where each public name stands on the page; a name that is missing here stands at its end."""

MODULES = ("deploy", "migrate")
"""Public names that are modules of functions."""

INTRODUCTION = """# Reference

Every public name of `import dj_panel as dj`, from its docstring. `make docs` writes this page.
For how to work with them see [the guide for scientists](scientist.md).
"""


def public_members(cls: type[Any], described: set[Any]) -> Iterator[tuple[str, Any]]:
    """Yield a class's public methods and properties that have a docstring and were not described yet."""
    for name in sorted({name for base in cls.__mro__ for name in vars(base)}):
        if name.startswith("_"):
            continue
        member = inspect.getattr_static(cls, name)
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not inspect.isfunction(function) or not function.__module__.startswith("dj_panel"):
            continue
        if function in described or not inspect.getdoc(function):
            continue
        described.add(function)
        yield name, member


def signature(member: Any) -> str:
    """Return the parameters as they are written, without annotations and the instance."""
    if isinstance(member, property):
        return ""
    function = getattr(member, "__func__", member)
    try:
        found = inspect.signature(function)
    except ValueError:
        return "(…)"
    parameters = [
        p.replace(annotation=p.empty) for n, p in found.parameters.items() if n not in ("self", "cls")
    ]
    return str(found.replace(parameters=parameters, return_annotation=found.empty))


def as_markdown(docstring: str) -> str:
    """Return a NumPy-style docstring as Markdown."""
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", inspect.cleandoc(docstring))
    text = re.sub(r"(\w)::\n", r"\1:\n", text.replace("``", "`"))
    sections = re.split(r"^([A-Z][\w ]+)\n-{3,}\n", text, flags=re.MULTILINE)
    parts = [sections[0].strip()]
    for title, body in zip(sections[1::2], sections[2::2], strict=True):
        shown = f"```python\n{body.strip()}\n```" if title == "Examples" else "\n".join(entries(body))
        parts += [f"**{title}**", shown]
    return "\n\n".join(part for part in parts if part)


def entries(body: str) -> Iterator[str]:
    """Yield the entries of a section as items of a list."""
    for entry in re.split(r"\n(?=\S)", body.strip("\n")):
        name, _, description = entry.partition("\n")
        words = " ".join(textwrap.dedent(description).split())
        yield f"- `{name}`: {words}" if words else f"- {name}"


def describe(name: str, described: set[Any]) -> Iterator[str]:
    """Yield the blocks of one public name."""
    value = getattr(dj_panel, name)
    if name in MODULES:
        yield f"### dj.{name}"
        yield as_markdown(inspect.getdoc(value) or "")
        for function_name in value.__all__:
            function = getattr(value, function_name)
            yield f"#### {name}.{function_name}{signature(function)}"
            yield as_markdown(inspect.getdoc(function) or "")
        return
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        return
    if value in described:
        yield f"### dj.{name}\n\nAnother name of `{value.__name__}`."
        return
    described.add(value)
    yield f"### dj.{name}{signature(value) if not inspect.isclass(value) else ''}"
    yield as_markdown(inspect.getdoc(value) or "")
    if inspect.isclass(value):
        for member_name, member in public_members(value, described):
            yield f"#### {name}.{member_name}{signature(member)}"
            yield as_markdown(inspect.getdoc(member) or "")


def page() -> str:
    """Return the whole page."""
    described: set[Any] = set()
    blocks = [INTRODUCTION.rstrip()]
    placed = {name for names in GROUPS.values() for name in names}
    rest: Iterable[str] = (name for name in dj_panel.__all__ if name not in placed)
    for title, names in {**GROUPS, "Other names": tuple(rest)}.items():
        blocks.append(f"## {title}")
        for name in names:
            if name in dj_panel.__all__:
                blocks += describe(name, described)
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
