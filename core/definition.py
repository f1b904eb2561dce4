"""The definition language: text ⇄ :class:`Definition`.

The one grammar behind declaring, describing and altering tables and behind the forms of the app::

    # comment of the table
    -> Subject                          foreign key; [nullable, unique] and .proj(new="old") allowed
    session_id : int32                  # comment
    ---                                 ends the primary key
    weight = null : decimal(5, 2)       # g
    notes = ""    : varchar(1000)
    trace         : <blob@raw>          # a codec, perhaps in a store
    unique index (weight, (lower(notes)))

Source: DataJoint 2.3, `reference/specs/table-declaration`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from dj_panel.core.coretypes import parse_type
from dj_panel.core.errors import DefinitionError, did_you_mean
from dj_panel.core.place import Place, Placed
from dj_panel.core.writtentypes import SERVER_VALUE, check_default, check_written_type

__all__ = [
    "AttributeLine",
    "Definition",
    "ForeignKeyLine",
    "IndexLine",
    "Reference",
    "format_definition",
    "json_path",
    "parse_definition",
]

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_INDEX = re.compile(r"(unique\s+)?index\s*\((.*)\)\s*$", re.IGNORECASE | re.DOTALL)
_INDEX_START = re.compile(r"(unique\s+)?index\s*\(", re.IGNORECASE)
_JSON_PATH = re.compile(
    r"(?P<attribute>[a-z][a-z0-9_]*)\.(?P<path>[\w.\[\]]+)(?:\s*:\s*(?P<type>[A-Za-z][\w(), ]*))?"
)
_ARROW = re.compile(r"->\s*(?:\[([^\]]*)\])?\s*(.*)$", re.DOTALL)
_CODEC = re.compile(r"<[a-z][a-z0-9_]*(?:@[A-Za-z0-9_\-]*)?>")


@dataclass(frozen=True)
class Reference:
    """What a foreign key names: a table by its class path, perhaps with renamed attributes.

    Parameters
    ----------
    path
        ``"Subject"``, ``"subject.Subject"``, ``"Session.Trial"`` or ``"master"``.
    renamed
        Pairs ``(new name here, name in the parent)``.
    """

    path: str
    renamed: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        if not self.renamed:
            return self.path
        pairs = ", ".join(f'{new}="{old}"' for new, old in self.renamed)
        return f"{self.path}.proj({pairs})"


@dataclass(frozen=True)
class AttributeLine(Placed):
    """``name = default : type  # comment``; ``default`` is text without quotes, ``None`` if there is none."""

    name: str
    type: str
    in_key: bool
    nullable: bool = False
    default: str | None = None
    comment: str = ""

    @property
    def is_numbered(self) -> bool:
        """Whether the server numbers new rows."""
        return not self.type.startswith(("<", "enum")) and "auto_increment" in self.type.lower()

    def __str__(self) -> str:
        default = " = null" if self.nullable else ""
        if self.default is not None:
            bare = SERVER_VALUE.fullmatch(self.default) or re.fullmatch(r"-?\d+(\.\d+)?", self.default)
            default = f" = {self.default}" if bare else " = " + _quoted(self.default)
        text = f"{self.name + default:<20} : {self.type}"
        return f"{text:<44} # {_one_line(self.comment)}".rstrip() if self.comment else text


@dataclass(frozen=True)
class ForeignKeyLine(Placed):
    """``-> [nullable, unique] Reference``."""

    reference: Reference
    in_key: bool
    nullable: bool = False
    unique: bool = False

    def __str__(self) -> str:
        options = [word for word, on in (("nullable", self.nullable), ("unique", self.unique)) if on]
        return f"-> {'[' + ', '.join(options) + '] ' if options else ''}{self.reference}"


@dataclass(frozen=True)
class IndexLine(Placed):
    """``unique index (a, (expression), document.path:type)``; expressions keep their parentheses."""

    columns: tuple[str, ...]
    unique: bool = False

    def __str__(self) -> str:
        return f"{'unique ' if self.unique else ''}index ({', '.join(self.columns)})"


Line = AttributeLine | ForeignKeyLine | IndexLine


