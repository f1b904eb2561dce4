"""Five sessions in a row by the keyboard alone: Django's admin beside our form, and how heavy their pages are.

Each program is used in the way that takes it the fewest keys. Django's form begins with the day of today and with an
empty note, so that neither has to be asked for; ours is told once that the day is today, and says so from then on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from playwright.sync_api import Browser, StorageState

from benchmarks.admin_lab import PASSWORD, USER
from benchmarks.figures import Figure
from benchmarks.lab import SCHEMA, SUBJECTS, Place, declare_lab, serving, sqlite
from benchmarks.typist import Typist, visitor

__all__ = [
    "OURS",
    "SEARCHED",
    "TYPED",
    "enter_sessions",
    "open_form",
    "programs",
    "serving_ours",
    "weigh_pages",
]

SEARCHED = "django"
TYPED = "django, raw ids"
OURS = "dj_panel"

N_SESSIONS = 5
N_ROUNDS = 3
REMARK = "as usual"
NOTE = "licks well"


@dataclass(frozen=True)
class Session:
    """What is entered."""

    subject: str
    number: int


class Program(Protocol):
    """A form in which sessions are entered."""

    login: StorageState | None

    def open(self, typist: Typist) -> None:
        """Load the form and wait until it can be typed into."""

    def enter(self, typist: Typist, sessions: Sequence[Session]) -> None:
        """Enter sessions and wait after each until it is said to be saved and the next can be typed."""

    def saved(self) -> set[tuple[str, int, str, str]]:
        """Return the sessions that the database has, each with its remark and its note."""


class Django:
    """Django's admin, in which a subject is searched for.

    Parameters
    ----------
    url
        Where it is.
    site
        The first part of its addresses.
    database
        The file that it writes to.
    login
        What the browser of somebody keeps who has logged in.
    """

    # Scripts add a list, links beside the day and links under the notes, each when it is loaded.
    ready: tuple[str, ...] = (
        ".select2-selection",
        "#calendarlink0",
        ".add-row a",
        "#id_subject:focus, .select2-selection:focus",
    )

    def __init__(self, url: str, site: str, database: Path, login: StorageState) -> None:
        self.url = f"{url}{site}/admin_lab/session/add/"
        self.database = database
        self.login: StorageState | None = login

    def open(self, typist: Typist) -> None:
        """Load the form."""
        typist.page.goto(self.url)
        self._wait(typist)

    def enter(self, typist: Typist, sessions: Sequence[Session]) -> None:
        """Enter sessions, each into a form that is empty again."""
        for session in sessions:
            self.choose(typist, session.subject)
            typist.type(str(session.number))
            typist.press(*["Tab"] * 4)  # the day is there already; past it and its two links
            typist.type(REMARK)
            typist.press("Tab")
            typist.type(NOTE)
            typist.press(*["Tab"] * 4, "Enter")  # past two links and "Save", to "Save and add another"
            typist.wait_for(".messagelist .success", f"{session.subject} {session.number}”")
            self._wait(typist)

    def _wait(self, typist: Typist) -> None:
        for selector in self.ready:
            typist.wait_for(selector)

    def choose(self, typist: Typist, subject: str) -> None:
        """Search for the subject and take it."""
        # Two scripts of the page race: mostly the list behind the field has the focus, which takes no keys.
        if not typist.page.locator(".select2-selection:focus").count():
            typist.press("Tab")
        typist.press("Enter")
        typist.wait_for(".select2-search__field:focus")
        typist.type(subject)
        typist.wait_for(".select2-results__option--highlighted:only-child", subject)
        typist.press("Enter", *["Tab"] * 5)  # past the four links to the subject

    def saved(self) -> set[tuple[str, int, str, str]]:
        """Return what the file holds."""
        with closing(sqlite3.connect(self.database)) as connection:
            return set(
                connection.execute(
                    "SELECT s.subject_id, s.session, s.remark, n.text"
                    " FROM admin_lab_session s JOIN admin_lab_note n ON n.session_id = s.id"
                )
            )


class TypedDjango(Django):
    """Django's admin, in which a subject is typed in full."""

    ready = ("#calendarlink0", ".add-row a", "#id_subject:focus")

    def choose(self, typist: Typist, subject: str) -> None:
        """Type the subject."""
        typist.type(subject)
        typist.press("Tab", "Tab")  # past the lens


class Ours:
    """Our form.

    Parameters
    ----------
    url
        Where the site is.
    place
        The database.
    """

    login: StorageState | None = None

    def __init__(self, url: str, place: Place) -> None:
        self.url = url
        self.place = place

    def open(self, typist: Typist) -> None:
        """Load the form."""
        open_form(typist, self.url)

    def enter(self, typist: Typist, sessions: Sequence[Session]) -> None:
        """Enter sessions: of one subject, which stays, or of many, for which its field is told not to keep it."""
        has_many = len({session.subject for session in sessions}) > 1
        if has_many:
            typist.press("Alt+p")
        for place, session in enumerate(sessions):
            if has_many or place == 0:
                typist.type(session.subject)
                typist.press("Tab")
                typist.type(str(session.number))
                typist.press("Tab")
                if place == 0:
                    typist.press("Alt+n")
                typist.press("Tab")
            typist.type(REMARK)
            typist.press("Tab", "Enter")
            typist.type(NOTE)
            typist.press("Control+Enter")
            typist.wait_for(".receipt", f"Saved: Session {session.subject} · {session.number} ")
            if not has_many:
                typist.wait_for("input", str(session.number + 1))  # the number of the next one is filled in

    def saved(self) -> set[tuple[str, int, str, str]]:
        """Return what the tables hold."""
        connection = self.place.connect()
        try:
            rows = connection.query(
                f'SELECT s.subject, s.session, s.remark, n.note_text FROM "{SCHEMA}.session" s'
                f' JOIN "{SCHEMA}.session__note" n ON n.subject = s.subject AND n.session = s.session'
            )
            return set(rows.fetchall())
        finally:
            connection.close()


