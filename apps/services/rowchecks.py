"""The rows of an import, checked in blocks: each gets a class, and every bad cell a message.

The checks are those of a form and of `Table.validate`; at the end the database itself is asked, by writing the
rows in a transaction that is rolled back.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any

from dj_panel.apps.fields import complaint, describe_field, format_value, parse_text
from dj_panel.apps.pickers import key_label
from dj_panel.apps.services.batches import Batch, RowClass, cell_text
from dj_panel.apps.services.comparison import agrees
from dj_panel.apps.services.drafts import MAX_TEXT_CHARS, key_values
from dj_panel.apps.services.notation import plain_number, plain_time
from dj_panel.apps.services.parents import Parents
from dj_panel.apps.services.reading import Cell
from dj_panel.apps.services.structure import Link, TableInfo
from dj_panel.apps.typed import Custom
from dj_panel.apps.typed_times import refuse_cut, refuse_missing_time
from dj_panel.core.columntypes import DatetimeType, TextType, TimeType
from dj_panel.core.definition import is_server_value
from dj_panel.core.errors import AccessError, DataJointError, LostConnectionError, did_you_mean
from dj_panel.core.structure import Attribute
from dj_panel.core.validation import Problem
from dj_panel.core.words import say

__all__ = ["BLOCK_ROWS", "CancelledError", "RowChecker"]

BLOCK_ROWS = 2000
_MAX_KNOWN_TEXTS = 10_000
_KEYS_PER_QUERY = 1000
_MAX_SHOWN = 120
_MAX_ASKED = 50
"""Of so many keys that no parent has, those that come near are looked for."""
Values = dict[str, Any]


class CancelledError(Exception):
    """Someone gave up what was being done."""


class _RolledBackError(Exception):
    """Ends a transaction that was to be rolled back."""


class CellReader:
    """Reads the cells of one column.

    Parameters
    ----------
    attribute
        Where they go.
    batch
        Says how numbers and days are written.
    custom
        By which clock the lab means its times.
    """

    def __init__(self, attribute: Attribute, batch: Batch, custom: Custom) -> None:
        self._attribute = attribute
        self._kind = describe_field(attribute).kind
        self._notation = batch.notation
        self._custom = replace(custom, decimal_comma=False)  # the file has a decimal sign of its own
        self._known: dict[Cell, Any] = {}
        column = attribute.column_type
        is_text = attribute.codec is None and type(column) is TextType and column.name != "char"
        self._plain_chars = (getattr(column, "length", None) or MAX_TEXT_CHARS) if is_text else 0

    def value(self, cell: Cell) -> Any:
        """Return the value of a cell, ``None`` of an empty one; raise ``ValueError`` with the reason as a clause."""
        if cell == "":
            return None
        if (
            self._plain_chars
            and isinstance(cell, str)
            and len(cell) <= self._plain_chars
            and cell.isascii()
            and cell.isprintable()
            and " " not in (cell[0], cell[-1])
        ):
            return cell  # as parse_text would read it, which takes ten times as long
        # True and 1 are one key of a dict, but no cell is a bool.
        if cell in self._known:
            return self._known[cell]
        text = self._plain(cell)
        try:
            value = parse_text(self._attribute, text, self._custom)
        except ValueError as error:
            if near := did_you_mean(text.strip(), self._attribute.choices):
                raise ValueError(f"{error}.{near}") from error
            raise
        if value is not None:
            self._refuse_losses(text, value)
        if self._kind not in ("text", "json") and len(self._known) < _MAX_KNOWN_TEXTS:
            self._known[cell] = value
        return value

    def _refuse_losses(self, text: str, value: Any) -> None:
        """Refuse, as a form does, a time that nobody wrote and parts of one that are not kept, unless it is allowed."""
        column = self._attribute.column_type
        if self._attribute.codec is not None or not isinstance(column, (DatetimeType, TimeType)):
            return
        if isinstance(column, DatetimeType) and not self._notation.midnight:
            refuse_missing_time(text)
        if not self._notation.cut:
            refuse_cut(text, column.digits, column.format(value))

    def _plain(self, cell: Cell) -> str:
        if not isinstance(cell, str):
            return str(cell)
        if self._kind in ("integer", "decimal", "float"):
            return plain_number(cell, self._notation.decimal)
        if self._kind in ("date", "datetime"):
            return plain_time(cell, self._notation.days)
        return cell


class RowChecker:
    """Checks the rows of one import.

    Parameters
    ----------
    info
        The table that they are for.
    table
        Gives the table, to be asked in the thread that asks.
    batch
        The import.
    custom
        By which clock the lab means its times.
    parents
        Gives the rows that a foreign key may refer to.
    """

    def __init__(
        self,
        info: TableInfo,
        table: Callable[[], Any],
        batch: Batch,
        custom: Custom,
        parents: Callable[[Link], Parents],
    ) -> None:
        self._info = info
        self._table = table
        self._parents = parents
        self._unknown: dict[tuple[str, ...], str] = {}
        self._batch = batch
        self._columns = [
            (column, info.attribute(name), CellReader(info.attribute(name), batch, custom))
            for column, name in enumerate(batch.mapped)
            if name
        ]
        known = {a.name for a in info.attributes}
        self._mapped = {attribute.name for _, attribute, _ in self._columns}
        links = [link.foreign_key.attributes for link in info.parents if link.foreign_key.unique]
        self._key = info.primary_key
        self._unique = [
            names
            for names in dict.fromkeys([self._key, *info.unique, *links])
            if names and set(names) <= known
        ]
        self._defaults = {
            a.name: None
            if a.default is None or a.autoincrement or is_server_value(a.default)
            else a.column_type.check(a.default)
            for a in info.attributes
            if any(a.name in names for names in self._unique)
        }
        self._places: dict[bytes, list[int]] = {}

    # ------------------------------------------------------------------ checking
    def check(self, positions: Sequence[int]) -> None:
        """Give rows their class and messages."""
        values: dict[int, Values] = {}
        errors: dict[int, dict[str, str]] = {}
        for position in positions:
            values[position], errors[position] = self._read(self._batch.cells(position))
        twins = self._repeated(positions, values)
        taken, unique = self._problems(positions, values, errors)
        there = self._there([values[position] for position in taken])
        for position, problem in unique:
            own = there.get(self._mark(self._key, values[position]) or b"")
            names = _names_of(problem)
            if own is None or not all(self._has(own, name, values[position]) for name in names):
                self._add(errors[position], problem)
        new: list[int] = []
        for position in positions:
            kind, messages = self._judge(position, values[position], errors[position], there, twins)
            self._tell(position, kind, messages)
            if kind == RowClass.NEW:
                new.append(position)
        self._ask_database([(position, _given(values[position])) for position in new])

    def forget(self, position: int) -> list[int]:
        """Take a row out before its cells change; return the rows that have a key or unique value of it."""
        values, _ = self._read(self._batch.cells(position))
        others: set[int] = set()
        for _, mark in self._marks(values):
            places = self._places.get(mark, [])
            if position in places:
                places.remove(position)
                others.update(places)
        return sorted(others)

    def sharing(self, position: int) -> list[int]:
        """Return the rows that have a key or unique value of a row, which is among them."""
        values, _ = self._read(self._batch.cells(position))
        return sorted({p for _, mark in self._marks(values) for p in self._places.get(mark, [])})

    def values(self, position: int) -> Values:
        """Return the values of a row that was found right; what is empty is not among them."""
        cells = self._batch.cells(position)
        return _given({a.name: reader.value(cells[column]) for column, a, reader in self._columns})

    def readings(self, position: int) -> dict[str, str]:
        """Return how cells of a row were read, by attribute, where that is not what stands there."""
        found = {}
        cells = self._batch.cells(position)
        for column, attribute, reader in self._columns:
            try:
                value = reader.value(cells[column])
            except ValueError:
                continue
            text = "" if value is None else format_value(attribute, value)
            if not _is_plain(cell_text(cells[column]), text):
                found[attribute.name] = text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
        return found

    def _read(self, cells: Sequence[Cell]) -> tuple[Values, dict[str, str]]:
        values: Values = {}
        errors: dict[str, str] = {}
        for column, attribute, reader in self._columns:
            value = None
            try:
                value = reader.value(cells[column])
                if value is None and not attribute.has_default:
                    errors[attribute.name] = say("Needs a value.")
            except ValueError as error:
                errors[attribute.name] = complaint(cell_text(cells[column]), str(error))
            values[attribute.name] = value
        return values, errors

    def _judge(
        self,
        position: int,
        values: Values,
        errors: dict[str, str],
        there: Mapping[bytes, Mapping[str, Any]],
        twins: Mapping[int, tuple[int, str]],
    ) -> tuple[RowClass, dict[str, str]]:
        if position in twins:
            first, name = twins[position]
            number = self._batch.row(first)[0]
            if not errors and self._batch.cells(first) == self._batch.cells(position):
                return RowClass.IDENTICAL, {
                    "": say("The same as row {number} of the file.", number=str(number))
                }
            twin = (
                say("Row {number} of the file has the same key.", number=str(number))
                if name in self._key
                else say(
                    "Row {number} of the file has the same value, which must be unique.", number=str(number)
                )
            )
            errors.setdefault(name, twin)
        if errors:
            return RowClass.INVALID, errors
        row = there.get(self._mark(self._key, values) or b"") if there else None
        if row is None:
            return RowClass.NEW, {}
        differing = {
            a.name: say("In the database: {shown}", shown=_shown(a, row[a.name]))
            for _, a, _ in self._columns
            if a.codec is None and not _is_written(a, row[a.name], values[a.name])
        }
        return (RowClass.CONFLICT, differing) if differing else (RowClass.IDENTICAL, {})

    def _tell(self, position: int, kind: RowClass, messages: dict[str, str]) -> None:
        assert self._batch.outcomes is not None
        self._batch.classes[position] = kind
        if messages or self._batch.outcomes[position] is not None:
            self._batch.outcomes[position] = messages or None

    # ------------------------------------------------------------------ rows beside each other
    def _mark(self, names: Sequence[str], values: Values) -> bytes | None:
        """Return what tells a key or unique value from others; ``None`` if a part of it is empty."""
        found = []
        for name in names:
            value = values.get(name)
            if value is None:
                value = self._defaults[name]
                if value is None:
                    return None
            found.append(value)
        return blake2b(repr((names, found)).encode(), digest_size=12).digest()

    def _marks(self, values: Values) -> list[tuple[tuple[str, ...], bytes]]:
        marks = [(names, self._mark(names, values)) for names in self._unique]
        return [(names, mark) for names, mark in marks if mark is not None]

    def _repeated(self, positions: Sequence[int], values: Mapping[int, Values]) -> dict[int, tuple[int, str]]:
        """Return those with a key or unique value of an earlier row: that row, and where to say so."""
        twins: dict[int, tuple[int, str]] = {}
        for position in positions:
            for names, mark in self._marks(values[position]):
                places = self._places.setdefault(mark, [])
                if position not in places:
                    insort(places, position)
                if places[0] != position:
                    name = next((n for n in reversed(names) if n in self._mapped), "")
                    twins.setdefault(position, (places[0], name))
        return twins

    # ------------------------------------------------------------------ what the database says
    def _problems(
        self, positions: Sequence[int], values: Mapping[int, Values], errors: dict[int, dict[str, str]]
    ) -> tuple[list[int], list[tuple[int, Problem]]]:
        """Add what `validate` finds; return the rows whose key, and those of which another value, the table has."""
        taken: list[int] = []
        unique: list[tuple[int, Problem]] = []
        key = ", ".join(self._key)
        for problem in self._table().validate([values[position] for position in positions]).problems:
            position = positions[problem.row]
            if problem.kind == "taken" and problem.attribute == key:
                taken.append(position)
            elif problem.kind == "taken":
                unique.append((position, problem))  # of the row itself, as it is there, it is no problem
            elif problem.kind != "repeated":  # told by _repeated, of all blocks and with the file's numbers
                self._add(errors[position], problem)
        return taken, unique

    def _has(self, row: Mapping[str, Any], name: str, values: Values) -> bool:
        """Return whether a row of the table has the value that a row of the file has, or would get."""
        return agrees(self._info.attribute(name), row[name], values.get(name))

    def _add(self, errors: dict[str, str], problem: Problem) -> None:
        names = _names_of(problem)
        name = next((n for n in reversed(names) if n in self._mapped), "")
        if name not in errors:
            errors[name] = self._words(problem, names)

    def _words(self, problem: Problem, names: tuple[str, ...]) -> str:
        """Return what a form would say of a problem."""
        links = [link for link in self._info.parents if link.foreign_key.attributes == names]
        if problem.kind not in ("parent", "taken") or (problem.kind == "parent" and not links):
            return _sentence(problem.message)
        values = problem.value if isinstance(problem.value, dict) else {names[0]: problem.value}
        texts = {n: format_value(self._info.attribute(n), value) for n, value in values.items()}
        text = key_label(texts, names)
        if problem.kind == "taken":
            label = self._info.label
            return say(
                "{text} is taken by another row of {label}; it must be unique.", text=text, label=label
            )
        link = next((one for one in links[1:] if not self._parents(one).has(values)), links[0])
        place = (link.table, *texts.values())
        if place not in self._unknown:
            parents = self._parents(link)
            if len(self._unknown) < _MAX_ASKED:
                self._unknown[place] = parents.unknown(text, {n: texts[n] for n in names[:-1]})
            else:  # of very many, looking for what comes near would take longer than all other checks
                return parents.missing(text)
        return self._unknown[place]

    def _there(self, rows: Sequence[Values]) -> dict[bytes, dict[str, Any]]:
        """Return the rows of the table that have these rows' keys."""
        keys = [key for row in rows if (key := key_values(self._info, _given(row))) is not None]
        unique = [name for names in self._unique for name in names]
        names = dict.fromkeys([*unique, *(a.name for _, a, _ in self._columns if a.codec is None)])
        found = {}
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            there = self._table() & keys[start : start + _KEYS_PER_QUERY]
            for row in there.to_dicts(attributes=names):
                key = {a.name: a.column_type.check(row[a.name]) for a in self._info.attributes if a.in_key}
                found[self._mark(self._key, key) or b""] = row
        return found

    def _ask_database(self, rows: Sequence[tuple[int, Values]]) -> None:
        """Write rows in a transaction that is rolled back; rows that the database refuses become invalid."""
        if not rows:
            return
        table = self._table()
        try:
            with table.connection.transaction:
                table.insert([values for _, values in rows])
                raise _RolledBackError
        except _RolledBackError:
            return
        except (AccessError, LostConnectionError):
            raise
        except DataJointError as error:
            if len(rows) == 1:
                name = getattr(error, "attribute", "")
                self._tell(rows[0][0], RowClass.INVALID, {name if name in self._mapped else "": str(error)})
                return
        middle = len(rows) // 2
        self._ask_database(rows[:middle])
        self._ask_database(rows[middle:])


