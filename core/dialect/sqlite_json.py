"""MySQL's functions of JSON, and ours for places inside documents, for SQLite."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from typing import Any

from dj_panel.core.columntypes import ColumnType, DecimalType, IntegerType, TextType
from dj_panel.core.coretypes import parse_type

__all__ = ["JSON_FUNCTIONS"]

_STEP = re.compile(r"\.(?:\"((?:[^\"\\]|\\.)*)\"|([^.\[\]\"]+))|\[(\d+)\]")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?")
_EXACT = Context(prec=200)
_NOTHING: Any = object()


@lru_cache(maxsize=1024)
def _steps(path: str) -> tuple[str | int, ...] | None:
    """Return the names and positions of a path; ``None`` if it is none."""
    if not re.fullmatch(rf"\$(?:{_STEP.pattern})*", path):
        return None
    return tuple(
        int(m[3]) if m[3] is not None else json.loads(f'"{m[1]}"') if m[1] is not None else m[2]
        for m in _STEP.finditer(path)
    )


def _found(document: str, path: str) -> Any:
    """Return what stands at a path; ``_NOTHING`` where there is nothing."""
    steps = _steps(path)
    value: Any = json.loads(document)
    for step in steps if steps is not None else (None,):
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else _NOTHING
        else:
            value = value.get(step, _NOTHING) if isinstance(value, dict) and step is not None else _NOTHING
    return value


def _said(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def json_text(document: str, path: str) -> str | None:
    """Return the JSON text at a path."""
    value = _found(document, path)
    return None if value is _NOTHING else _said(value)


def json_value(document: str, path: str) -> str | None:
    """Return the scalar at a path as text: ``JSON_VALUE`` of MySQL."""
    value = _found(document, path)
    if value is _NOTHING or value is None or isinstance(value, (dict, list)):
        return None
    return value if isinstance(value, str) else _said(value)


def json_number(document: str, path: str) -> float | None:
    """Return the number at a path, which a text may hold too."""
    value = _found(document, path)
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value)
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def json_scalar(document: str, path: str, kind: str) -> Any:
    """Return the scalar at a path in a type, as a column of the type keeps it."""
    text = json_value(document, path)
    if text is None:
        return None
    column = parse_type(kind)
    if isinstance(column, TextType):
        return text if column.length is None else text[: column.length]
    if column.kind == "date":
        match = _DAY.match(text)
        return dt.date.fromisoformat(match[0]).isoformat() if match else None
    if column.kind == "datetime":
        match = _TIME.match(text)
        return column.format(column.check(match[0])) if match else None
    if _found(document, path) in (True, False) and text in ("true", "false"):
        text = str(int(text == "true"))
    return _number(text, column) if _NUMBER.fullmatch(text) else None


def _number(text: str, column: ColumnType) -> Any:
    if column.kind == "float":
        return float(text)
    scale = column.scale if isinstance(column, DecimalType) else 0
    number = Decimal(text).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, _EXACT)
    if isinstance(column, DecimalType):
        largest = (Decimal(10) ** column.precision - 1).scaleb(-scale, _EXACT)
        return str(max(-largest, min(largest, number)))
    low, high = (column.low, column.high) if isinstance(column, IntegerType) else (-(2**63), 2**63 - 1)
    return max(low, min(high, 2**63 - 1, int(number))) if number >= 0 or low < 0 else None


def json_length(document: str, path: str = "$") -> int | None:
    """Return how many members a document has: ``JSON_LENGTH`` of MySQL."""
    value = _found(document, path)
    if value is _NOTHING:
        return None
    return len(value) if isinstance(value, (list, dict)) else 1


def json_texts(document: str, *paths: str) -> str | None:
    """Return the JSON text at a path, of several paths a list of them: ``JSON_EXTRACT`` of MySQL."""
    found = [_found(document, path) for path in paths]
    if len(paths) == 1:
        return None if found[0] is _NOTHING else _said(found[0])
    there = [value for value in found if value is not _NOTHING]
    return _said(there) if there else None


def json_unquote(text: str) -> str:
    """Return a JSON text without its quotes: ``JSON_UNQUOTE`` of MySQL."""
    return str(json.loads(text)) if text.startswith('"') and text.endswith('"') and len(text) > 1 else text


def json_contains(document: str, candidate: str, path: str = "$") -> int | None:
    """Tell whether a document holds another: ``JSON_CONTAINS`` of MySQL."""
    target = _found(document, path)
    return None if target is _NOTHING else int(_contains(target, json.loads(candidate)))


def _contains(target: Any, wanted: Any) -> bool:
    if isinstance(target, list):
        items = wanted if isinstance(wanted, list) else [wanted]
        return all(any(_contains(item, part) for item in target) for part in items)
    if isinstance(target, dict) and isinstance(wanted, dict):
        return all(name in target and _contains(target[name], part) for name, part in wanted.items())
    return isinstance(target, bool) == isinstance(wanted, bool) and bool(target == wanted)


JSON_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "json_text": (2, json_text),
    "json_value": (2, json_value),
    "json_number": (2, json_number),
    "json_scalar": (3, json_scalar),
    "json_length": (-1, json_length),
    "json_texts": (-1, json_texts),
    "json_unquote": (1, json_unquote),
    "json_contains": (-1, json_contains),
}
