"""Both programs on one server: `dj_panel` and the real DataJoint, each with a connection and stores of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import dj_panel
from tests.peer import datajoint
from tests.servers import MariaDBServer


@dataclass(frozen=True)
class Side:
    """One program: its module, and its schemas on the shared server."""

    name: str
    dj: Any
    connection: Any
    instance: Any = None

    def schema(self, name: str, **options: Any) -> Any:
        if self.instance is not None:
            # DataJoint takes the server's default, which in a bare MariaDB is latin1.
            self.connection.query(f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4")
            return self.instance.Schema(name, **options)
        return self.dj.Schema(name, connection=self.connection, **options)

    def virtual(self, name: str) -> Any:
        return self.dj.VirtualModule(name, name, connection=self.connection)

    def table(self, name: str) -> Any:
        return self.dj.FreeTable(self.connection, name)


def our_side(server: MariaDBServer, folder: Path) -> Side:
    """Return `dj_panel` on a server, with its stores in a folder."""
    settings = dj_panel.core.settings.Settings(stores=stores(folder), safemode=False)
    settings.download_path = str(folder / "ours")
    for name, value in (("backend", "mysql"), ("host", server.host), ("port", server.port), ("user", server.user),
                        ("password", server.password)):  # fmt: skip
        settings[f"database.{name}"] = value
    return Side("ours", dj_panel, dj_panel.Connection(settings))


def their_side(server: MariaDBServer, folder: Path) -> Side:
    """Return the real DataJoint on the same server with the same stores."""
    instance = datajoint.Instance(
        server.host, server.user, server.password, server.port, backend="mysql",
        stores=stores(folder), safemode=False, download_path=str(folder / "theirs"),
    )  # fmt: skip
    return Side("theirs", datajoint, instance.connection, instance)


def stores(folder: Path) -> dict[str, Any]:
    (folder / "store").mkdir(exist_ok=True)
    return {"default": "main", "main": {"protocol": "file", "location": str(folder / "store")}}


TYPES = {
    "int8": -5, "int16": 300, "int32": 2**31 - 1, "int64": -(2**63), "float32": 0.5, "float64": 0.1, "bool": 1,
    "date": "2026-03-31", "datetime": "2026-03-31 14:05:00", "datetime(3)": "2026-03-31 14:05:00.125",
    "char(3)": "abc", "varchar(40)": "日本 😀 it's 100 % \\ \"x\"", "enum('M','F')": "F", "decimal(8,3)": "-12.125",
    "uuid": "12345678-1234-5678-1234-567812345678", "json": {"a": [1, None, "日"], "b": {"c": 0.5}}, "bytes": b"\0\xff%s",
    "<blob>": {"x": np.arange(6).reshape(2, 3), "n": None, "t": ("a", 1.5)},
}  # fmt: skip


def declare(side: Side, schema: Any) -> Any:
    """Declare the same tables with either program and return their classes.

    The definitions hold no percent sign and no double quote in comments: with these DataJoint cannot declare.
    """
    dj = side.dj
    body = "\n".join(f"v{i} = null : {kind}  # of the type {i}" for i, kind in enumerate(TYPES))

    @schema
    class Kind(dj.Lookup):
        definition = """
        # kinds
        kind : varchar(10)
        ---
        about = "it's: so" : varchar(40)
        """
        contents = (("a", "first"), ("b", "second"))

    @schema
    class Subject(dj.Manual):
        definition = """
        # an animal: it's one
        subject_id : uuid          # its number: 日本
        number : int16             # 'one' of 100
        ---
        -> Kind
        -> [nullable] Kind.proj(other_kind="kind")
        name = "" : varchar(20)
        born = CURRENT_TIMESTAMP : datetime
        score = 5 : int32
        flag = 1 : bool
        index (name)
        unique index (name, score)
        """

    @schema
    class Everything(dj.Manual):
        definition = f"""
        everything : int32
        ---
        {body}
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int16
        ---
        day : date
        -> [unique, nullable] Subject.proj(friend="subject_id", friend_number="number")
        """

        class Trial(dj.Part):
            definition = """
            -> master
            trial : int32
            ---
            outcome = null : float64
            """

    @schema
    class Setting(dj.Lookup):
        definition = """
        # the only one
        ---
        gain : float64
        """

    @schema
    class Stored(dj.Manual):
        definition = """
        -> Session
        ---
        attached = null : <attach>
        array = null : <npy@main>
        hashed = null : <hash@main>
        thing = null : <object@main>
        """

    @schema
    class Total(dj.Computed):
        definition = """
        -> Session
        ---
        total : float64
        trace : <blob>
        """

        class Bin(dj.Part):
            definition = """
            -> master
            bin : int8
            """

        def make(self, key: dict[str, Any]) -> None:
            if key["session"] == 13:
                raise ValueError("an unlucky session")
            outcome = (Session.Trial & key).to_arrays("outcome")
            self.insert1({**key, "total": float(sum(outcome)), "trace": np.asarray(outcome)})
            self.Bin.insert([{**key, "bin": i} for i in range(2)])

    return SimpleNamespace(
        schema=schema, Kind=Kind, Subject=Subject, Everything=Everything, Session=Session, Setting=Setting,
        Stored=Stored, Total=Total,
    )  # fmt: skip