def _names_of(problem: Problem) -> tuple[str, ...]:
    return tuple((problem.attribute or "").split(", "))


def _is_written(attribute: Attribute, there: Any, value: Any) -> bool:
    """Return whether a file with this value may have been written from what is there.

    A file tells no value from a text of no characters, a workbook no ends of lines from others, nor numbers that
    differ in the 17th digit.
    """
    if agrees(attribute, there, value):
        return True
    if isinstance(there, float) and isinstance(value, float):
        return f"{there:.16g}" == f"{value:.16g}"
    try:
        read = parse_text(attribute, format_value(attribute, there))
    except ValueError:
        return False
    return bool(there is not None and _in_lines(read) == _in_lines(value))


def _in_lines(value: Any) -> Any:
    return "\n".join(value.splitlines()) if isinstance(value, str) else value


def _is_plain(cell: str, text: str) -> bool:
    """Return whether a cell says by itself how it is read.

    That is as the same text or number, or as a moment with other zeros; that a day is its midnight, no cell says.
    """
    if text.startswith(cell):
        return not text[len(cell) :].startswith(" ")
    if cell.startswith(f"{text}.") and not cell[len(text) + 1 :].strip("0"):
        return True
    try:
        return Decimal(cell) == Decimal(text)
    except InvalidOperation:
        return False


def _given(values: Values) -> Values:
    return {name: value for name, value in values.items() if value is not None}


def _sentence(text: str) -> str:
    """Return a message with a capital, unless it begins with the name of a table."""
    return text if "." in text.partition(" ")[0] else text[:1].upper() + text[1:]


def _shown(attribute: Attribute, value: Any) -> str:
    if value is None:
        return say("no value")
    text = format_value(attribute, value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
