"""Files to fill in: the names of a table's attributes, a row of help, and in workbooks the choices."""

from __future__ import annotations

import io
from collections.abc import Sequence

from dj_panel.apps.fields import Field, describe_field
from dj_panel.apps.services.mapping import importable
from dj_panel.apps.services.rejects import plain_csv
from dj_panel.apps.services.structure import TableInfo

try:
    import openpyxl
    from openpyxl.comments import Comment
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation
except ImportError:  # an optional package
    openpyxl = None

__all__ = ["csv_template", "has_workbooks", "is_help", "xlsx_template"]

_HELP = "Help, not imported: "
_FILLED_ROWS = 2000
_MAX_LIST_CHARS = 255
"""What a list of choices in a cell's validation may have."""

_WORDS = {
    "integer": "whole number", "decimal": "number", "float": "number", "choice": "one of a list",
    "bool": "yes or no", "date": "YYYY-MM-DD", "datetime": "YYYY-MM-DD HH:MM:SS", "time": "HH:MM:SS",
    "uuid": "UUID", "json": "JSON", "text": "text", "path": "path in the store",
}  # fmt: skip


def has_workbooks() -> bool:
    """Return whether this server can make workbooks."""
    return openpyxl is not None


def csv_template(info: TableInfo) -> str:
    """Return the names and the row of help as CSV."""
    fields = _fields(info)
    return "".join(plain_csv([[f.name for f in fields], _help_row(fields)]))


def xlsx_template(info: TableInfo) -> bytes:
    """Return a workbook with the names, the row of help, the choices, and text cells where text belongs."""
    fields = _fields(info)
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "".join(letter for letter in info.label if letter.isalnum())[:31] or "Rows"
    sheet.append([f.name for f in fields])
    sheet.append([f"'{t}" if t.startswith(("=", "+", "-", "@")) else t for t in _help_row(fields)])
    sheet.freeze_panes = "A3"
    for number, field in enumerate(fields, 1):
        letter = get_column_letter(number)
        sheet.column_dimensions[letter].width = min(max(len(field.name) + 4, 16), 40)
        head, note = sheet.cell(1, number), sheet.cell(2, number)
        head.font = Font(bold=True)
        note.font = Font(italic=True, color="666666")
        note.alignment = Alignment(wrap_text=True, vertical="top")
        if field.comment:
            head.comment = Comment(field.comment[:500], "dj_panel")
        choices = (
            ",".join(field.choices) if field.kind == "choice" else "yes,no" if field.kind == "bool" else ""
        )
        if (
            choices
            and len(choices) <= _MAX_LIST_CHARS
            and '"' not in choices
            and len(choices.split(",")) == max(len(field.choices), 2 if field.kind == "bool" else 0)
        ):
            listed = DataValidation("list", formula1=f'"{choices}"', allow_blank=not field.is_required)
            listed.add(f"{letter}3:{letter}{_FILLED_ROWS}")
            sheet.add_data_validation(listed)
        if field.kind in ("text", "uuid", "json", "path"):
            # Or a spreadsheet makes 7 of 007, and a day of 3-4.
            sheet.column_dimensions[letter].number_format = "@"
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def is_help(info: TableInfo, cells: Sequence[object]) -> bool:
    """Return whether a row is the template's row of help."""
    return bool(cells) and str(cells[0]).lstrip("'").startswith(_HELP)


def _fields(info: TableInfo) -> list[Field]:
    return [describe_field(a) for a in info.attributes if importable(a) and not a.autoincrement]


def _help_row(fields: Sequence[Field]) -> list[str]:
    texts = []
    for field in fields:
        words = ", ".join(field.choices) if field.kind == "choice" else _WORDS.get(field.kind, "")
        parts = [words, field.unit, field.comment, "needed" if field.is_required else "may be empty"]
        texts.append("; ".join(part for part in parts if part))
    if texts:
        texts[0] = _HELP + texts[0]
    return texts