@dataclass(frozen=True)
class Definition(Placed):
    """A table definition, line by line in the order written; its place is that of its comment."""

    lines: tuple[Line, ...]
    comment: str = ""
    has_key: bool = field(default=True, compare=False)

    @property
    def attributes(self) -> tuple[AttributeLine, ...]:
        """The attributes that the definition itself names."""
        return tuple(line for line in self.lines if isinstance(line, AttributeLine))

    @property
    def foreign_keys(self) -> tuple[ForeignKeyLine, ...]:
        """The foreign keys."""
        return tuple(line for line in self.lines if isinstance(line, ForeignKeyLine))

    @property
    def indexes(self) -> tuple[IndexLine, ...]:
        """The indexes."""
        return tuple(line for line in self.lines if isinstance(line, IndexLine))


def parse_definition(text: str) -> Definition:
    """Read a table definition.

    Parameters
    ----------
    text
        The definition as written in a class.

    Returns
    -------
    Definition
        Its lines in order; attributes and foreign keys know whether they are part of the primary key.

    Raises
    ------
    DefinitionError
        At the first line that cannot be read, with its line, its column, and what to write instead.

    Examples
    --------
    >>> definition = parse_definition('''
    ... # scans of a session
    ... -> Session
    ... scan : int16      # number of the scan
    ... ---
    ... depth = null : float32  # um
    ... ''')
    >>> [str(line.in_key) for line in definition.lines], definition.comment
    (['True', 'True', 'False'], 'scans of a session')
    """
    lines: list[Line] = []
    comment = ""
    comment_place: Place | None = None
    in_key = True
    seen: dict[str, int] = {}
    started = False
    # Only what ends a line of a file: a comment may hold any other character that separates lines elsewhere.
    for number, raw in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        stripped = raw.strip()
        if not stripped:
            continue
        at = Place(number, raw)
        if stripped.startswith("#"):
            if not started:
                comment, comment_place = stripped[1:].strip(), at
                if comment.startswith(":"):
                    raise at.error("A table comment cannot begin with a colon")
            started = True
            continue
        started = True
        if stripped.startswith("---"):
            in_key = False
            continue
        line = _parse_line(stripped, in_key, at)
        if isinstance(line, AttributeLine):
            if line.name in seen:
                raise at.error(f"The attribute '{line.name}' was already defined in line {seen[line.name]}")
            seen[line.name] = number
        elif isinstance(line, IndexLine) and line in lines:
            raise at.error("The definition has this index already; remove the line")
        lines.append(line)
    has_key = any(not isinstance(line, IndexLine) and line.in_key for line in lines)
    if not lines and in_key:
        raise DefinitionError("The definition is empty. A table without a primary key begins with ---.")
    return Definition(tuple(lines), comment, has_key, place=comment_place)


def format_definition(definition: Definition) -> str:
    """Return the text of a definition, from which :func:`parse_definition` reads the same again."""
    out = [f"# {_one_line(definition.comment)}"] if definition.comment else []
    key = [str(line) for line in definition.lines if not isinstance(line, IndexLine) and line.in_key]
    rest = [str(line) for line in definition.lines if isinstance(line, IndexLine) or not line.in_key]
    return "\n".join([*out, *key, "---", *rest]) + "\n"


# ---------------------------------------------------------------------------- one line
def _parse_line(text: str, in_key: bool, at: Place) -> Line:
    if text.startswith("->"):
        return _parse_foreign_key(text, in_key, at)
    if _INDEX_START.match(text):
        mark = next((position for position, letter in _outside_quotes(text) if letter == "#"), len(text))
        match = _INDEX.match(text[:mark].rstrip())
        if not match:
            raise at.error("The parentheses of the index are not closed")
        return IndexLine(_split_columns(match[2], at), bool(match[1]), place=at)
    return _parse_attribute(text, in_key, at)


def _parse_foreign_key(text: str, in_key: bool, at: Place) -> ForeignKeyLine:
    match = _ARROW.match(text)
    assert match is not None
    body = match[2].partition("#")[0].strip()
    options = [word.strip().lower() for word in (match[1] or "").split(",") if word.strip()]
    for option in options:
        if option not in ("nullable", "unique"):
            raise at.error(
                f"'{option}' is not an option of a foreign key; there are nullable and unique."
                + did_you_mean(option, ("nullable", "unique")),
                option,
            )
    nullable = "nullable" in options
    if nullable and in_key:
        raise at.error("A foreign key of the primary key cannot be nullable; move it below the line ---")
    if not body:
        raise at.error("The foreign key names no table")
    return ForeignKeyLine(_parse_reference(body, at), in_key, nullable, "unique" in options, place=at)


