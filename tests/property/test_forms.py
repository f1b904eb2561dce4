"""Forms of any heading: what they let through the database takes, what they refuse it would have refused or altered."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.apps.fields import Field, format_value, parse_text
from dj_panel.apps.pickers import Picker
from dj_panel.apps.services import Services, TableInfo
from dj_panel.apps.services.drafts import key_values
from dj_panel.apps.services.receipts import Receipt
from dj_panel.core.errors import DataJointError
from tests.conftest import Backend
from tests.property.headings import FINE, WRONG, Column, Heading, declare_all, drawn, fine_draft

N_HEADINGS = 200
N_DRAFTS = 5000
N_FUZZED = 50
"""Headings whose forms are given the drafts."""


@pytest.fixture(scope="module")
def headings() -> list[Heading]:
    return drawn(N_HEADINGS)


@pytest.fixture
def serve(
    schema: dj.Schema, caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[[list[Heading]], Services]]:
    caplog.set_level("ERROR", "dj_panel")  # declaring native types is warned of, here by the hundred
    with ExitStack() as stack:

        def serve(found: list[Heading]) -> Services:
            return stack.enter_context(closing(Services(declare_all(schema, found))))

        yield serve


def tables(services: Services, headings: list[Heading]) -> list[tuple[TableInfo, Heading]]:
    schema = services.tables()[0].schema
    return [(services.table(f"{schema}.T{i}"), heading) for i, heading in enumerate(headings)]


def test_any_heading_has_a_form_that_saves_what_is_right_and_names_what_is_wrong(
    serve: Callable[[list[Heading]], Services], headings: list[Heading], backend: Backend
) -> None:
    n_tried = N_HEADINGS // 2  # the other half on the other server
    headings = headings[:n_tried] if backend.name == "sqlite" else headings[n_tried:]
    services = serve(headings)
    seen: Counter[str] = Counter()

    async def try_all() -> None:
        for number, (info, heading) in enumerate(tables(services, headings)):
            chance = random.Random(number)
            check_form(services, info, heading)
            draft = fine_draft(heading, chance.choice)
            for name, text, places in wrong_texts(heading, draft):
                checked = await services.entering.check(info.name, {**draft, **text})
                assert checked.errors, (heading.definition, text)
                assert set(checked.errors) <= places, (heading.definition, name, checked.errors)
                seen["wrong"] += 1
            parts = [fine_part(heading, chance)] if heading.part else []
            outcome = await services.entering.save(
                info.name, draft, dict.fromkeys(info.parts, parts), str(number)
            )
            assert isinstance(outcome, Receipt), (heading.definition, draft, outcome)
            row = (services.pipeline[info.name]() & outcome.values).fetch1()
            for name, typed in draft.items():
                attribute = info.attribute(name)
                value = parse_text(attribute, typed)
                assert parse_text(attribute, format_value(attribute, row[name])) == value, (name, row[name])
            seen["saved"] += 1

    asyncio.run(try_all())
    assert seen["saved"] == n_tried
    assert seen["wrong"] > 2 * n_tried


def check_form(services: Services, info: TableInfo, heading: Heading) -> None:
    form = services.entering.form(info.name)
    assert form.blocker == ""
    given = [n for item in form.items if isinstance(item, Picker) for n in item.attributes]
    fields = {item.name: item for item in form.items if isinstance(item, Field)}
    assert set(given) | set(fields) == {a.name for a in info.attributes}
    assert not set(given) & set(fields)
    for column in heading.columns:
        shown = fields[column.name]
        assert shown.kind != "none"
        assert shown.is_required == (column.default is None)
        assert shown.is_nullable == (column.default == "null")
    for grid in form.grids:
        assert [c.name for c in grid.columns if isinstance(c, Field)] == [c.name for c in heading.part]


def wrong_texts(heading: Heading, draft: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str], set[str]]]:
    """Yield what makes a draft wrong, with where that may be told."""
    for column in heading.columns:
        wrong = WRONG[column.type]
        yield column.name, {column.name: wrong[len(draft) % len(wrong)]}, {column.name}
        if column.default is None:
            yield column.name, {column.name: " "}, {column.name}
    for parent, is_required in heading.parents:
        texts = dict(zip(parent.names, parent.missing, strict=True))
        # another parent may be what is missing now: they share attributes
        places = {n for other, _ in heading.parents for n in other.names if set(other.names) & set(texts)}
        yield parent.line, texts, places
        if is_required:
            yield parent.line, dict.fromkeys(parent.names, ""), places


def fine_part(heading: Heading, chance: random.Random) -> dict[str, str]:
    return {column.name: chance.choice(FINE[column.type]) for column in heading.part}


# ---------------------------------------------------------------------------------------------- fuzz

STRANGE: tuple[str, ...] = (
    "", " ", "0", "-0", "00", "1", "-1", "7 ", " 7", "+7", "7.", ".5", "1e3", "1E-3", "1_000", "1,5", "1.5", "1 000",
    "1'000", "0x10", "½", "٣", "∞", "NaN", "null", "NULL", "None", "true", "yes", "No", "t", "255", "256", "65535",
    "32768", "16777216", "4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "1e38", "3.5e38", "1e308", "1e309", "1e-400", "99999.994", "0.005", "999.995", "12:30",
    "24:00:00", "838:59:59", "839:00:00", "-01:00:00", "2026-03-31", "2026-02-29", "2024-02-29", "0000-00-00",
    "0001-01-01", "0999-01-01", "9999-12-31", "10000-01-01", "20260331", "2026-W14-2", "2026-3-1", "31.03.2026",
    "2026-03-31 14:05", "2026-03-31T14:05:06Z", "2026-03-31 14:05:06.9999999", "2026-03-31 24:00", "9999-12-31 23:59:59.9",
    "M", "m", "F ", "don't", "a,b", "abc", "abcd", "abc ", "é", "e\u0301", "ÿ", "日本語日本語", "日本語日本語日", "😀", "😀😀😀",
    "\u200b", "\u00a0", "\ufeff", "'; DROP TABLE animal; --", "\\", "\\'", "%", "_", '"', "`", "<b>", "a\tb", "a\nb",
    "a\rb", "a\0b", "\ud800", "12345678-1234-5678-1234-567812345678", "{12345678123456781234567812345678}",
    "urn:uuid:12345678-1234-5678-1234-567812345678", "{}", "[1, 2", '{"a": 1e400}', '{"a": 1, "a": 2}', "[NaN]",
    '"\\ud800"', "[" * 500 + "]" * 500, "x" * 400, "x" * 401, "9" * 70, "A1", "a1", "A9", "B", "b", "B ", "12",
)  # fmt: skip
"""What fuzz throws into fields: the limits of every type, other people's ways of writing, accidents and malice."""

