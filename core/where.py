"""Conditions and expressions → SQL and bound values, over columns that a query already has."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Set
from decimal import Decimal
from typing import Any

from dj_panel.core.algebra import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Constant,
    KeyMatch,
    Negation,
    OneOf,
    Ordering,
    PassedOver,
    TextCondition,
    TextMatch,
)
from dj_panel.core.columntypes import ColumnType, EnumType, IntegerType, TextType
from dj_panel.core.dialect.protocol import Dialect, Statement
from dj_panel.core.errors import QuerySyntaxError, UnknownAttributeError
from dj_panel.core.jsonplaces import JsonPlace, json_place
from dj_panel.core.sqltext import Slot, read_over
from dj_panel.core.structure import Heading

__all__ = ["FALSE", "TRUE", "ConditionRenderer", "joined", "parenthesized"]

TRUE, FALSE = Statement("1 = 1"), Statement("1 = 0")
_UNFIT: Any = object()


def joined(statements: Iterable[Statement], between: str) -> Statement:
    """Return statements as one, with text between them."""
    statements = list(statements)
    return Statement(
        between.join(s.sql for s in statements), tuple(value for s in statements for value in s.parameters)
    )


def parenthesized(statement: Statement) -> Statement:
    """Return a statement in parentheses."""
    return Statement(f"({statement.sql})", statement.parameters)


class ConditionRenderer(ABC):
    """Renders conditions; what a condition asks of another query is left to the renderer of queries.

    Parameters
    ----------
    dialect
        The server's.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    @abstractmethod
    def key_match(self, condition: KeyMatch, columns: Mapping[str, Statement]) -> Statement:
        """Return the condition that another query has a row like this one."""

    def condition(
        self, condition: Condition, columns: Mapping[str, Statement], heading: Heading
    ) -> Statement:
        """Return a condition as SQL that can stand between ANDs."""
        if isinstance(condition, Constant):
            return TRUE if condition.value else FALSE
        if isinstance(condition, PassedOver):
            return TRUE
        if isinstance(condition, Comparison):
            return self.comparison(condition, columns, heading)
        if isinstance(condition, OneOf):
            return self.one_of(condition, columns, heading)
        if isinstance(condition, Ordering):
            return self.ordering(condition, columns, heading)
        if isinstance(condition, TextMatch):
            return self.text_match(condition, columns, heading)
        if isinstance(condition, TextCondition):
            return parenthesized(self.text(condition.text, columns, heading))
        if isinstance(condition, AllOf):
            telling = [c for c in condition.conditions if not isinstance(c, PassedOver)]
            parts = [self.condition(c, columns, heading) for c in telling]
            return parenthesized(joined(parts, " AND ")) if parts else TRUE
        if isinstance(condition, AnyOf):
            parts = [self.condition(c, columns, heading) for c in condition.conditions]
            return parenthesized(joined(parts, " OR ")) if parts else FALSE
        if isinstance(condition, Negation):
            inner = self.condition(condition.condition, columns, heading)
            if isinstance(condition.condition, KeyMatch):
                return Statement(f"NOT {inner.sql}", inner.parameters)
            return Statement(f"({inner.sql}) IS NOT TRUE", inner.parameters)
        if isinstance(condition, KeyMatch):
            return self.key_match(condition, columns)
        raise QuerySyntaxError(f"{type(condition).__name__} is not a condition.")

    def comparison(
        self, condition: Comparison, columns: Mapping[str, Statement], heading: Heading
    ) -> Statement:
        """Return the condition that an attribute, or a place in its document, equals a value."""
        column = columns[condition.attribute]
        if condition.place is not None:
            return self.at_place(condition.place, condition.value, column)
        if condition.value is None:
            return Statement(f"{column.sql} IS NULL", column.parameters)
        column_type = heading[condition.attribute].column_type
        fits, value = self.bound(condition.value, column_type)
        if not fits:
            return FALSE
        return Statement(f"{column.sql} = {self.dialect.compared(column_type)}", (*column.parameters, value))

    def at_place(self, place: JsonPlace, value: Any, column: Statement) -> Statement:
        """Return the condition that what stands at a place inside a JSON document equals a value."""
        mark = self.dialect.placeholder
        if value is None:
            found = self.dialect.json_scalar(column, place.path, place.column_type)
            return Statement(f"{found.sql} IS NULL", found.parameters)
        if place.type:
            found = self.dialect.json_scalar(column, place.path, place.column_type)
            fits, value = self.bound(value, place.column_type)
            return Statement(f"{found.sql} = {mark}", (*found.parameters, value)) if fits else FALSE
        if isinstance(value, bool):
            found, value = self.dialect.json_text(column, place.path), "true" if value else "false"
        elif isinstance(value, (int, float, Decimal)) and -(2**53) < value < 2**53:
            # Numbers are equal however they are written: 1 and 1.0.
            found, value = self.dialect.json_number(column, place.path), float(value)
        else:
            found, value = self.dialect.json_scalar(column, place.path, place.column_type), str(value)
        return Statement(f"{found.sql} = {mark}", (*found.parameters, value))

    def ordering(self, condition: Ordering, columns: Mapping[str, Statement], heading: Heading) -> Statement:
        """Return the condition that an attribute comes before or after a value."""
        column, column_type = columns[condition.attribute], heading[condition.attribute].column_type
        if condition.operator not in ("<", "<=", ">", ">="):
            raise QuerySyntaxError(f"{condition.operator!r} is not a comparison; use <, <=, > or >=.")
        if isinstance(column_type, EnumType):
            # Sorted by the position of its choices, which a comparison with text would not see.
            words = _choices(column_type.choices, condition.operator, condition.value)
            return self.one_of(OneOf((condition.attribute,), (words,)), columns, heading)
        fits, value = self.bound(condition.value, column_type)
        if not fits:
            return FALSE
        return Statement(
            f"{column.sql} {condition.operator} {self.dialect.placeholder}", (*column.parameters, value)
        )

    def text_match(
        self, condition: TextMatch, columns: Mapping[str, Statement], heading: Heading
    ) -> Statement:
        """Return the condition that an attribute's text holds another."""
        column, kind = columns[condition.attribute], heading[condition.attribute].column_type.kind
        sql, text = self.dialect.as_text(column.sql, kind), condition.text
        if kind == "uuid":
            text = text.replace("-", "")
        return self.dialect.text_found(Statement(sql, column.parameters), text, at_start=condition.at_start)

    def one_of(self, condition: OneOf, columns: Mapping[str, Statement], heading: Heading) -> Statement:
        """Return the condition that attributes equal one of several values."""
        by_column = self.listed_values(condition, heading)
        if not by_column:
            return FALSE
        used = [columns[name] for name in condition.attributes]
        listed = self.dialect.one_of([c.sql for c in used], by_column)
        return Statement(listed.sql, joined(used, "").parameters + listed.parameters)

    def listed_values(self, condition: OneOf, heading: Heading) -> list[list[Any]]:
        """Return values as the driver takes them, by column; those that a column cannot hold are left out."""
        if not condition.n_rows:
            return []
        by_column = [
            self.all_bound(values, types, heading[name].column_type)
            for name, values, types in zip(
                condition.attributes, condition.columns, condition.types, strict=True
            )
        ]
        if any(_UNFIT in values for values in by_column):
            rows = [r for r in zip(*by_column, strict=True) if not any(value is _UNFIT for value in r)]
            by_column = list(map(list, zip(*rows, strict=True)))
        return by_column

    def all_bound(self, values: Sequence[Any], types: Set[type], column: ColumnType) -> list[Any]:
        """Return values of some types as the driver takes them; :data:`_UNFIT` for those the column cannot hold."""
        encode = self.dialect.encoder(column)
        if encode is None and _are_fit(values, types, column):
            return list(values)
        found = []
        for value in values:
            fits, bound = self.bound(value, column)
            found.append(bound if fits else _UNFIT)
        return found

    def bound(self, value: Any, column: ColumnType) -> tuple[bool, Any]:
        """Return whether a column can hold the value at all, and the value as the driver takes it."""
        encode = self.dialect.encoder(column)
        try:
            checked = column.check(value)
            return True, encode(checked) if encode else checked
        except ValueError:
            return False, None

    def text(self, text: str, columns: Mapping[str, Statement], heading: Heading) -> Statement:
        """Return a user's expression, with the columns and the bound words in its slots."""
        place = json_place(text, heading)
        if place is not None:
            return self.dialect.json_scalar(columns[place.attribute], place.path, place.column_type)
        template = read_over(text, self.dialect.name, heading)
        sql: list[str] = []
        parameters: list[Any] = []
        for part in template.parts:
            if not isinstance(part, Slot):
                sql.append(self.dialect.verbatim(part))
                continue
            if part.word is None:
                name = part.attribute or ""
                if name not in columns:
                    raise UnknownAttributeError(name, available=list(columns))
                sql.append(columns[name].sql)
                parameters += columns[name].parameters
                continue
            sql.append(self.dialect.placeholder)
            parameters.append(self.word(part, heading))
        return Statement("".join(sql), tuple(parameters))

    def word(self, slot: Slot, heading: Heading) -> Any:
        """Return a quoted word as the driver takes it, in the form of the attribute it is compared with."""
        if slot.attribute is None or slot.attribute not in heading:
            return slot.word
        column = heading[slot.attribute].column_type
        fits, value = self.bound(slot.word, column)
        if not fits and column.kind in ("date", "datetime") and not _is_moment(slot.word):
            # Text of another form would be compared letter by letter, or not at all.
            raise QuerySyntaxError(
                f"'{slot.word}' is compared with {slot.attribute} and is not a {column.kind};"
                " write it as YYYY-MM-DD, with HH:MM:SS after it for a time of day."
            )
        return value if fits else slot.word


def _are_fit(values: Sequence[Any], types: Set[type], column: ColumnType) -> bool:
    """Tell at one look whether a column can hold all the values, which are of these types, as they are."""
    if isinstance(column, IntegerType) and types == {int}:
        return bool(column.low <= min(values) and max(values) <= column.high)
    if isinstance(column, TextType) and types == {str} and column.name != "char":
        return all(map(str.isascii, values)) and (
            column.length is None or max(map(len, values)) <= column.length
        )
    return False


def _choices(choices: tuple[str, ...], operator: str, value: Any) -> tuple[str, ...]:
    """Return the words of an enum that come before or after one of them."""
    if value not in choices:
        return ()
    place = choices.index(value) + (operator in ("<=", ">"))
    return choices[:place] if operator in ("<", "<=") else choices[place:]


def _is_moment(text: str | None) -> bool:
    try:
        dt.datetime.fromisoformat(text or "")
    except ValueError:
        return False
    return True
