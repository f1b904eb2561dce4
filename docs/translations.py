"""Collect what the program says into the translations in ``apps/locale``: ``make translations``.

``python docs/translations.py`` adds new messages to each language, without a text, and takes out those that are not
said any more. A new language begins with an empty file: ``touch apps/locale/fr.po``.
"""

from __future__ import annotations

import ast
import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "apps" / "locale"

PLACES = {"apps": ("*.py", "*.js", "*.html"), "core": ("*.py",)}
"""Which files say something, by folder."""

KEYWORDS = {"say": None, "say_many": (1, 2), "sayMany": (1, 2), "marked": None}


def said_in_python(
    file: IO[bytes], keywords: Collection[str], comment_tags: object, options: object
) -> Iterator[tuple[int, str, list[str | None], list[str]]]:
    """Yield the calls of the keywords with the literals given to them, as Babel asks of an extractor.

    Babel's own reads tokens, in which Python before 3.12 hides what stands in the braces of an f-string.
    """
    calls = [node for node in ast.walk(ast.parse(file.read())) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        if isinstance(call.func, ast.Name) and call.func.id in keywords:
            values = [node.value if isinstance(node, ast.Constant) else None for node in call.args]
            yield call.lineno, call.func.id, [v if isinstance(v, str) else None for v in values], []


METHODS: dict[str, Any] = {".py": said_in_python, ".js": "javascript", ".html": "jinja2.ext:babel_extract"}
OPTIONS = {"encoding": "utf-8", "parse_template_string": "yes"}


def messages() -> Iterator[tuple[str | tuple[str, ...], str]]:
    """Yield what the program says, each with the file that says it; one with two forms is a tuple."""
    for folder, patterns in PLACES.items():
        paths = (path for pattern in patterns for path in (ROOT / folder).rglob(pattern))
        for path in sorted(paths):
            with path.open("rb") as file:
                found = extract(METHODS[path.suffix], file, keywords=KEYWORDS, options=OPTIONS)
                for _line, message, _comments, _context in found:
                    yield message, path.relative_to(ROOT).as_posix()


def template() -> Catalog:
    """Return the catalog of all messages, without texts."""
    catalog = Catalog(project="dj_panel", charset="utf-8")
    for message, place in messages():
        # Without lines: a message that moves is no news.
        catalog.add(message, locations=[(place, None)])
    return catalog


def updated(path: Path) -> str:
    """Return what the file of a language holds once it has every message of today and no other."""
    said = template()
    with path.open("rb") as file:
        catalog = read_po(file, locale=path.stem)
    catalog.update(said, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    for message in catalog:
        message.flags.discard("python-format")
    out = io.BytesIO()
    write_po(out, catalog, width=110, omit_header=False, sort_by_file=True, include_previous=False)
    return out.getvalue().decode("utf-8")


if __name__ == "__main__":
    for path in FOLDER.glob("*.po"):
        text = updated(path)  # before the file is opened to be written
        path.write_text(text, encoding="utf-8")
