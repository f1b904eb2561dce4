"""Attributes as fields of a form: what is shown of them, and the text in a field as a value.

Nothing here draws anything or asks a database. `describe_field` says how an attribute is to be entered;
`parse_text` reads what was typed and `format_value` writes a value so that it is read as the same again.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dj_panel.apps.typed import Custom, plain_moment, plain_number
from dj_panel.apps.typed_times import plain_days
from dj_panel.core.codec import resolve_dtype
from dj_panel.core.columntypes import BytesType, TextType
from dj_panel.core.definition import is_server_value
from dj_panel.core.errors import CodecError
from dj_panel.core.structure import Attribute
from dj_panel.core.words import marked, say

__all__ = [
    "EMPTY_TEXT",
    "Field",
    "complaint",
    "describe_field",
    "draft_text",
    "format_value",
    "normalised",
    "parse_text",
    "words_of",
]

Kind = Literal[
    "integer", "decimal", "float", "choice", "bool", "date", "datetime", "time", "uuid", "json", "text",
    "path", "file", "none",
]  # fmt: skip

EMPTY_TEXT = '\0""'
"""What stands in a draft for a text of no characters, where an empty field would mean no value or the default."""

MULTILINE_FROM = 200
"""Text attributes at least this long get a field of several lines."""

_FILE_CODECS = {
    "attach": ("", marked("Any file")),
    "hash": ("", marked("Any file, kept as it is")),
    "object": ("", marked("Any file, or a folder; a .zip can be unpacked")),
    "blob": (".npy,.csv,.tsv,.txt,.mat", marked("Numbers: a .npy, .csv or .mat file, or pasted")),
    "npy": (".npy,.csv,.tsv,.txt,.mat", marked("Numbers: a .npy, .csv or .mat file, or pasted")),
}

_SYMBOL = (
    r"(?:[pnuµμmcdhkMGT]?(?:g|m|s|Hz|V|A|W|J|N|Pa|l|L|M|mol|T|F|S|K|C|B|bar|Ω|eV|Da|rad|cd|lx|lm)"
    r"|ohm|°C|°F|°|deg|degrees|%|ppm|dB(?: SPL)?|a\.u\.|min|minutes?|h|hours?|d|days?|weeks?|wk"
    r"|months?|years?|y|seconds?|ms|pixels?|px|samples?|frames?|volumes?|bpm|rpm|fps|mmHg|U|IU|1)"
)
_UNIT = re.compile(rf"{_SYMBOL}(?:\s*\^?-?[0-9²³]|[²³])?(?:\s*[/·*]\s*{_SYMBOL}(?:\^?-?[0-9]|[²³])?)*")
_NUMERIC = ("integer", "decimal", "float")


@dataclass(frozen=True)
class Field:
    """One attribute as a form shows it.

    Parameters
    ----------
    name
        The attribute.
    label
        What it is called: its name as words.
    comment
        What the definition says of it, without the unit.
    unit
        The unit of its numbers; empty if the definition names none.
    kind
        How it is entered. ``none``: it cannot be, and ``explanation`` says why.
    in_key
        Whether it is part of the primary key.
    is_required
        Whether a row needs a value here.
    is_nullable
        Whether it may be empty in the database.
    default
        What the database puts where nothing is entered, in words; empty if it puts nothing, or no text.
    choices
        The words of an enum.
    max_length
        Most characters of a text; ``None`` where there is no limit.
    is_multiline
        Whether the text may be long.
    accept
        Endings of the files that can be chosen, with commas between; empty for any.
    explanation
        A sentence on what can be entered here, where that needs one.
    takes_folder
        Whether a folder can be chosen in place of a file.
    """

    name: str
    label: str
    comment: str
    unit: str
    kind: Kind
    in_key: bool
    is_required: bool
    is_nullable: bool
    default: str
    choices: tuple[str, ...] = ()
    max_length: int | None = None
    is_multiline: bool = False
    accept: str = ""
    explanation: str = ""
    takes_folder: bool = False

    def as_message(self) -> dict[str, Any]:
        """Return the facts as the browser takes them."""
        return asdict(self)


def describe_field(attribute: Attribute) -> Field:
    """Return how an attribute is entered."""
    kind, accept, explanation = _kind_of(attribute)
    column = attribute.column_type
    unit, comment = _split_unit(attribute.comment) if kind in _NUMERIC else ("", attribute.comment)
    length = column.length if isinstance(column, TextType) and attribute.codec is None else None
    if kind == "none" and not attribute.has_default:
        needed = say("A row needs a value here, so rows of this table can only be inserted from Python.")
        explanation = f"{explanation} {needed}"
    return Field(
        name=attribute.name,
        label=words_of(attribute.name),
        comment=comment.strip(),
        unit=unit,
        kind=kind,
        in_key=attribute.in_key,
        is_required=not attribute.has_default,
        is_nullable=attribute.nullable,
        default=_default_note(attribute, kind),
        choices=attribute.choices,
        max_length=length,
        is_multiline=kind == "json" or (kind == "text" and (length is None or length >= MULTILINE_FROM)),
        accept=accept,
        explanation=explanation,
        takes_folder=attribute.codec == "object",
    )


def _kind_of(attribute: Attribute) -> tuple[Kind, str, str]:
    codec = attribute.codec
    if codec is not None:
        if codec in _FILE_CODECS:
            accept, what = _FILE_CODECS[codec]
            return "file", accept, say(what)
        if codec == "filepath":
            if not attribute.store:
                return "path", "", say("Path of a file that lies in the store, or upload one")
            words = say("Path of a file that lies in the store {store}, or upload one", store=attribute.store)
            return "path", "", words
        return (
            "none",
            "",
            say("Values of the type {type} have no editor here.", type=attribute.type)
            + _storage_note(attribute.type),
        )
    column = attribute.column_type
    kinds: dict[str, Kind] = {
        "integer": "integer", "decimal": "decimal", "float": "float", "boolean": "bool", "enum": "choice",
        "date": "date", "datetime": "datetime", "time": "time", "uuid": "uuid", "json": "json",
        "text": "text", "bytes": "file",
    }  # fmt: skip
    kind = kinds.get(column.kind, "text")
    if isinstance(column, BytesType):
        return kind, "", say("Any file; its bytes are kept as they are")
    return kind, "", ""


def _storage_note(type_text: str) -> str:
    try:
        return " " + say("They are stored as {type}.", type=resolve_dtype(type_text))
    except CodecError as error:
        return f" {error}"


def _default_note(attribute: Attribute, kind: Kind) -> str:
    if attribute.autoincrement:
        return say("numbered by the database")
    if not attribute.default:
        return ""
    if is_server_value(attribute.default):
        return say("the lab's time of saving")
    if kind == "bool":
        return say("yes") if attribute.column_type.check(attribute.default) else say("no")
    return attribute.default


def words_of(name: str) -> str:
    """Return the name of an attribute or class as words.

    >>> words_of("session_date"), words_of("FiringRate"), words_of("subject_uuid")
    ('Session date', 'Firing rate', 'Subject UUID')
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    words = [word for word in spaced.split("_") if word]
    known = {"id": "ID", "uuid": "UUID", "url": "URL", "sha256": "SHA-256"}
    text = " ".join(known.get(word.lower(), word.lower()) for word in words)
    return text[:1].upper() + text[1:]


