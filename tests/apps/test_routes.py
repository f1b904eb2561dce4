"""Routes: what an address means, and that no address can break the site."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dj_panel.apps.routes import MAX_FRAGMENT_CHARS, NOT_FOUND, PAGES, Route, format_route, parse_route

# Characters that a browser can send; lone surrogates cannot be encoded and have a test of their own.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ROUTES = st.builds(
    Route,
    st.sampled_from([*PAGES, NOT_FOUND]),
    st.lists(TEXT.filter(bool), max_size=4).map(tuple),
    st.dictionaries(TEXT, TEXT, max_size=6),
)


@given(ROUTES)
@example(Route("home", ("home",)))
@example(Route("table", ("a/b?c#d&e=f%2F",), {"": "", "a&b": "c=d+e f"}))
@example(Route("table", ("..", "."), {"key": "é日本😀\x00\n"}))
def test_a_route_survives_being_written_and_read(route: Route) -> None:
    assert parse_route(format_route(route)) == route


@given(ROUTES)
def test_a_written_route_is_plain_ascii_without_spaces_or_quotes(route: Route) -> None:
    fragment = format_route(route)
    assert fragment.isascii()
    assert fragment.startswith("#/")
    assert not set(fragment) & set(" \"'<>\\`")


@given(st.text())
@example("#//")
@example("#/table/%")
@example("#/table/%ff%fe?%=%zz&&==&a")
@example("#\ud800/\udfff?\ud800=\udfff")
@example("#/Table/../../etc/passwd")
@example("#javascript:alert(1)")
def test_any_text_is_read_as_some_route_that_can_be_written_again(text: str) -> None:
    route = parse_route(text)
    assert parse_route(format_route(route)) == route


@pytest.mark.parametrize(
    ("fragment", "route"),
    [
        ("", Route("home")),
        ("#", Route("home")),
        ("#/", Route("home")),
        ("#/home", Route("home")),
        ("/tables", Route("tables")),
        ("#/table/lab.Session.Trial", Route("table", ("lab.Session.Trial",))),
        (
            "#/table/lab.Subject?sort=-date&f=a+b%20c",
            Route("table", ("lab.Subject",), {"sort": "-date", "f": "a b c"}),
        ),
        ("#/populate//lab.Spikes/", Route("populate", ("lab.Spikes",))),
        ("#/?since=2024", Route("home", (), {"since": "2024"})),
        ("#/table/x?a=1&a=2", Route("table", ("x",), {"a": "2"})),
    ],
)
def test_addresses_mean_what_the_grammar_says(fragment: str, route: Route) -> None:
    assert parse_route(fragment) == route


@pytest.mark.parametrize(
    "fragment", ["#/nowhere/x", "#/Home", "#table/lab.Subject", "#javascript:alert(1)", "#/%00"]
)
def test_an_address_of_no_page_is_not_found(fragment: str) -> None:
    assert parse_route(fragment).page == NOT_FOUND


def test_an_address_too_long_to_be_ours_is_not_found() -> None:
    assert parse_route("#/table/" + "x" * MAX_FRAGMENT_CHARS) == Route(NOT_FOUND)
    longest = "#/table/" + "x" * (MAX_FRAGMENT_CHARS - len("/table/"))
    assert parse_route(longest).page == "table"


def test_a_site_may_have_pages_of_its_own() -> None:
    assert parse_route("#/rigs/2", pages=["home", "rigs"]) == Route("rigs", ("2",))


@pytest.mark.parametrize("page", ["", "Home", "a/b", "1st", "tables\n", "a b"])
def test_a_page_name_is_lower_case_letters_digits_and_hyphens(page: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a page"):
        Route(page)


def test_a_route_refuses_an_empty_segment() -> None:
    with pytest.raises(ValueError, match="leave it out"):
        Route("table", ("lab.Subject", ""))


def test_changing_the_query_leaves_the_first_route_as_it_was() -> None:
    first = Route("table", ("lab.Subject",), {"sort": "date", "page": "3"})
    assert first.with_query(page=None, sort="-date") == Route("table", ("lab.Subject",), {"sort": "-date"})
    assert first.query == {"sort": "date", "page": "3"}
