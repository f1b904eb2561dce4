"""What the import page shows of a batch beside its rows, as HTML; every value in it is escaped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence

from dj_panel.apps.fields import describe_field
from dj_panel.apps.live import button, href, link
from dj_panel.apps.markup import chip, escape, icon, tier_chip
from dj_panel.apps.routes import Route
from dj_panel.apps.services.batches import Batch, ImportReceipt, RowClass
from dj_panel.apps.services.mapping import importable, missing
from dj_panel.apps.services.notation import TwoReadingsError, plain_number, plain_time
from dj_panel.apps.services.pastimports import PastImport
from dj_panel.apps.services.reading import DELIMITERS, ENCODINGS
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.services.written import MAX_WRITTEN
from dj_panel.apps.typed import time_told, zone_name
from dj_panel.core.words import grouped, marked, say, say_many

__all__ = ["batch_html", "heading_html", "intro_html", "past_html"]

_CLASSES: Mapping[RowClass, tuple[str, str, str]] = {
    RowClass.NEW: (marked("New"), "done", marked("Not in the table yet")),
    RowClass.IDENTICAL: (
        marked("Identical"),
        "ignored",
        marked("There already with the same values: nothing to write"),
    ),
    RowClass.CONFLICT: (marked("Conflict"), "partial", marked("The key exists with other values")),
    RowClass.INVALID: (marked("Invalid"), "error", marked("The table would refuse it")),
    RowClass.IMPORTED: (marked("Imported"), "done", marked("Written by this import")),
}
_MAX_NAMED = 5
_DOING = {
    "reading": marked("Reading"),
    "checking": marked("Checking"),
    "writing": marked("Importing"),
    "undoing": marked("Taking back"),
}


def heading_html(info: TableInfo) -> str:
    """Return the line below the title."""
    comment = f"<span>{escape(info.comment)}</span>" if info.comment else ""
    return f'<p class="row muted">{tier_chip(info.tier)}{link(info.name, Route("table", (info.name,)))}{comment}</p>'


def intro_html(info: TableInfo, recent: Sequence[Batch], *, has_workbooks: bool) -> str:
    """Return what stands above the place for pasting: what is needed, templates, and the imports of late."""
    needed = [a.name for a in info.attributes if not a.has_default]
    blocked = [a.name for a in info.attributes if not a.has_default and not importable(a)]
    if blocked:
        form = link(say("Enter them in the form"), Route("enter", (info.master or info.name,)))
        words = say(
            "Rows of this table need files in {attributes}, which no cell can hold. {enter}, or insert them from"
            " Python.",
            attributes=escape(", ".join(blocked)),
            enter=form,
        )
        return (
            f'<div class="stack">{heading_html(info)}<div class="notice-box dj-state-blocked" role="alert">'
            f"{icon('blocked')}<div>{words}</div></div></div>"
        )
    names = ", ".join(f"<code>{escape(name)}</code>" for name in needed)
    templates = button(
        say("Template as CSV"), "template-csv", label=say("Template as CSV: the names, to be filled in")
    )
    if has_workbooks:
        templates += button(
            say("Template for Excel"), "template-xlsx", label=say("Template for Excel, with the choices")
        )
    items = "".join(_recent_item(info, batch) for batch in recent)
    title = say("Your imports of late")
    late = (
        f'<section class="card"><header><h2>{title}</h2></header><ul class="body list">{items}</ul></section>'
    )
    return (
        f'<div class="stack">{heading_html(info)}<p>{say("Every row needs {attributes}.", attributes=names)}</p>'
        f'<div class="row">{templates}</div>{late if items else ""}</div>'
    )


def _recent_item(info: TableInfo, batch: Batch) -> str:
    if batch.receipt is None:
        state = say("not imported yet; sent at {time}", time=f"{batch.begun_at:%H:%M:%S}")
    elif batch.receipt.is_undone:
        state = say("taken back")
    else:
        time = time_told(batch.receipt.saved_at)
        state = say_many("{n} row, {time}", "{n} rows, {time}", batch.receipt.n_rows, time=time)
    route = Route("import", (info.name,), {"batch": batch.id})
    return f'<li data-key="{escape(batch.id)}">{link(batch.file_name, route)} <span class="muted">{escape(state)}</span></li>'


def past_html(info: TableInfo, past: Sequence[PastImport], problem: str) -> str:
    """Return what is shown of the writings of a file that only the history knows."""
    receipts = "".join(_receipt(info, one.receipt, one.token) for one in past)
    return (
        f'<div class="stack">{heading_html(info)}<h2 tabindex="-1" data-arrival="past">{say("An earlier import")}</h2>'
        f"{_problem(problem)}{receipts}"
        f'<p class="muted">{say("The file and its rows are not on the server any more.")}</p></div>'
    )


def batch_html(info: TableInfo, batch: Batch, chosen: RowClass | None) -> str:
    """Return everything of a batch but its rows.

    Parameters
    ----------
    info
        The table.
    batch
        The import.
    chosen
        The class whose rows are shown; ``None`` for all.
    """
    return (
        f'<div class="stack">{heading_html(info)}{_file_line(info, batch)}{_headline(batch)}{_problem(batch.problem)}'
        f"{_progress(batch)}{_receipts(info, batch)}"
        f"{_questions(batch)}{_missing(info, batch)}{_reading_card(info, batch)}"
        f"{_rows_line(batch, chosen)}</div>"
    )


def _headline(batch: Batch) -> str:
    """Return where the import stands: the focus goes there whenever that changes."""
    receipts = " ".join(str(receipt.is_undone) for receipt in batch.receipts)
    n_new, n_bad = batch.count(RowClass.NEW), batch.n_bad
    if batch.is_busy and batch.stage in _DOING:
        text = say(_DOING[batch.stage])
    elif batch.stage == "written":
        text = say("Imported")
    elif batch.stage != "checked" or not batch.classes:
        text = say("Choose what goes where") if batch.columns else say("The file could not be read")
    elif n_bad:
        text = say_many("{n} row needs a correction", "{n} rows need a correction", n_bad)
    elif n_new:
        text = say_many("{n} row can be imported", "{n} rows can be imported", n_new)
    else:
        text = say("There is nothing to import")
    place = f"{batch.id} {batch.stage} {receipts} {batch.problem}"
    return f'<h2 tabindex="-1" data-key="headline" data-arrival="{escape(place)}">{escape(text)}</h2>'


def _file_line(info: TableInfo, batch: Batch) -> str:
    kinds = {"text": say("text"), "xlsx": say("Excel workbook"), "parquet": "Parquet"}
    facts = [kinds[batch.layout.kind]]
    if batch.classes:
        facts += [
            say_many("{n} row", "{n} rows", len(batch.classes)),
            say_many("{n} column", "{n} columns", len(batch.columns)),
        ]
    another = f'<a class="btn quiet" href="{href(Route("import", (info.name,)))}">{say("Another file")}</a>'
    return (
        f'<div class="row spread" data-key="file"><div class="break"><b>{escape(batch.file_name)}</b>'
        f' <span class="muted">{" · ".join(facts)}</span></div>{another}</div>'
    )


def _problem(text: str) -> str:
    if not text:
        return ""
    return (
        f'<div class="notice-box dj-state-error" data-key="problem" role="alert">{icon("error")}'
        f'<div class="break">{escape(text)}</div></div>'
    )


def _progress(batch: Batch) -> str:
    if not batch.is_busy or batch.stage not in _DOING:
        return ""
    total = batch.n_total or max(batch.n_done, 1)
    share = min(100 * batch.n_done / total, 100) if batch.n_total else 0
    doing = say(_DOING[batch.stage])
    words = say_many("{doing}: {n} row", "{doing}: {n} rows", batch.n_done, doing=doing)
    if batch.n_total:
        words = say_many(
            "{doing}: {done} of {n} row", "{doing}: {done} of {n} rows", total, doing=doing, done=batch.n_done
        )
    return (
        f'<div class="row" data-key="progress"><span class="dj-progress dj-state-running" role="progressbar"'
        f' aria-label="{escape(doing)}" aria-valuemin="0" aria-valuemax="100"'
        f' aria-valuenow="{share:.0f}" style="flex:1 1 200px"><span class="dj-track">'
        f'<i style="width:{share:.1f}%"></i></span><span class="dj-progress-text">{escape(words)}</span></span>'
        f"{button(say('Cancel'), 'cancel')}</div>"
    )


def _receipts(info: TableInfo, batch: Batch) -> str:
    return "".join(
        _receipt(info, receipt, batch.token(number)) for number, receipt in enumerate(batch.receipts)
    )


def _receipt(info: TableInfo, receipt: ImportReceipt, token: str) -> str:
    rows = say_many("{n} row", "{n} rows", receipt.n_rows)
    table = link(info.name, Route("table", (info.name,)))
    if receipt.is_undone:
        words = say("Taken back: {rows} of {table} were removed.", rows=rows, table=table)
        undo, state = "", "ignored"
    else:
        time = f"{time_told(receipt.saved_at)} ({escape(zone_name(receipt.saved_at))})"
        words = say("Imported {rows} into {table} at {time}.", rows=rows, table=table, time=time)
        if receipt.n_left_out:
            left = say_many("{n} other was left out.", "{n} others were left out.", receipt.n_left_out)
            words += f" {left}"
        if receipt.is_traced:
            shown = say_many("Look at the row", "Look at the rows", receipt.n_rows)
            if receipt.n_rows > MAX_WRITTEN:
                shown = say("Look at the first {n} of these rows", n=MAX_WRITTEN)
            words += f" {link(shown, Route('table', (info.name,), {'batch': token}))}"
        undo = button(say("Undo import"), "undo", token, label=say("Undo import of {rows}", rows=rows))
        state = "done"
    return (
        f'<div class="notice-box dj-state-{state}" data-key="receipt-{escape(token)}" role="status">{icon(state)}'
        f"<div>{words}</div>{undo}</div>"
    )


# ---------------------------------------------------------------------------------------------- reading
def _questions(batch: Batch) -> str:
    if batch.stage in ("writing", "written", "undoing") or batch.has_written or not batch.classes:
        return ""
    boxes = ""
    if batch.number_forms.has_signs and not batch.notation.decimal:
        text = _ambiguous(batch, "number")
        point, comma = (plain_number(text, sign) for sign in (".", ","))
        boxes += _question(
            "decimal", say("What does {text} mean in this file?", text=text),
            ((".", say("{number} (decimal point)", number=point)), (",", say("{number} (decimal comma)", number=comma))),
        )  # fmt: skip
    if batch.day_forms.has_days and not batch.notation.days:
        text = _ambiguous(batch, "day")
        day, month = (plain_time(text, order) for order in ("dmy", "mdy"))
        boxes += _question(
            "days", say("Which day is {text} in this file?", text=text),
            (("dmy", say("{day} (day first)", day=day)), ("mdy", say("{day} (month first)", day=month))),
        )  # fmt: skip
    return boxes


def _ambiguous(batch: Batch, kind: str) -> str:
    """Return a value of the file that has two readings, or one that is like them."""
    read = plain_number if kind == "number" else plain_time
    for column, name in zip(batch.columns, batch.mapped, strict=True):
        for text in column.samples if name else ():
            try:
                read(text, "")
            except TwoReadingsError:
                return text
            except ValueError:
                continue
    return "1,234" if kind == "number" else "3/4/2026"


def _dotted(batch: Batch) -> str:
    """Return a day of the file that is written with points, or one that is like them."""
    for column, name in zip(batch.columns, batch.mapped, strict=True):
        if name and column.forms.dotted:
            for text in column.samples:
                with contextlib.suppress(ValueError):
                    if "." in text and plain_time(text, "") != text.strip():
                        return text
    return "1.2.2026"


def _question(name: str, question: str, answers: Iterable[tuple[str, str]]) -> str:
    buttons = "".join(button(text, f"{name}-answer", value) for value, text in answers)
    return (
        f'<div class="notice-box dj-state-partial" data-key="ask-{name}" role="group">{icon("partial")}'
        f"<div><b>{escape(question)}</b> {say('It can be read in two ways, so nothing is guessed.')}</div>"
        f"{buttons}</div>"
    )


def _missing(info: TableInfo, batch: Batch) -> str:
    if not batch.columns or batch.receipt is not None:
        return ""
    names = [a.name for a in missing(info, batch.mapped)]
    if not names:
        return ""
    codes = ", ".join(f"<code>{escape(name)}</code>" for name in names)
    words = say(
        "No column goes to {attributes}, and every row needs a value there. Choose one below.",
        attributes=codes,
    )
    return (
        f'<div class="notice-box dj-state-error" data-key="missing" role="alert">{icon("error")}'
        f"<div>{words}</div></div>"
    )


def _reading_card(info: TableInfo, batch: Batch) -> str:
    # While the file is read it is not known yet whether the visitor must look.
    if batch.has_written or batch.stage == "reading" or not (batch.columns or batch.problem):
        return ""
    is_open = (
        not batch.classes
        or bool(missing(info, batch.mapped))
        or not all(m.is_sure for m in batch.matches)
        or bool(batch.n_days_alone or batch.n_cut)
    )
    n_used = sum(map(bool, batch.mapped))
    ignored = [c.name for c, name in zip(batch.columns, batch.mapped, strict=True) if not name]
    # How many there are decides the form; how many are used is said as text.
    words = say_many(
        "{used} of {n} column is used", "{used} of {n} columns are used", len(batch.columns), used=str(n_used)
    )
    if ignored:
        names = ", ".join(ignored[:_MAX_NAMED])
        if (more := len(ignored) - _MAX_NAMED) > 0:
            names = say("{names} and {n} more", names=names, n=str(more))
        words = say("{words}; ignored: {names}", words=words, names=names)
    words = "; ".join([words, *_allowed(batch)])
    table = _mapping_table(info, batch) if batch.columns else ""
    return (
        f'<details class="card" data-key="reading"{" open" if is_open else ""}><summary class="head">'
        f"<h2>{say('How the file is read')}</h2>"
        f'<span class="muted break">{escape(words if batch.columns else "")}</span></summary>'
        f'<div class="body row">{_layout_fields(batch)}</div>{table}</details>'
    )


def _allowed(batch: Batch) -> list[str]:
    """Return in words what was added to the cells of the file, or left out, because someone allowed it."""
    words = []
    if batch.notation.midnight and (n := batch.n_days_alone):
        words.append(
            say_many("{n} day without a time is midnight", "{n} days without a time are midnight", n)
        )
    if batch.notation.cut and (n := batch.n_cut):
        words.append(
            say_many(
                "fractions of a second are cut in {n} cell", "fractions of a second are cut in {n} cells", n
            )
        )
    return words


def _layout_fields(batch: Batch) -> str:
    fields = ""
    layout = batch.layout
    if layout.kind == "text":
        encodings = dict(ENCODINGS)
        encodings.setdefault(layout.encoding, layout.encoding.upper())
        fields += _select(say("Encoding"), "encoding", encodings, layout.encoding)
        fields += _select(
            say("Cells apart by"),
            "delimiter",
            {mark: say(name) for mark, name in DELIMITERS.items()},
            layout.delimiter,
        )
    if len(layout.sheets) > 1:
        fields += _select(say("Sheet"), "sheet", {name: name for name in layout.sheets}, layout.sheet)
    if batch.number_forms.has_signs:
        signs = {".": say("point (1.5)"), ",": say("comma (1,5)")}
        fields += _select(say("Decimal sign"), "decimal", signs, batch.notation.decimal)
    if batch.day_forms.dotted:
        text = _dotted(batch)
        day = plain_time(text, "")
        words = say("Days with points begin with the day: {text} is {day}.", text=text, day=day)
        fields += f'<span class="small muted">{escape(words)}</span>'
    if batch.day_forms.has_days:
        orders = {"dmy": say("day/month/year"), "mdy": say("month/day/year")}
        fields += _select(say("Days"), "days", orders, batch.notation.days)
    if layout.kind != "parquet":
        fields += _tick(say("The first row holds names"), "has_header", is_on=batch.has_header)
    return fields + _allowances(batch)


def _allowances(batch: Batch) -> str:
    """Return the choice to take midnight for granted, or to cut fractions, where the file has such cells."""
    ticks = ""
    if n := batch.n_days_alone:
        words = say_many(
            "A day without a time is midnight ({n} cell)", "A day without a time is midnight ({n} cells)", n
        )
        ticks += _tick(words, "midnight", is_on=batch.notation.midnight)
    if n := batch.n_cut:
        words = say_many(
            "Cut fractions of a second that are not kept ({n} cell)",
            "Cut fractions of a second that are not kept ({n} cells)",
            n,
        )
        ticks += _tick(words, "cut", is_on=batch.notation.cut)
    return f'<div class="row allowances" data-key="allowances">{ticks}</div>' if ticks else ""


def _tick(label: str, action: str, *, is_on: bool) -> str:
    box = f'<input type="checkbox" data-action="{action}"{" checked" if is_on else ""}>'
    return f'<label data-key="{action}">{box}{escape(label)}</label>'


def _select(label: str, action: str, options: Mapping[str, str], chosen: str) -> str:
    items = "" if chosen in options else f'<option value="" selected>{say("choose…")}</option>'
    items += "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(text)}</option>'
        for value, text in options.items()
    )
    return (
        f'<label data-key="{action}">{escape(label)} <select data-action="{action}">{items}</select></label>'
    )


def _mapping_table(info: TableInfo, batch: Batch) -> str:
    names = [a.name for a in info.attributes if importable(a)]
    rows = ""
    for place, (column, match) in enumerate(zip(batch.columns, batch.matches, strict=True)):
        options = (
            f'<option value=""{"" if match.attribute else " selected"}>{say("(ignored)")}</option>'
            + "".join(
                f'<option value="{escape(n)}"{" selected" if n == match.attribute else ""}>{escape(n)}</option>'
                for n in names
            )
        )
        samples = ", ".join(f"<span>{escape(text[:40])}</span>" for text in column.samples)
        about = ""
        if match.attribute:
            field = describe_field(info.attribute(match.attribute))
            about = " · ".join(part for part in (field.comment, field.unit) if part)
        sure = escape(match.reason) if match.is_sure else chip(match.reason, "partial", icon_name="partial")
        rows += (
            f'<tr data-key="{place}"><th scope="row" class="break column">{escape(column.name)}</th>'
            f'<td class="muted small break samples">{samples}</td><td><select data-action="map-{place}"'
            f' aria-label="{escape(say("Attribute for the column {column}", column=column.name))}">{options}</select></td>'
            f'<td class="small muted">{sure}{" · " if about else ""}{escape(about)}</td></tr>'
        )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{say("Columns and attributes")}">'
        '<table class="mapping"><thead><tr>'
        f'<th scope="col">{say("Column of the file")}</th><th scope="col">{say("First values")}</th>'
        f'<th scope="col">{say("Attribute")}</th>'
        f'<th scope="col">{say("Why")}</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


# ---------------------------------------------------------------------------------------------- rows
def _rows_line(batch: Batch, chosen: RowClass | None) -> str:
    if batch.stage in ("reading", "mapping", "checking") or not batch.classes:
        return ""
    total = len(batch.classes)
    filters = [_filter(say("All"), "all", total, is_on=chosen is None, title=say("All rows of the file"))]
    for kind, (word, state, title) in _CLASSES.items():
        number = batch.count(kind)
        if number or (kind != RowClass.IMPORTED and batch.receipt is None):
            filters.append(
                _filter(
                    say(word), kind.name.lower(), number, is_on=chosen == kind, title=say(title), state=state
                )
            )
    line = f'<div class="row" role="group" aria-label="{say("Rows by class")}" data-key="classes">{"".join(filters)}</div>'
    actions = _actions(batch)
    return line + (f'<div class="row" data-key="actions">{actions}</div>' if actions else "")


def _filter(word: str, value: str, number: int, *, is_on: bool, title: str, state: str = "") -> str:
    image = icon(state) if state else ""
    return (
        f'<button type="button" class="btn filter dj-state-{state or "pending"}" data-action="class"'
        f' data-value="{value}" data-key="{value}" aria-pressed="{"true" if is_on else "false"}"'
        f' title="{escape(title)}">{image}{escape(word)} <b>{grouped(number)}</b></button>'
    )


def _actions(batch: Batch) -> str:
    if batch.stage == "written" or (batch.is_busy and batch.stage in _DOING):
        return ""
    n_new, n_same = batch.count(RowClass.NEW), batch.count(RowClass.IDENTICAL)
    n_bad = batch.n_bad
    if n_bad and n_new:
        why = say_many(
            "{n} row needs a correction first, or import only the valid ones.",
            "{n} rows need a correction first, or import only the valid ones.",
            n_bad,
        )
    elif n_bad:
        why = say_many("{n} row needs a correction first.", "{n} rows need a correction first.", n_bad)
    elif not n_new:
        why = say("All rows are in the table already.") if n_same else say("There are no new rows.")
    else:
        why = ""
    n_all = n_new + n_bad
    every = say_many("Import {n} row", "Import {n} rows", n_all)
    if n_bad and n_all > 1:
        every = say_many("Import all {n} row", "Import all {n} rows", n_all)
    made = button(every, "import", kind="primary", key="import", why_not=why) if n_all else ""
    if n_bad and n_new:
        made += button(
            say_many("Import only the {n} valid row", "Import only the {n} valid rows", n_new),
            "import-valid",
            key="import-valid",
        )
    if n_bad:
        rejected = say_many("Download {n} rejected row", "Download {n} rejected rows", n_bad)
        made += button(rejected, "rejected", key="rejected")
    made += button(say("Check again"), "check", kind="quiet", key="check")
    return made + (f'<span class="small muted">{escape(why)}</span>' if why else "")