def open_form(typist: Typist, url: str) -> None:
    """Load our form for sessions and wait until it can be typed into."""
    typist.page.goto(f"{url}#/enter/{SCHEMA}.Session")
    typist.wait_for("main[aria-busy=false]")
    typist.wait_for(".form :focus")


@contextmanager
def serving_ours(place: Place, folder: Path) -> Iterator[str]:
    """Serve the lab as anybody serves a database; give the address."""
    command = ["-m", "dj_panel", "serve", "--schema", SCHEMA, "--port", "0", "--no-browser"]
    with serving(command, folder, place.environment) as url:
        yield url


@contextmanager
def programs(browser: Browser, folder: Path) -> Iterator[dict[str, Program]]:
    """Serve both programs, each over a SQLite file of its own."""
    folders = {name: folder / name for name in ("django", "ours")}
    for each in folders.values():
        each.mkdir()
    place = sqlite(folders["ours"])
    connection = place.connect()
    declare_lab(connection)
    connection.close()
    with ExitStack() as stack:
        django = stack.enter_context(serving(["-m", "benchmarks.admin_lab", "."], folders["django"]))
        ours = stack.enter_context(serving_ours(place, folders["ours"]))
        login = _log_in(browser, django)
        database = folders["django"] / "lab.sqlite3"
        yield {
            SEARCHED: Django(django, "admin", database, login),
            TYPED: TypedDjango(django, "typed", database, login),
            OURS: Ours(ours, place),
        }


def _log_in(browser: Browser, url: str) -> StorageState:
    with visitor(browser) as typist:
        typist.page.goto(f"{url}admin/")
        typist.page.fill("#id_username", USER)
        typist.page.fill("#id_password", PASSWORD)
        typist.press("Enter")
        typist.wait_for("#user-tools")
        return typist.page.context.storage_state()


def enter_sessions(browser: Browser, programs: Mapping[str, Program]) -> list[Figure]:
    """Enter five sessions of one subject, and one of each of five subjects, in every program in turn."""
    figures = []
    unused = iter(SUBJECTS)  # both of Django's forms write to one database
    for task, has_many in (("a session, 5 of one subject", False), ("a session, 5 of 5 subjects", True)):
        found: dict[str, dict[str, list[float]]] = {}
        for _ in range(N_ROUNDS):
            for name, program in programs.items():
                if has_many:
                    sessions = [Session(subject, 1) for subject in islice(unused, N_SESSIONS)]
                else:
                    subject = next(unused)
                    sessions = [Session(subject, number + 1) for number in range(N_SESSIONS)]
                for unit, value in _entered(browser, program, sessions).items():
                    found.setdefault(unit, {}).setdefault(name, []).append(value)
        figures += [Figure(task, unit, of_programs) for unit, of_programs in found.items()]
    return figures


def _entered(browser: Browser, program: Program, sessions: Sequence[Session]) -> dict[str, float]:
    """Enter sessions where the form has been loaded a moment ago, and return what each took."""
    with visitor(browser, program.login) as typist:
        program.open(typist)
        typist.wait_for_quiet()
        typist.start()
        program.enter(typist, sessions)
        seconds, n_keys = typist.seconds(), typist.n_keys
        typist.wait_for_quiet()
        traffic = typist.traffic
    expected = {(session.subject, session.number, REMARK, NOTE) for session in sessions}
    if missing := expected - program.saved():
        raise ValueError(f"{type(program).__name__} has not saved {missing}.")
    n = len(sessions)
    return {
        "keys": n_keys / n,
        "ms": seconds / n * 1e3,
        "requests": traffic.n_requests / n,
        "kB received": traffic.n_bytes / n / 1e3,
    }


def weigh_pages(browser: Browser, programs: Mapping[str, Program]) -> list[Figure]:
    """Load the form with an empty cache, and again with what the cache kept."""
    tasks = ("the form, with an empty cache", "the form, with what the cache kept")
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for _ in range(N_ROUNDS):
        for name, program in programs.items():
            with visitor(browser, program.login) as typist:
                for task in tasks:
                    typist.start()
                    program.open(typist)
                    seconds = typist.seconds()
                    typist.wait_for_quiet()
                    values = {
                        "ms": seconds * 1e3,
                        "requests": float(typist.traffic.n_requests),
                        "kB received": typist.traffic.n_bytes / 1e3,
                    }
                    for unit, value in values.items():
                        found.setdefault((task, unit), {}).setdefault(name, []).append(value)
                    typist.page.goto("about:blank")
    return [Figure(task, unit, of_programs) for (task, unit), of_programs in found.items()]