def _parse_reference(text: str, at: Place) -> Reference:
    # The grammar of Python, but never its evaluation: names, attributes, and one call of proj.
    problem = 'A foreign key names a table, such as Subject or lab.Subject, perhaps with .proj(new="old")'
    try:
        node: ast.expr = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise at.error(problem, text) from error
    renamed: list[tuple[str, str]] = []
    if isinstance(node, ast.Call):
        function = node.func
        if not isinstance(function, ast.Attribute) or function.attr != "proj":
            raise at.error(problem, text)
        for keyword in node.keywords:
            value = keyword.value
            if keyword.arg is None or not isinstance(value, ast.Constant) or not isinstance(value.value, str):
                raise at.error('Inside proj( ) write new="old", one for each renamed attribute', text)
            renamed.append((_valid_name(keyword.arg, at), value.value.strip("() ")))
            if any(old == renamed[-1][1] for _, old in renamed[:-1]):
                raise at.error(
                    f"A foreign key names '{renamed[-1][1]}' once; write a second foreign key for a second name",
                    keyword.arg,
                )
        for argument in node.args:
            if not isinstance(argument, ast.Constant) or argument.value is not ...:
                word = ast.get_source_segment(text, argument) or text
                raise at.error(
                    f'Inside proj( ) write new="old", one for each renamed attribute; {word} alone says nothing, for a'
                    " foreign key has the whole primary key of its parent",
                    word,
                )
        node = function.value
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise at.error(problem, text)
    parts.append(node.id)
    return Reference(".".join(reversed(parts)), tuple(renamed))


def _split_columns(text: str, at: Place) -> tuple[str, ...]:
    columns = split_items(text)
    if not columns or not all(columns):
        raise at.error(
            "An index lists attributes with commas between, each expression in its own parentheses"
        )
    for column in columns:
        is_known = column.startswith("(") or _NAME.fullmatch(column) or json_path(column)
        if not is_known or "*/" in column:
            raise at.error(
                f"'{column}' is not an attribute; put an expression in parentheses of its own, and write a place"
                " inside a json attribute as document.path:type",
                column,
            )
        if columns.count(column) > 1:
            raise at.error(f"The index names {column} twice", column, "(")
    return tuple(columns)


def split_items(text: str) -> list[str]:
    """Return what stands between commas outside quotes and parentheses; nothing if a parenthesis is open.

    >>> split_items("a, (concat(b, ', ')), c.d:decimal(5, 2)")
    ['a', "(concat(b, ', '))", 'c.d:decimal(5, 2)']
    """
    items: list[str] = []
    depth, start = 0, 0
    for position, letter in _outside_quotes(text + ","):
        if letter == "," and depth == 0:
            items.append(text[start:position].strip())
            start = position + 1
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return []
    return items if depth == 0 and start == len(text) + 1 else []


def json_path(column: str) -> tuple[str, str, str] | None:
    """Return attribute, path and type of a place inside a JSON attribute; ``None`` for anything else.

    >>> json_path("meta.probe.serial:char(20)"), json_path("meta")
    (('meta', 'probe.serial', 'char(20)'), None)
    """
    match = _JSON_PATH.fullmatch(column)
    return (match["attribute"], match["path"], (match["type"] or "").strip()) if match else None


def _valid_name(name: str, at: Place) -> str:
    if name.startswith("_"):
        raise at.error(
            f"The name '{name}' begins with an underscore, which is kept for hidden attributes", name
        )
    if not _NAME.fullmatch(name) or len(name) > 64:
        raise at.error(
            f"'{name}' is not a name for an attribute: use small letters, digits and _, at most 64, a letter first",
            name,
        )
    return name


