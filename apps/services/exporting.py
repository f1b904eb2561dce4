"""Rows as files, sent while the database reads them: CSV, lines of JSON, Parquet and Excel workbooks."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import importlib.util
import json
import math
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dj_panel.apps.services.formulas import shielded
from dj_panel.apps.services.sinks import Sink
from dj_panel.apps.services.workbooks import FIRST_YEAR, Value, workbook_pieces
from dj_panel.core.columntypes import FloatType
from dj_panel.core.errors import ValueRefusedError
from dj_panel.core.frames import arrow_type
from dj_panel.core.structure import Attribute
from dj_panel.core.words import marked, say

if TYPE_CHECKING:
    import pyarrow

__all__ = [
    "FORMATS",
    "MAX_EXPORTS",
    "XLSX_ROWS",
    "FileFormat",
    "TooManyExportsError",
    "csv_lines",
    "json_lines",
    "named_batches",
    "parquet_pieces",
    "streamed",
    "xlsx_pieces",
]

MAX_EXPORTS = 3
"""So many files are made at the same time; each takes a thread and a connection of its own."""

XLSX_ROWS = 1_048_575
"""What Excel can hold below the line of names."""

_XLSX_DIGITS = 15
_XLSX_WIDTH, _XLSX_MAX_WIDTH = 9, 40
_XLSX_WIDTHS = {"date": 11, "datetime": 20}
"""A day in a column that is too narrow is shown as ``####``."""
_ROWS_IN_GROUP = 2_000
_CHUNK_BYTES = 64 * 1024
_WAITING_CHUNKS = 4
_exports = threading.BoundedSemaphore(MAX_EXPORTS)

Rows = Iterable[Sequence[Any]]
"""Decoded values by the order of the attributes."""


class TooManyExportsError(RuntimeError):
    """As many files as allowed are being made already."""


@dataclass(frozen=True)
class FileFormat:
    """One kind of file.

    Parameters
    ----------
    suffix, media_type, label
        What it is called.
    about
        What it is good for: a message, with a place ``{n}`` for `XLSX_ROWS`.
    package
        Which package makes it; empty if none is needed.
    has_values
        Whether it can hold arrays and other values that are no single number or text.
    """

    suffix: str
    media_type: str
    label: str
    about: str
    package: str = ""
    has_values: bool = True

    @property
    def missing(self) -> str:
        """Why it cannot be made here; empty if it can."""
        if not self.package or importlib.util.find_spec(self.package) is not None:
            return ""
        return say("The server lacks the package {package}: pip install {package}", package=self.package)


FORMATS: Final[Mapping[str, FileFormat]] = MappingProxyType(
    {
        "csv": FileFormat(
            "csv", "text/csv; charset=utf-8", "CSV", marked("for spreadsheets and every program")
        ),
        "parquet": FileFormat(
            "parquet",
            "application/vnd.apache.parquet",
            "Parquet",
            marked("with types, for pandas and R"),
            "pyarrow",
        ),
        "json": FileFormat("jsonl", "application/jsonl", "JSON", marked("one object on each line")),
        "xlsx": FileFormat(
            "xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "Excel",
            marked("up to {n} rows, which is all that Excel holds"),
            has_values=False,
        ),
    }
)
"""The files that rows can be exported to."""


