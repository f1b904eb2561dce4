"""Files of rows, as spreadsheets and programs write them, read as cells, a row at a time."""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import io
import math
import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from dj_panel.core.columntypes import TimeType
from dj_panel.core.words import marked, say

try:
    import openpyxl
except ImportError:  # an optional package
    openpyxl = None
try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:  # an optional package
    pa = pq = None

__all__ = ["DELIMITERS", "ENCODINGS", "Cell", "Layout", "UnreadableFileError", "detect", "read_rows"]

Cell = str | int | float
"""Text as the file has it; of files that know numbers, numbers."""

MAX_ROWS = int(os.environ.get("DJ_PANEL_MAX_IMPORT_ROWS", "200000"))
"""Most rows of one import; the environment variable ``DJ_PANEL_MAX_IMPORT_ROWS`` sets it."""

MAX_COLUMNS = 500
MAX_CELL_CHARS = 100_000
_NO_WORKBOOK = marked("The file is no whole Excel workbook (.xlsx). Save it again.")
_MAX_UNPACKED_BYTES = 1_000_000_000
_MAX_SHARED_BYTES = 100_000_000
_MAX_RATIO = 200
_SAMPLE_BYTES = 64 * 1024
_SAMPLE_ROWS = 30
_BATCH_ROWS = 2000
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_NOT_SHOWN = re.compile(r'"[^"]*"|\\.|_.|\[[^\]]*\]|general', re.IGNORECASE)

ENCODINGS = {
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "cp1252": "Windows-1252 (Western)",
    "mac_roman": "Mac Roman",
}
DELIMITERS = {",": marked("comma"), ";": marked("semicolon"), "\t": marked("tab"), "|": marked("bar")}


class UnreadableFileError(ValueError):
    """A file that holds no rows that can be read; the message is for the person who sent it."""


@dataclass(frozen=True)
class Layout:
    """How a file is laid out.

    Parameters
    ----------
    kind
        What kind of file it is.
    encoding, delimiter
        Of text.
    sheet, sheets
        Of a workbook: the sheet that is read, and all of them.
    """

    kind: Literal["text", "xlsx", "parquet"]
    encoding: str = "utf-8-sig"
    delimiter: str = ","
    sheet: str = ""
    sheets: tuple[str, ...] = ()


def detect(path: Path) -> Layout:
    """Return the layout of a file, found in its content.

    Raises
    ------
    UnreadableFileError
        If it holds no table.
    """
    with path.open("rb") as file:
        head = file.read(_SAMPLE_BYTES)
    if not head:
        raise UnreadableFileError(say("The file is empty."))
    if head.startswith(b"PK\x03\x04"):
        sheets = _sheets(path)
        return Layout("xlsx", sheet=sheets[0], sheets=sheets)
    if head.startswith(b"PAR1"):
        return Layout("parquet")
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise UnreadableFileError(
            say("This is a workbook of Excel 2003 or older. Save it as .xlsx and choose that.")
        )
    encoding = _encoding(path, head)
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        text = head.decode("cp1252", "replace")
    return Layout("text", encoding, _delimiter(text))


def read_rows(path: Path, layout: Layout) -> Iterator[tuple[int, list[Cell]]]:
    """Yield the rows with their numbers in the file, counted from 1; those without any text are left out.

    Raises
    ------
    UnreadableFileError
        If the file cannot be read to its end, or a limit is exceeded.
    """
    read = {"text": _text_rows, "xlsx": _xlsx_rows, "parquet": _parquet_rows}[layout.kind]
    n_rows = 0
    for number, row in read(path, layout):
        while row and row[-1] == "":
            row.pop()
        if not row:
            continue
        n_rows += 1
        if n_rows > MAX_ROWS + 1:
            raise UnreadableFileError(
                say(
                    "The file has more than {max_rows} rows, the most for one import. Cut it in parts, or "
                    "insert the rows from Python.",
                    max_rows=MAX_ROWS,
                )
            )
        if len(row) > MAX_COLUMNS:
            raise UnreadableFileError(
                say(
                    "Row {number} has {len} columns; {max_columns} are the most. Is the delimiter right?",
                    number=str(number),
                    len=len(row),
                    max_columns=str(MAX_COLUMNS),
                )
            )
        for column, cell in enumerate(row, 1):
            if isinstance(cell, str) and len(cell) > MAX_CELL_CHARS:
                raise UnreadableFileError(
                    say(
                        "Row {number}, column {column} has {len} characters; {max_cell_chars} are the most. "
                        "Insert this row from Python.",
                        number=str(number),
                        column=str(column),
                        len=len(cell),
                        max_cell_chars=MAX_CELL_CHARS,
                    )
                )
        yield number, row


