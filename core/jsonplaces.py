"""Places inside JSON documents, as DataJoint writes them: ``meta.probe.serial:char(20)``.

What stands at a place is a scalar; a missing one, JSON's null, and a whole object or list are empty. Without a type
it is text, with one a value of that type: empty where the document holds something else there.

Source: DataJoint 2.3, `reference/specs/query-algebra`; MySQL 8.0 manual, ``JSON_VALUE`` and its ``RETURNING``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dj_panel.core.columntypes import ColumnType
from dj_panel.core.coretypes import parse_type
from dj_panel.core.errors import QuerySyntaxError
from dj_panel.core.structure import Heading
from dj_panel.core.writtentypes import check_written_type

__all__ = ["JsonPlace", "json_place"]

_STEP = r"(?:\.(?:\"(?:[^\"\\]|\\.)*\"|[^.\[\]\":]+)|\[\d+\])"
_PLACE = re.compile(r"(?P<attribute>[a-z_][a-z0-9_]*)(?P<path>\..*?)(?::(?P<type>[^\":]*))?", re.DOTALL)
# A type as written behind a path → the type of what is found.
_TYPES = {
    "": "longtext", "char": "longtext",
    "signed": "bigint", "signed integer": "bigint", "int": "bigint", "integer": "bigint", "bigint": "bigint",
    "int8": "bigint", "int16": "bigint", "int32": "bigint", "int64": "bigint",
    "unsigned": "bigint unsigned", "unsigned integer": "bigint unsigned",
    "float": "double", "double": "double", "real": "double", "float32": "double", "float64": "double",
    "decimal": "decimal(10,0)", "date": "date", "datetime": "datetime", "bool": "bool", "boolean": "bool",
}  # fmt: skip
_SIZED = re.compile(r"(char|varchar|decimal|datetime)\s*\(\s*\d+\s*(?:,\s*\d+\s*)?\)")


@dataclass(frozen=True)
class JsonPlace:
    """A place inside a JSON attribute.

    Parameters
    ----------
    attribute
        The attribute.
    path
        As servers write it: ``$.probe.serial``.
    type
        The type of what is found there; empty if none was written.
    """

    attribute: str
    path: str
    type: str = ""

    @property
    def column_type(self) -> ColumnType:
        """The checks of what is found there."""
        return parse_type(self.type or "longtext")


def json_place(text: str, heading: Heading) -> JsonPlace | None:
    """Return the place that a text names; ``None`` if it does not begin with an attribute and a point.

    Raises
    ------
    QuerySyntaxError
        If the attribute is not json, or path or type cannot be read.

    Examples
    --------
    >>> from dj_panel.core.structure import Attribute
    >>> json_place("meta.probe[0]:unsigned", Heading((Attribute("meta", "json"),)))
    JsonPlace(attribute='meta', path='$.probe[0]', type='bigint unsigned')
    """
    match = _PLACE.fullmatch(text.strip())
    if not match or match["attribute"] not in heading:
        return None
    attribute = heading[match["attribute"]]
    if not attribute.json:
        raise QuerySyntaxError(
            f"'{text}' names a place inside '{attribute.name}', whose type is {attribute.type} and not json."
        )
    if not re.fullmatch(f"{_STEP}+", match["path"]):
        raise QuerySyntaxError(
            f"'{text}' is no place inside '{attribute.name}'. Write {attribute.name}.name, {attribute.name}.name[0] or"
            f' {attribute.name}."any name", and perhaps a type after it: {attribute.name}.name:unsigned.'
        )
    return JsonPlace(attribute.name, "$" + match["path"], _type(match["type"], text))


def _type(written: str | None, text: str) -> str:
    if written is None:
        return ""
    kind = " ".join(written.lower().split())
    found = re.sub(r"^char", "varchar", kind) if _SIZED.fullmatch(kind) else _TYPES.get(kind, "")
    if not kind or not found:
        raise QuerySyntaxError(
            f"'{text}': '{written.strip()}' is no type for a place inside JSON. Use signed, unsigned, float,"
            " decimal(p,s), char(n), date, datetime or bool."
        )
    try:
        check_written_type(found)
        return parse_type(found).text
    except ValueError as error:
        raise QuerySyntaxError(f"'{text}': {error}.") from error