def _split_unit(comment: str) -> tuple[str, str]:
    """Return the unit that a comment on a number begins or ends with, and the rest.

    >>> _split_unit("(ms) no shorter than the refractory period")
    ('ms', 'no shorter than the refractory period')
    >>> _split_unit("body weight [g]"), _split_unit("g"), _split_unit("(invented)")
    (('g', 'body weight'), ('g', ''), ('', '(invented)'))
    """
    text = comment.strip()
    if _UNIT.fullmatch(text):
        return text, ""
    for pattern in (
        r"[(\[]([^()\[\]]{1,16})[)\]]\s*(.*)",
        r"(?P<rest>.*?),?\s*[(\[](?P<unit>[^()\[\]]{1,16})[)\]]",
    ):
        match = re.fullmatch(pattern, text, re.DOTALL)
        if match:
            groups = match.groupdict() or {"unit": match[1], "rest": match[2]}
            if _UNIT.fullmatch(groups["unit"].strip()):
                return groups["unit"].strip(), groups["rest"].strip(" ,")
    head, comma, tail = text.rpartition(",")
    if not comma:
        head, comma, tail = text.rpartition(" in ")
    if comma and _UNIT.fullmatch(tail.strip()) and tail.strip() != "1":
        return tail.strip(), head.strip()
    return "", text


