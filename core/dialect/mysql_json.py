"""Scalars inside JSON documents, said such that MySQL and MariaDB agree.

``JSON_VALUE`` would be shorter, and differs: MariaDB's makes 1 of true and knows no ``RETURNING``.
"""

from __future__ import annotations

from dj_panel.core.columntypes import ColumnType, DatetimeType, DecimalType, IntegerType, TextType
from dj_panel.core.dialect.protocol import Statement

__all__ = ["json_number", "json_scalar"]

_NUMBER = r"[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?$"
_DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = f"{_DAY}([ T][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]+)?)?)?"


def json_scalar(found: Statement, kind: ColumnType) -> Statement:
    """Return the expression for a scalar in a type, of the expression for its JSON text."""
    text = _text(found)
    if isinstance(kind, TextType):
        return _around("LEFT({}, %s)", text, kind.length) if kind.name == "varchar" else text
    if kind.kind == "date":
        return _around("CAST({} AS DATE)", _part(text, _DAY))
    if isinstance(kind, DatetimeType):
        return _around(f"CAST({{}} AS DATETIME({kind.digits}))", _part(text, _TIME))
    truth = Statement(
        f"CASE {found.sql} WHEN 'true' THEN '1' WHEN 'false' THEN '0' ELSE {text.sql} END",
        found.parameters + text.parameters,
    )
    if isinstance(kind, DecimalType):
        return _around(f"CAST({{}} AS DECIMAL({kind.precision},{kind.scale}))", _part(truth, f"^-?{_NUMBER}"))
    if kind.kind == "float":
        return _around("({} + 0E0)", _part(truth, f"^-?{_NUMBER}"))
    is_signed = not isinstance(kind, IntegerType) or kind.low < 0
    number = _part(truth, f"^-?{_NUMBER}" if is_signed else f"^{_NUMBER}")
    # A text becomes a whole number by its first digits, a decimal by rounding.
    return _around(f"CAST(CAST({{}} AS DECIMAL(65,15)) AS {'SIGNED' if is_signed else 'UNSIGNED'})", number)


def json_number(found: Statement) -> Statement:
    """Return the expression for a scalar that is a number, of the expression for its JSON text."""
    return _around("({} + 0E0)", _part(_text(found), f"^-?{_NUMBER}"))


def _text(found: Statement) -> Statement:
    """Return the scalar without quotes; empty for a document, and for JSON's null."""
    # As plain text the word null itself still stands in quotes.
    return Statement(
        f"IF(LEFT({found.sql}, 1) IN ('{{', '['), NULL, JSON_UNQUOTE(NULLIF({found.sql}, 'null')))",
        found.parameters * 2,
    )


def _part(text: Statement, pattern: str) -> Statement:
    """Return the part of a text that matches; empty if none does, for a strict server refuses to convert others."""
    return _around("NULLIF(REGEXP_SUBSTR({}, %s), '')", text, pattern)


def _around(form: str, inner: Statement, *parameters: object) -> Statement:
    return Statement(form.format(inner.sql), (*inner.parameters, *parameters))