# ------------------------------------------------------------------ values as texts
def _plain(value: Any) -> Any:
    """Return a value of any kind as what JSON knows."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _text(attribute: Attribute, value: Any) -> str:
    """Return a value that is there as the text of a file."""
    column = attribute.column_type
    if attribute.codec is not None or column.kind in ("bytes", "json"):
        return value if isinstance(value, str) and column.kind != "json" else _json(value)
    if column.kind == "boolean":
        return "yes" if value else "no"
    if column.kind == "float":
        is_single = isinstance(column, FloatType) and column.size_bytes == 4
        return str(np.float32(value)) if is_single else repr(float(value))
    if column.kind in ("date", "datetime", "time", "uuid") and not isinstance(value, str):
        return column.format(value)
    return str(value)


def _is_number(attribute: Attribute) -> bool:
    return attribute.codec is None and attribute.column_type.kind in ("integer", "float", "decimal")


# ------------------------------------------------------------------ CSV
def csv_lines(attributes: Sequence[Attribute], rows: Rows) -> Iterator[bytes]:
    r"""Yield the lines of a CSV file (RFC 4180, UTF-8 with a mark by which spreadsheets know it).

    No value is an empty field, an empty text is ``""``. A text that a spreadsheet would run as a formula gets
    an apostrophe in front; numbers stay as they are.

    Examples
    --------
    >>> columns = [Attribute("a", "varchar(9)"), Attribute("b", "int16")]
    >>> b"".join(csv_lines(columns, [["=1+1", -5], ["", None]])).decode()
    '\ufeffa,b\r\n\'=1+1,-5\r\n"",\r\n'
    """
    yield ("\ufeff" + ",".join(_field(a.name) for a in attributes) + "\r\n").encode()
    numeric = [_is_number(attribute) for attribute in attributes]
    for row in rows:
        fields = (
            "" if value is None else _field(_text(attribute, value), is_number=is_number)
            for attribute, value, is_number in zip(attributes, row, numeric, strict=True)
        )
        yield (",".join(fields) + "\r\n").encode()


def _field(text: str, *, is_number: bool = False) -> str:
    if not is_number:
        text = shielded(text)
    if not text or any(letter in text for letter in ',"\r\n') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text


# ------------------------------------------------------------------ lines of JSON
def json_lines(attributes: Sequence[Attribute], rows: Rows) -> Iterator[bytes]:
    r"""Yield one JSON object for each row; decimal numbers with all their digits, dates as ISO text.

    Examples
    --------
    >>> from decimal import Decimal
    >>> columns = [Attribute("a", "decimal(4,2)"), Attribute("b", "bool")]
    >>> b"".join(json_lines(columns, [[Decimal("1.50"), 1], [None, None]])).decode()
    '{"a": 1.50, "b": true}\n{"a": null, "b": null}\n'
    """
    names = [json.dumps(attribute.name, ensure_ascii=False) for attribute in attributes]
    for row in rows:
        items = (
            f"{name}: {_json_item(attribute, value)}"
            for name, attribute, value in zip(names, attributes, row, strict=True)
        )
        yield ("{" + ", ".join(items) + "}\n").encode()


def _json_item(attribute: Attribute, value: Any) -> str:
    column = attribute.column_type
    if value is None:
        return "null"
    if attribute.codec is not None or column.kind in ("bytes", "json", "integer"):
        return _json(value)
    if column.kind == "boolean":
        return "true" if value else "false"
    if column.kind in ("decimal", "float"):
        return _text(attribute, value) if math.isfinite(value) else "null"
    return json.dumps(_text(attribute, value), ensure_ascii=False)


# ------------------------------------------------------------------ Parquet
def parquet_pieces(schema: pyarrow.Schema, batches: Iterable[pyarrow.RecordBatch]) -> Iterator[bytes]:
    """Yield a Parquet file, compressed, as its groups of rows are written."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - optional

    sink = Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield sink.taken()
    yield sink.taken()


def named_batches(
    reader: pyarrow.RecordBatchReader, names: Sequence[str]
) -> tuple[pyarrow.Schema, Iterator[pyarrow.RecordBatch]]:
    """Return the batches of a reader with other names for their columns."""
    import pyarrow as pa  # noqa: PLC0415 - optional

    schema = pa.schema([field.with_name(name) for field, name in zip(reader.schema, names, strict=True)])
    return schema, (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in reader)


def arrow_batches(
    attributes: Sequence[Attribute], rows: Rows
) -> tuple[pyarrow.Schema, Iterator[pyarrow.RecordBatch]]:
    """Return rows as Arrow batches; values of codecs, documents and identifiers as their text."""
    import pyarrow as pa  # noqa: PLC0415 - optional

    def is_text(attribute: Attribute) -> bool:
        return attribute.codec is not None or attribute.column_type.kind in ("bytes", "json", "uuid")

    types = [pa.string() if is_text(a) else arrow_type(pa, a) or pa.string() for a in attributes]
    schema = pa.schema([pa.field(a.name, t) for a, t in zip(attributes, types, strict=True)])

    def batch(group: list[Sequence[Any]]) -> pyarrow.RecordBatch:
        columns = []
        for attribute, arrow, values in zip(attributes, types, zip(*group, strict=True), strict=True):
            if arrow == pa.string():
                columns.append(pa.array([None if v is None else _text(attribute, v) for v in values], arrow))
            else:
                columns.append(pa.array(values, arrow))
        return pa.record_batch(columns, schema=schema)

    def batches() -> Iterator[pyarrow.RecordBatch]:
        group: list[Sequence[Any]] = []
        for row in rows:
            group.append(row)
            if len(group) == _ROWS_IN_GROUP:
                yield batch(group)
                group = []
        if group:
            yield batch(group)

    return schema, batches()