def normalised(attribute: Attribute, text: str) -> str:
    """Return typed text as it is read: composed Unicode, and no blanks around what stands in one line."""
    text = unicodedata.normalize("NFC", text)
    length = getattr(attribute.column_type, "length", None)
    is_long = (
        attribute.codec is None and attribute.column_type.kind == "text" and (length or 0) >= MULTILINE_FROM
    )
    if is_long or (attribute.column_type.kind == "text" and length is None):
        return text.replace("\r\n", "\n") if text.strip() else ""
    return text.strip()


def parse_text(attribute: Attribute, text: str, custom: Custom | None = None) -> Any:
    """Return the value that typed text stands for, or ``None`` for a field left empty.

    Parameters
    ----------
    attribute
        Whose field it is; not one that is entered as a file.
    text
        As typed; `EMPTY_TEXT` stands for the text of no characters.
    custom
        How the lab writes numbers and tells the time.

    Raises
    ------
    ValueError
        With the reason as a clause (``"is not a whole number"``).
    """
    kind = attribute.column_type.kind if attribute.codec is None else ""
    if text == EMPTY_TEXT and kind in ("text", "enum"):
        return attribute.column_type.parse("")
    text = normalised(attribute, text)
    if not text:
        return None
    if "\0" in text:
        raise ValueError(say("holds a zero character, which cannot be stored"))
    if attribute.codec is not None:
        return text
    if kind in _NUMERIC:
        text = plain_number(text, custom, is_whole=kind == "integer")
    elif kind == "datetime":
        text = plain_moment(plain_days(text), custom)
    elif kind == "date":
        text = plain_days(text)
    elif kind == "json":
        _refuse_repeated_keys(text)
    value = attribute.column_type.parse(text)
    if kind == "float" and value == 0 and re.match(r"[+-]?[0.]*[1-9]", text):
        raise ValueError(say("is too close to 0 for this type, which would keep 0; write 0 if that is meant"))
    return value


def _refuse_repeated_keys(text: str) -> None:
    def checked(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise _RepeatedKeyError(name)

    try:
        json.loads(text, object_pairs_hook=checked)
    except _RepeatedKeyError as error:
        raise ValueError(
            say("has the key {name} more than once; each key holds one value", name=repr(str(error)))
        ) from error
    except (ValueError, RecursionError):
        return  # what is wrong with it is told where it is read


class _RepeatedKeyError(Exception):
    """A JSON object has a key twice."""


def draft_text(attribute: Attribute, value: Any, custom: Custom | None = None) -> str:
    """Return the text that a field shows for a value of the database, and that is read as this value again.

    Other than `format_value` it tells a text of no characters from no value, and writes numbers as the lab does.
    """
    if value == "" and attribute.codec is None and attribute.column_type.kind in ("text", "enum"):
        return EMPTY_TEXT
    text = format_value(attribute, value)
    if custom is not None and custom.decimal_comma and describe_field(attribute).kind in ("decimal", "float"):
        return text.replace(".", ",")
    return text


def format_value(attribute: Attribute, value: Any) -> str:
    """Return the text from which `parse_text` gives this value again; empty for ``None``."""
    if value is None:
        return ""
    if attribute.codec is not None:
        return str(value)
    if attribute.column_type.kind == "boolean":
        return "yes" if value else "no"
    if attribute.column_type.kind == "float" and isinstance(value, (int, float)):
        # 37, not 37.0: as a person writes it.
        text = attribute.column_type.format(value)
        return text.removesuffix(".0")
    return attribute.column_type.format(value)


def complaint(text: str, reason: str) -> str:
    """Return what a field says of text that it refuses.

    >>> complaint("3,5", "has a comma")
    '“3,5” has a comma.'
    """
    shown = " ".join(text.split())
    shown = shown if len(shown) <= 40 else shown[:39] + "…"
    if reason.endswith((".", "!", "?")):
        return say("“{text}” {reason}", text=shown, reason=reason)
    return say("“{text}” {reason}.", text=shown, reason=reason)