# ---------------------------------------------------------------------------------------------- text
def _encoding(path: Path, head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in head:
        # Letters of Western scripts have a zero byte beside each: that is UTF-16 without its mark.
        for encoding, offset in (("utf-16-le", 1), ("utf-16-be", 0)):
            if head[offset::2].count(0) > 0.4 * len(head) / 2 > 0 and not head[1 - offset :: 2].count(0):
                return encoding
        raise UnreadableFileError(
            say("This is no table: choose text (CSV, TSV), an Excel workbook (.xlsx) or a Parquet file.")
        )
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while piece := file.read(1 << 20):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"


def _delimiter(text: str) -> str:
    """Return the delimiter that cuts the first lines into the same number of cells, and into most."""
    best, best_score = ",", (0, 0)
    for delimiter in DELIMITERS:
        widths: list[int] = []
        try:
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
                if row:
                    widths.append(len(row))
                if len(widths) == _SAMPLE_ROWS:
                    break
        except csv.Error:
            continue
        if not widths:
            continue
        if len(widths) < _SAMPLE_ROWS and len(widths) > 2:
            widths.pop()  # the sample may end in it
        width, number = Counter(widths).most_common(1)[0]
        score = (round(10 * number / len(widths)) if width > 1 else 0, width)
        # A tab is hardly ever part of a text; the others are.
        if delimiter == "\t" and width > 1:
            score = (score[0] + 3, width)
        if score > best_score and width > 1:
            best, best_score = delimiter, score
    return best


def _text_rows(path: Path, layout: Layout) -> Iterator[tuple[int, list[Cell]]]:
    name = ENCODINGS.get(layout.encoding, layout.encoding)
    try:
        with path.open(encoding=layout.encoding, newline="") as file:
            reader = csv.reader(file, delimiter=layout.delimiter)
            for number, row in enumerate(reader, 1):
                cells: list[Cell] = [text if text.strip() else "" for text in row]
                yield number, cells
    except UnicodeError as error:
        raise UnreadableFileError(
            say("The file is not {name} text. Choose another encoding.", name=name)
        ) from error
    except csv.Error as error:
        raise UnreadableFileError(
            say(
                "The file cannot be cut into cells: a cell is too long, perhaps because a quotation "
                'mark (") is not closed, or the delimiter is another one.'
            )
        ) from error


# ---------------------------------------------------------------------------------------------- workbooks
def _sheets(path: Path) -> tuple[str, ...]:
    if openpyxl is None:
        raise UnreadableFileError(
            say(
                "This server cannot read workbooks: the package openpyxl is not installed. Save the "
                "sheet as CSV."
            )
        )
    with _opened(path) as book:
        names = tuple(sheet.title for sheet in book.worksheets)
    if not names:
        raise UnreadableFileError(say("The workbook has no sheet of cells."))
    return names


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a workbook whose parts, unpacked, are no larger than what can be handled."""
    try:
        with zipfile.ZipFile(path) as packed:
            parts = packed.infolist()
        unpacked = sum(part.file_size for part in parts)
        shared = sum(part.file_size for part in parts if part.filename.endswith("sharedStrings.xml"))
        if (
            unpacked > _MAX_UNPACKED_BYTES
            or shared > _MAX_SHARED_BYTES
            or any(p.file_size > 1_000_000 and p.file_size > _MAX_RATIO * p.compress_size for p in parts)
        ):
            raise UnreadableFileError(
                say(
                    "The workbook would unpack to {value} MB, more than is taken. Save the sheet as CSV and "
                    "choose that.",
                    value=f"{unpacked / 1000000.0:,.0f}",
                )
            )
    except UnreadableFileError:
        raise
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UnreadableFileError(say(_NO_WORKBOOK)) from error
    with path.open("rb") as file:  # of a path it would ask for an ending
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        except Exception as error:  # a damaged file may raise anything
            raise UnreadableFileError(say(_NO_WORKBOOK)) from error
        try:
            yield book
        finally:
            book.close()


def _xlsx_rows(path: Path, layout: Layout) -> Iterator[tuple[int, list[Cell]]]:
    with _opened(path) as book:
        if layout.sheet not in book.sheetnames:
            raise UnreadableFileError(say("The workbook has no sheet {sheet}.", sheet=repr(layout.sheet)))
        sheet = book[layout.sheet]
        sheet.reset_dimensions()
        try:
            for number, row in enumerate(sheet.iter_rows(), 1):
                yield number, [_cell(_meant(cell)) for cell in row[: MAX_COLUMNS + 1]]
        except (zipfile.BadZipFile, ValueError, KeyError, SyntaxError, EOFError) as error:
            if isinstance(error, UnreadableFileError):
                raise
            raise UnreadableFileError(say("The workbook is damaged. Save it again.")) from error


def _meant(cell: Any) -> Any:
    """Return the value of a cell of a workbook: a day where only the day is shown, and texts without escapes.

    Source: ISO/IEC 29500-1, 22.9.2.19: ``_x000D_`` is a character by its number. openpyxl leaves it as it is.
    """
    value = cell.value
    if isinstance(value, str) and "_x" in value:
        return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value)
    # Excel has no days, only midnights: its user tells them apart by what the cell shows.
    if isinstance(value, dt.datetime) and value.time() == dt.time() and not _shows_time(cell.number_format):
        return value.date()
    return value


@lru_cache
def _shows_time(number_format: str) -> bool:
    """Return whether a number format of Excel shows hours or seconds, or nothing of a day.

    >>> _shows_time("YYYY-MM-DD HH:MM"), _shows_time('d" de "mmmm" des "yyyy'), _shows_time("[$-409]d-mmm")
    (True, False, False)
    """
    shown = _NOT_SHOWN.sub("", number_format.partition(";")[0]).lower()
    return "h" in shown or "s" in shown or not ("d" in shown or "y" in shown or "m" in shown)


def _cell(value: Any) -> Cell:
    """Return a typed value as a cell: a number, or the text that is read as the same."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return "" if math.isnan(value) else str(value)
        return int(value) if value.is_integer() and abs(value) < 1e15 else value
    if isinstance(value, Decimal):
        return float(value) if Decimal(repr(float(value))) == value else str(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(" ")
    if isinstance(value, dt.timedelta):
        return TimeType("time", "time", digits=6 if value.microseconds else 0).format(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, dict)):
        raise UnreadableFileError(
            say("A column holds lists or records, which no cell can; leave it out of the file.")
        )
    text = str(value)
    return text if text.strip() else ""


# ---------------------------------------------------------------------------------------------- Parquet
def _parquet_rows(path: Path, layout: Layout) -> Iterator[tuple[int, list[Cell]]]:
    if pq is None:
        raise UnreadableFileError(
            say(
                "This server cannot read Parquet: the package pyarrow is not installed. Save the rows as CSV."
            )
        )
    try:
        file = pq.ParquetFile(path, memory_map=True)
        if file.metadata.num_columns > MAX_COLUMNS:
            raise UnreadableFileError(
                say(
                    "The file has {num_columns} columns; {max_columns} are the most.",
                    num_columns=file.metadata.num_columns,
                    max_columns=str(MAX_COLUMNS),
                )
            )
        if file.metadata.num_rows > MAX_ROWS:
            raise UnreadableFileError(
                say(
                    "The file has {num_rows} rows; {max_rows} are the most for one import. Cut it in parts, "
                    "or insert the rows from Python.",
                    num_rows=file.metadata.num_rows,
                    max_rows=MAX_ROWS,
                )
            )
        yield 1, list(file.schema_arrow.names)
        number = 1
        for batch in file.iter_batches(_BATCH_ROWS):
            columns = [[_cell(value) for value in column.to_pylist()] for column in batch.columns]
            for row in zip(*columns, strict=True):
                number += 1
                yield number, list(row)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(say("The file is no whole Parquet file. Write it again.")) from error


def clean_name(text: Cell) -> str:
    """Return a cell of the first row as the name of a column."""
    return re.sub(r"\s+", " ", str(text)).strip()[:200]