def _parse_attribute(text: str, in_key: bool, at: Place) -> AttributeLine:
    head, type_text, comment = _split_attribute(text, at)
    name, equals, default_text = head.partition("=")
    name = _valid_name(name.strip(), at)
    default: str | None = None
    nullable = False
    if equals:
        default, nullable = _parse_default(default_text.strip(), at)
    if nullable and in_key:
        raise at.error(
            f"'{name}' is part of the primary key and cannot be null; move it below the line ---", name
        )
    if comment.startswith(":"):
        raise at.error(f"The comment of '{name}' begins with a colon; begin it with another character", "#")
    _check_type(type_text, name, in_key, default, at)
    return AttributeLine(name, type_text, in_key, nullable, default, comment, place=at)


def _split_attribute(text: str, at: Place) -> tuple[str, str, str]:
    """Cut a line at its first ``:`` and first ``#`` that stand outside quotes (and outside a codec)."""
    colon = mark = None
    for position, letter in _outside_quotes(text):
        if letter == ":":
            colon = position
            break
        if letter == "#":
            break
    if colon is not None:
        # The words of an enum may hold quotes after a backslash; in a default a backslash is one.
        rest = _outside_quotes(text[colon + 1 :], escapes=True)
        mark = next((colon + 1 + position for position, letter in rest if letter == "#"), None)
    if colon is None:
        raise at.error("An attribute is written as name : type, or name = default : type")
    end = len(text) if mark is None else mark
    comment = "" if mark is None else text[mark + 1 :].strip()
    return text[:colon].strip(), text[colon + 1 : end].strip(), comment


def _one_line(comment: str) -> str:
    """Return a comment without the line ends that another program may have put into it."""
    return re.sub(r"[\r\n]+", " ", comment)


def _outside_quotes(text: str, *, escapes: bool = False) -> Iterator[tuple[int, str]]:
    quote = ""
    is_escaped = False
    for position, letter in enumerate(text):
        if is_escaped:
            is_escaped = False
        elif quote and escapes and letter == "\\":
            is_escaped = True
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            yield position, letter


def _parse_default(text: str, at: Place) -> tuple[str | None, bool]:
    if text.lower() == "null":
        return None, True
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1].replace(text[0] * 2, text[0]), False
    if not text:
        raise at.error('After = comes the default, for example null, 0 or ""')
    return text, False


def _check_type(type_text: str, name: str, in_key: bool, default: str | None, at: Place) -> None:
    if not type_text:
        raise at.error(f"The attribute '{name}' has no type; write it after the colon")

    def error(message: str) -> DefinitionError:
        return at.error(message, type_text, ":")

    if type_text.startswith("<"):
        if not _CODEC.fullmatch(type_text):
            raise error(f"'{type_text}' is not a codec; write <name>, <name@> or <name@store>")
        if in_key:
            raise error(f"'{name}' holds objects and cannot be part of the primary key")
    else:
        try:
            check_written_type(type_text)
        except ValueError as problem:
            raise error(f"The type of '{name}': {problem}") from problem
        column = parse_type(type_text)
        if in_key and (column.kind in ("bytes", "json") or column.name.endswith("text")):
            raise error(f"'{name}' has the type {type_text}, which cannot be part of the primary key")
    if default is not None and (problem_text := _problem_of_default(type_text, default)):
        raise at.error(
            f"The default of '{name}', {default!r}, {problem_text}", default or "=", "=" if default else ""
        )


def _problem_of_default(type_text: str, default: str) -> str:
    """Return as a clause why an attribute of this type cannot have this default; empty if it can."""
    kind = "" if type_text.startswith("<") else parse_type(type_text).kind
    if kind in ("", "bytes", "json"):
        return f"is none: of the type {type_text} the only possible default is null"
    if kind == "uuid":
        return "would not be unique: of the type uuid the only possible default is null"
    if "auto_increment" in type_text.lower():
        return "is none: the server numbers the rows"
    try:
        check_default(parse_type(type_text), default)
    except ValueError as problem:
        return str(problem)
    return ""


def _quoted(text: str) -> str:
    quote = "'" if '"' in text else '"'
    return quote + text.replace(quote, quote * 2) + quote


def is_server_value(default: str) -> bool:
    """Tell whether a default is computed by the server, such as ``CURRENT_TIMESTAMP``.

    >>> is_server_value("CURRENT_TIMESTAMP(3)"), is_server_value("now then")
    (True, False)
    """
    return SERVER_VALUE.fullmatch(default.strip()) is not None