# In these forms are stricter than servers, to which half a foreign key is none, a day a midnight, and which cut seconds.
_STRICTER = ("Choose a whole row of ", "has no time of day", "are not kept here")
_AS_TYPED = ("integer", "decimal", "float", "enum", "date", "datetime", "time")
"""Kinds whose texts a database reads by itself: what it makes of a refused one is looked at."""


class _TakenBackError(Exception):
    """Ends a savepoint that is to leave nothing."""


def fuzzed(heading: Heading, chance: random.Random) -> dict[str, str]:
    """Return a draft of which half of the fields are strange, or a fine one of before, changed a little."""
    draft = fine_draft(heading, chance.choice)
    names = [name for item in (*heading.key, *heading.rest) for name in _names(item)]
    for name in chance.sample(names, chance.randint(0, min(2, len(names)))):
        draft[name] = chance.choice(STRANGE)
    return draft


def _names(item: Any) -> tuple[str, ...]:
    return (item.name,) if isinstance(item, Column) else item.names


def test_forms_and_databases_agree_on_any_draft(
    serve: Callable[[list[Heading]], Services], headings: list[Heading]
) -> None:
    headings = headings[:: N_HEADINGS // N_FUZZED]
    services = serve(headings)
    chance = random.Random(7)
    entering, connection = services.entering, services.pipeline.connection
    seen: Counter[str] = Counter()
    places = tables(services, headings)
    with connection.transaction:
        for number in range(N_DRAFTS // 2):  # the other half on the other server
            info, heading = places[number % N_FUZZED]
            draft = fuzzed(heading, chance)
            rows = services.pipeline[info.name]()
            checked = entering.checked(info, draft)
            errors = dict(checked.errors)
            key = None if set(errors) & set(info.primary_key) else key_values(info, checked.values)
            if not errors and key is not None and rows & key:
                seen["duplicate"] += 1
                assert refused_by_database(connection, rows, checked.values), (heading.definition, draft)
                continue
            if not errors:
                seen["accepted"] += 1
                rows.insert1(dict(checked.values))
                stored = (rows & key_values(info, checked.values)).fetch1()
                for name, value in checked.values.items():
                    check = info.attribute(name).column_type.check
                    assert check(stored[name]) == value, (heading.definition, name, draft[name], stored[name])
                continue
            unreadable = {name: draft[name] for name in errors if not is_readable(info, name, draft)}
            if unreadable:
                seen["unreadable"] += 1
                name, text = next(iter(unreadable.items()))
                kind = info.attribute(name).column_type.kind
                if kind in _AS_TYPED:
                    seen["asked"] += 1
                    assert not is_kept(services, info, heading, name, text), (heading.definition, name, text)
            elif all(any(words in error for words in _STRICTER) for error in errors.values()):
                seen["stricter"] += 1
            else:
                seen["refused"] += 1
                assert refused_by_database(connection, rows, checked.values), (
                    heading.definition,
                    draft,
                    errors,
                )
    assert sum(seen.values()) - seen["asked"] == N_DRAFTS // 2
    assert min(seen[n] for n in ("accepted", "duplicate", "refused", "asked")) > 20, seen


def is_readable(info: TableInfo, name: str, draft: Mapping[str, str]) -> bool:
    try:
        parse_text(info.attribute(name), draft.get(name, ""))
    except ValueError:
        return False
    return True


def refused_by_database(connection: dj.Connection, rows: Any, values: Mapping[str, Any]) -> bool:
    """Tell whether the row is refused; if it is not, take it back."""
    try:
        with connection.transaction:
            rows.insert1(dict(values))
            raise _TakenBackError
    except _TakenBackError:
        return False
    except DataJointError:
        return True


def is_kept(services: Services, info: TableInfo, heading: Heading, name: str, text: str) -> bool:
    """Tell whether the database, given a refused text without any check of ours, keeps it just as it stands."""
    rows = services.pipeline[info.name]()
    connection = services.pipeline.connection
    draft = {**fine_draft(heading, random.Random(1).choice), "k0": "", "k1": ""}
    texts = {n: t for n, t in draft.items() if t and n != name} | {
        column.name: FINE[column.type][-1] for column in heading.columns if column in heading.key
    }
    texts[name] = text
    values = {n: t if n == name else parse_text(info.attribute(n), t) for n, t in texts.items()}
    encoders = {n: connection.dialect.encoder(info.attribute(n).column_type) for n in values}
    sent = [v if n == name or (e := encoders[n]) is None else e(v) for n, v in values.items()]
    quote = connection.dialect.quote
    columns = ", ".join(map(quote, values))
    marks = ", ".join(["%s"] * len(values))
    found: list[str] = []
    try:
        with connection.transaction:
            connection.query(f"DELETE FROM {rows.full_table_name}")
            connection.query(f"INSERT INTO {rows.full_table_name} ({columns}) VALUES ({marks})", sent)
            found += [format_value(info.attribute(name), rows.fetch1(name))]
            raise _TakenBackError
    except (_TakenBackError, DataJointError, ValueError):
        pass
    return found == [text.strip()]
