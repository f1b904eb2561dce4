"""Where a visitor is: the part of the address after ``#``, as a value and as text.

The grammar is ``#/page/segment/...?name=value&...``, every segment, name and value percent-encoded::

    #/                                            the home page
    #/table/lab.subject?sort=-session_date        one table, sorted
    #/enter/lab.session                           the form of one table
    #/table/lab.session?r.subject==M042           with a restriction that holds on every page

Nothing here touches a browser or a database. A fragment comes from outside (a typed address, a link in a
mail), so reading one never fails: what is not a page of the site is a route to ``NOT_FOUND``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, unquote_plus

HOME = "home"
NOT_FOUND = "not-found"
PAGES: tuple[str, ...] = (
    HOME,
    "diagram",
    "tables",
    "table",
    "record",
    "enter",
    "import",
    "edit",
    "edit-rows",
    "delete",
    "populate",
    "object",
)
"""Pages of the standard site, by their name in the address; ``home`` has none (``#/``)."""

MAX_FRAGMENT_CHARS = 8_000
"""Longer fragments are not read: browsers and proxies cut addresses at about this length."""

MAX_PARTS = 256
"""Most segments, and most query parameters, that a fragment may have."""

_RESTRICTION = "r."
_PAGE_NAME = re.compile(r"[a-z][a-z0-9-]*\Z")


@dataclass(frozen=True)
class Route:
    """One place in the site.

    Parameters
    ----------
    page
        Name of the page: lower-case letters, digits and hyphens.
    path
        Segments after the page, usually one: the table, ``<schema>.<Class>``. None is empty.
    query
        The rest of what makes the view: sort, filters, selection. Names and values are text.
    restrictions
        What the visitor looks at on every page, by attribute; in the address and in `query` with ``r.`` in front
        of the name. See `dj_panel.apps.services.restrictions`.

    Raises
    ------
    ValueError
        If the page is not a page name or a segment is empty.

    Examples
    --------
    >>> format_route(Route("table", ("lab.Subject",), {"sort": "-date"}))
    '#/table/lab.Subject?sort=-date'
    """

    page: str = HOME
    path: tuple[str, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict)
    restrictions: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        given = {name for name in self.query if name.startswith(_RESTRICTION)}
        if given:
            among = {
                name.removeprefix(_RESTRICTION): self.query[name] for name in self.query if name in given
            }
            object.__setattr__(self, "restrictions", {**self.restrictions, **among})
            rest = {name: text for name, text in self.query.items() if name not in given}
            object.__setattr__(self, "query", rest)
        if not _PAGE_NAME.match(self.page):
            raise ValueError(
                f"{self.page!r} is not the name of a page: use lower-case letters, digits and hyphens"
            )
        if not all(self.path):
            raise ValueError(f"a segment of {self.path!r} is empty: leave it out")

    def with_query(self, **changes: str | None) -> Route:
        """Return the same place with some query parameters changed; ``None`` takes one away.

        Examples
        --------
        >>> Route("tables", (), {"sort": "name", "page": "2"}).with_query(sort="size", page=None).query
        {'sort': 'size'}
        """
        merged: dict[str, str | None] = {**self.query, **changes}
        kept = {name: value for name, value in merged.items() if value is not None}
        return Route(self.page, self.path, kept, self.restrictions)

    def carrying(self, restrictions: Mapping[str, str]) -> Route:
        """Return the same place with restrictions, unless it has its own.

        Examples
        --------
        >>> format_route(Route("diagram").carrying({"subject": "=M042"}))
        '#/diagram?r.subject=%3DM042'
        """
        return self if self.restrictions else Route(self.page, self.path, self.query, dict(restrictions))


def parse_route(fragment: str, pages: Collection[str] = PAGES) -> Route:
    """Return the route that a fragment names, with or without its ``#``.

    Empty segments are ignored. A fragment that is too long, does not start with ``/`` or names no page of
    `pages` gives a route to ``NOT_FOUND`` whose path holds the segments asked for.

    Examples
    --------
    >>> parse_route("#/enter/lab.Session?subject=M042")
    Route(page='enter', path=('lab.Session',), query={'subject': 'M042'})
    >>> parse_route("")
    Route(page='home', path=(), query={})
    >>> parse_route("#/no/such").page
    'not-found'
    """
    text = _encodable(fragment).removeprefix("#")
    if len(text) > MAX_FRAGMENT_CHARS:
        return Route(NOT_FOUND)
    location, _, query_text = text.partition("?")
    segments = [unquote(part) for part in location.split("/")[:MAX_PARTS] if part]
    query = _parse_query(query_text)
    if location and not location.startswith("/"):
        return Route(NOT_FOUND, tuple(segments), query)
    if not segments:
        return Route(HOME, (), query)
    page, *path = segments
    if page == NOT_FOUND or page in pages:
        return Route(page, tuple(path), query)
    return Route(NOT_FOUND, tuple(segments), query)


def format_route(route: Route) -> str:
    """Return the fragment of a route, ``#`` included; `parse_route` reads it back to the same route."""
    parts = () if route.page == HOME and not route.path else (route.page, *route.path)
    location = "/" + "/".join(quote(part, safe="") for part in parts)
    query = {**route.query, **{_RESTRICTION + name: text for name, text in route.restrictions.items()}}
    if not query:
        return f"#{location}"
    pairs = (f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
    return f"#{location}?{'&'.join(pairs)}"


def _parse_query(text: str) -> dict[str, str]:
    """Return the parameters of a query; of a name given twice, the last counts."""
    query: dict[str, str] = {}
    for pair in text.split("&")[:MAX_PARTS]:
        name, _, value = pair.partition("=")
        if pair:
            query[unquote_plus(name)] = unquote_plus(value)
    return query


def _encodable(text: str) -> str:
    """Replace half characters (lone surrogates), which a browser may send and no address can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
