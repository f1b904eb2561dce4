"""Excel workbooks of one sheet, sent while their rows are read.

Source: ECMA-376 / ISO 29500, part 1 (SpreadsheetML: 18.2 workbooks, 18.3 sheets, 18.8 styles, 22.9.2.19 texts) and
part 2 (packages); for the container, APPNOTE.TXT of PKWARE, 4.3.9 and 4.4.3.
"""

from __future__ import annotations

import datetime as dt
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import IO, Final
from xml.sax.saxutils import escape

from dj_panel.apps.services.sinks import Sink

__all__ = ["FIRST_YEAR", "MAX_TEXT", "Value", "workbook_pieces"]

MAX_TEXT = 32_767
"""Most characters of a cell; those beyond the first 65,536 of Unicode, such as most emoji, count twice."""

FIRST_YEAR = 1901
"""Days before have no number in Excel, or one that is wrong: it holds 1900 for a leap year."""

Value = str | bool | int | float | Decimal | dt.date | None
"""What a cell may hold: numbers of at most 15 digits, days from `FIRST_YEAR` on, moments in whole seconds."""

_DAY_ZERO = dt.date(1899, 12, 30).toordinal()
_DAY_S = 86_400
_FLUSHED_CHARS = 64 * 1024
_ZIP64_VERSION = 45
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SPECIAL = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]|_x")
_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")

_BOLD, _DAY, _MOMENT = 1, 2, 3
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_SHEET = "xl/worksheets/sheet1.xml"
_PARTS: Final = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/{_SHEET}" ContentType="{_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}"><bookViews><workbookView/></bookViews>'
    '<sheets><sheet name="rows" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_LINKS}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_LINKS}/styles" Target="styles.xml"/></Relationships>',
    "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><numFmts count="2">'
    '<numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>'
    '<numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="4"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="165" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
}
_VIEW = (
    '<sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft"'
    ' state="frozen"/><selection pane="bottomLeft" activeCell="A2" sqref="A2"/></sheetView></sheetViews>'
)


def workbook_pieces(columns: Sequence[tuple[str, int]], rows: Iterable[Sequence[Value]]) -> Iterator[bytes]:
    r"""Yield a workbook as its rows are read; its first line, of names, stays in sight.

    No text becomes a formula. One that is too long is cut, and what XML cannot hold becomes ``\ufffd``.
    If reading the rows fails, what was yielded is no whole file.

    Parameters
    ----------
    columns
        Their names and widths, in characters.
    rows
        The values of each.
    """
    sink = Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in _PARTS.items():
            book.writestr(zipfile.ZipInfo(name), _XML + text, zipfile.ZIP_DEFLATED)
        yield sink.taken()
        with _opened(book, _SHEET) as part:
            size = 0
            for text in _texts(_lines(columns, rows)):
                size += part.write(text.encode())
                if size > zipfile.ZIP64_LIMIT:
                    part._zip64 = True  # type: ignore[attr-defined] # see _opened
                if piece := sink.taken():
                    yield piece
    yield sink.taken()


def _opened(book: zipfile.ZipFile, name: str) -> IO[bytes]:
    """Return a part to be written, of any size.

    zipfile wants to know beforehand whether a part will need sizes of 64 bits. Said of every sheet, programs that
    read workbooks of any size would have to know them, and not all do. So it is said when the sheet has become so
    large; what then stands before the sheet must name the version that knows them, or Excel refuses the file.
    """
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.extract_version = info.create_version = _ZIP64_VERSION
    return book.open(info, "w")


def _texts(lines: Iterable[str]) -> Iterator[str]:
    """Yield texts joined until they are worth being compressed."""
    collected: list[str] = []
    size = 0
    for line in lines:
        collected.append(line)
        size += len(line)
        if size >= _FLUSHED_CHARS:
            yield "".join(collected)
            collected, size = [], 0
    yield "".join(collected)


def _lines(columns: Sequence[tuple[str, int]], rows: Iterable[Sequence[Value]]) -> Iterator[str]:
    """Yield the sheet: what stands before its rows, a text for each row, and the end."""
    widths = "".join(
        f'<col min="{place}" max="{place}" width="{width}" customWidth="1"/>'
        for place, (_, width) in enumerate(columns, 1)
    )
    cols = f"<cols>{widths}</cols>" if columns else ""
    yield f'{_XML}<worksheet xmlns="{_MAIN}">{_VIEW}{cols}<sheetData>'
    letters = [_letters(place) for place in range(len(columns))]
    yield _row(1, "".join(_cell(f"{a}1", name, _BOLD) for a, (name, _) in zip(letters, columns, strict=True)))
    for number, row in enumerate(rows, 2):
        cells = [
            _cell(f"{letter}{number}", value)
            for letter, value in zip(letters, row, strict=True)
            if value is not None and value != ""
        ]
        yield _row(number, "".join(cells))
    yield "</sheetData></worksheet>"


def _row(number: int, cells: str) -> str:
    return f'<row r="{number}">{cells}</row>'


def _letters(place: int) -> str:
    """Return the letters of a column, counted from 0.

    >>> _letters(0), _letters(25), _letters(26), _letters(16_383)
    ('A', 'Z', 'AA', 'XFD')
    """
    letters = ""
    place += 1
    while place:
        place, last = divmod(place - 1, 26)
        letters = chr(ord("A") + last) + letters
    return letters


def _cell(place: str, value: Value, style: int = 0) -> str:
    if isinstance(value, str):
        styled = f' s="{style}"' if style else ""
        text = _text(value)
        return f'<c r="{place}"{styled} t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, dt.datetime):
        second = value.hour * 3600 + value.minute * 60 + value.second
        return f'<c r="{place}" s="{_MOMENT}"><v>{value.toordinal() - _DAY_ZERO + second / _DAY_S!r}</v></c>'
    if isinstance(value, dt.date):
        return f'<c r="{place}" s="{_DAY}"><v>{value.toordinal() - _DAY_ZERO}</v></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


def _text(text: str) -> str:
    r"""Return a text as it stands in XML, with all its characters when it is read.

    >>> _text("a < b"), _text("_x0041_"), _text("\x0b\r")
    ('a &lt; b', '_x005F_x0041_', '\ufffd&#13;')
    """
    if len(text) * 2 > MAX_TEXT:
        text = _shortened(text)
    if _SPECIAL.search(text) is None:
        return text
    text = _ESCAPE.sub("_x005F_", _NO_XML.sub("\ufffd", text))
    return escape(text, {"\r": "&#13;"})


def _shortened(text: str) -> str:
    """Return a text, cut if it is longer than `MAX_TEXT`."""
    units = text.encode("utf-16-le", "surrogatepass")
    if len(units) <= 2 * MAX_TEXT:
        return text
    return units[: 2 * (MAX_TEXT - 1)].decode("utf-16-le", "ignore") + "…"
