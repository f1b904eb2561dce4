"""What a page shows, as Python that fetches the same."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence

from dj_panel.apps.pipeline import Pipeline
from dj_panel.apps.services.filters import Filter
from dj_panel.apps.services.written import MAX_WRITTEN
from dj_panel.core.structure import Attribute

__all__ = ["fetch_code", "keys_code", "record_code", "value_code"]


def fetch_code(
    pipeline: Pipeline,
    table: str,
    filters: Mapping[str, Filter],
    order: Sequence[str],
    *,
    limit: int,
    offset: int,
    batch: str = "",
) -> str:
    """Return Python that restricts a table and fetches a page of it.

    Parameters
    ----------
    pipeline
        Where the table is.
    table
        Its name in the application.
    filters
        By attribute.
    order
        As for ``order_by``.
    limit, offset
        Which rows.
    batch
        The import whose rows they are to be; of any if empty.
    """
    imports, name = _reference(pipeline, table)
    if batch:
        imports = (
            f"{imports}\nfrom dj_panel.core.history import History\n\ntable = {name}()\n"
            "history = History(table.connection, table.name.schema)\n"
            f"written = history.written({batch!r}, table.name, {MAX_WRITTEN})"
        )
        name = "table & written"
    equal = {attribute: item.equals for attribute, item in filters.items() if item.equals is not None}
    query = name
    if equal:
        query += " & {" + ", ".join(f"{attribute!r}: {value}" for attribute, value in equal.items()) + "}"
    query += "".join(f" & {item.python}" for item in filters.values() if item.equals is None)
    options = [f"order_by={list(order)!r}"] if order else []
    options.append(f"limit={limit}")
    if offset:
        options.append(f"offset={offset}")
    return f"{imports}\nquery = {query}\nrows = query.to_dicts({', '.join(options)})\n"


def record_code(pipeline: Pipeline, table: str, key: Mapping[str, object]) -> str:
    """Return Python that fetches one row."""
    imports, name = _reference(pipeline, table)
    return (
        f"{imports}\nrow = ({name} & {_literal(key)}).fetch1()\n"
        if key
        else f"{imports}\nrow = {name}.fetch1()\n"
    )


def keys_code(pipeline: Pipeline, table: str, keys: Sequence[Mapping[str, object]]) -> str:
    """Return Python that restricts a table to some rows."""
    imports, name = _reference(pipeline, table)
    lines = "".join(f"    {_literal(key)},\n" for key in keys)
    return f"{imports}\nkeys = [\n{lines}]\nquery = {name} & keys\n"


def value_code(pipeline: Pipeline, table: str, key: Mapping[str, object], attribute: Attribute) -> str:
    """Return Python that fetches one value."""
    imports, name = _reference(pipeline, table)
    query = f"({name} & {_literal(key)})" if key else name
    return f"{imports}\nvalue = {query}.fetch1({attribute.name!r})\n"


def _literal(key: Mapping[str, object]) -> str:
    def written(value: object) -> str:
        # Dates, decimal numbers and the like are understood as text and need no further import.
        return repr(value) if isinstance(value, bool | int | float | str) else repr(str(value))

    return "{" + ", ".join(f"{name!r}: {written(value)}" for name, value in key.items()) + "}"


def _reference(pipeline: Pipeline, table: str) -> tuple[str, str]:
    """Return the imports for a table, and the expression for it."""
    cls = pipeline[table]
    if pipeline.module is not None and "<" not in cls.__qualname__:
        top = cls.__qualname__.partition(".")[0]
        return f"import dj_panel as dj\nfrom {cls.__module__} import {top}\n", cls.__qualname__
    schema, _, class_name = table.partition(".")
    variable = re.sub(r"\W", "_", schema)
    if not variable.isidentifier() or keyword.iskeyword(variable):
        variable = f"schema_{variable}"
    return f"import dj_panel as dj\n\n{variable} = dj.virtual_schema({schema!r})", f"{variable}.{class_name}"
