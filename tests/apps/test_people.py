"""Names of people, which come from a browser and may be anything."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from dj_panel.apps.people import MAX_LENGTH, cleaned


@pytest.mark.parametrize("name", ["Ana", "Åsa Öberg", "李雷", "O'Neil, J.", "<b>x</b>", "50 % ana; bo"])
def test_a_name_is_read_as_it_was_said(name: str) -> None:
    assert cleaned(quote(name)) == name


@pytest.mark.parametrize(
    ("cookie", "name"),
    [
        (None, ""),
        ("", ""),
        ("%20%09", ""),
        ("%FF%FE", ""),
        ("%zz", "%zz"),
        ("a%0D%0ASet-Cookie: x", "a Set-Cookie: x"),
        ("a%00b%E2%80%AEc", "abc"),
        (quote("é" * 500), "é" * MAX_LENGTH),
    ],
)
def test_what_is_no_name_does_no_harm(cookie: str | None, name: str) -> None:
    assert cleaned(cookie) == name