# ------------------------------------------------------------------ Excel
def xlsx_pieces(attributes: Sequence[Attribute], rows: Rows) -> Iterator[bytes]:
    """Yield an Excel workbook as its rows are read.

    Numbers stay numbers where Excel keeps all their digits; no text becomes a formula, whatever it begins with.

    Raises
    ------
    ValueRefusedError
        If there are more than `XLSX_ROWS` rows, which is seen when those are written.
    """
    columns = [(a.name, min(max(len(a.name) + 2, _width(a)), _XLSX_MAX_WIDTH)) for a in attributes]
    yield from workbook_pieces(columns, _xlsx_rows(attributes, rows))


def _xlsx_rows(attributes: Sequence[Attribute], rows: Rows) -> Iterator[list[Value]]:
    for number, row in enumerate(rows):
        if number == XLSX_ROWS:
            raise ValueRefusedError(
                say("Excel holds {n} rows, and there are more. Take CSV or Parquet.", n=XLSX_ROWS)
            )
        yield [_xlsx_value(attribute, value) for attribute, value in zip(attributes, row, strict=True)]


def _width(attribute: Attribute) -> int:
    return _XLSX_WIDTHS.get(attribute.column_type.kind, _XLSX_WIDTH)


def _xlsx_value(attribute: Attribute, value: Any) -> Value:
    if value is None:
        return None
    kind = attribute.column_type.kind
    if attribute.codec is None:
        if kind == "boolean":
            return bool(value)
        if kind in ("integer", "decimal") and len(str(value).strip("-0").replace(".", "")) <= _XLSX_DIGITS:
            return value  # type: ignore[no-any-return]
        if kind == "float" and math.isfinite(value):
            return float(_text(attribute, value))
        is_date = kind in ("date", "datetime") and isinstance(value, dt.date)
        if is_date and value.year >= FIRST_YEAR and not getattr(value, "microsecond", 0):
            return value  # type: ignore[no-any-return]
    return _text(attribute, value)


# ------------------------------------------------------------------ sending
async def streamed(pieces: Callable[[], Iterator[bytes]]) -> AsyncIterator[bytes]:
    """Yield what an iterator gives, in chunks, while it works in a thread of its own.

    At most a few chunks wait for the reader. When the reader goes away, the thread stops.

    Parameters
    ----------
    pieces
        Makes the iterator, in the thread.

    Raises
    ------
    TooManyExportsError
        If as many as allowed are at work.
    """
    if not _exports.acquire(blocking=False):
        raise TooManyExportsError(
            say("Other files are being made at the moment. Try again when they are done.")
        )
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(_WAITING_CHUNKS)
    is_over = threading.Event()

    def hand_over(item: bytes | BaseException | None) -> None:
        asyncio.run_coroutine_threadsafe(waiting.put(item), loop).result()

    def work() -> None:
        outcome: BaseException | None = None
        try:
            for chunk in _chunks(pieces()):
                if is_over.is_set():
                    return
                hand_over(chunk)
        except Exception as error:  # noqa: BLE001 - raised again where the chunks are read
            outcome = error
        finally:
            _exports.release()
        if not is_over.is_set():
            hand_over(outcome)

    threading.Thread(target=work, name="dj-panel export", daemon=True).start()
    try:
        while (item := await waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        is_over.set()
        while not waiting.empty():  # lets a thread go on that waits for room
            waiting.get_nowait()


def _chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    collected: list[bytes] = []
    size = 0
    for piece in pieces:
        collected.append(piece)
        size += len(piece)
        if size >= _CHUNK_BYTES:
            yield b"".join(collected)
            collected, size = [], 0
    if collected:
        yield b"".join(collected)
