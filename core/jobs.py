"""Job queues: for each table that is populated, a table of what is to be done, by whom, and how it went.

The tables are DataJoint's, so that workers of both programs share one queue. A reservation is a lease: its
host, process and connection are its token, and a result is kept only if the token is still in the job's row.

Source: DataJoint 2.3, `reference/specs/autopopulate`; columns as observed with 2.3.5.
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Mapping
from functools import partial
from typing import Any

from dj_panel.core.algebra import Negation, Relation, Restrict
from dj_panel.core.catalog import lineage_rows
from dj_panel.core.conditions import AndList
from dj_panel.core.connection import Connection
from dj_panel.core.declare import build_structure
from dj_panel.core.definition import parse_definition
from dj_panel.core.deletion import refuse_passed_over
from dj_panel.core.dialect import Statement
from dj_panel.core.errors import MakeError, MissingTableError, ReservationLostError
from dj_panel.core.expression import QueryExpression, instance_of
from dj_panel.core.provenance import code_version
from dj_panel.core.render import delete_statement, select_statement
from dj_panel.core.structure import TableName, TableStructure
from dj_panel.core.table import FreeTable, Table

__all__ = ["Job", "create_table"]

logger = logging.getLogger("dj_panel")
_MESSAGE_LENGTH = 2047
_TRUNCATED = "...truncated"
_MAX_ROWS = 1000
STATUSES = ("pending", "reserved", "success", "error", "ignore")

_COLUMNS = f"""
---
status : enum('pending', 'reserved', 'success', 'error', 'ignore')
priority : int8
created_time=CURRENT_TIMESTAMP(3) : datetime(3)
scheduled_time=CURRENT_TIMESTAMP(3) : datetime(3)
reserved_time=null : datetime(3)
completed_time=null : datetime(3)
duration=null : float64
error_message="" : varchar({_MESSAGE_LENGTH})
error_stack=null : <blob>
user="" : varchar(255)
host="" : varchar(255)
pid=0 : int32
connection_id=0 : int64
version="" : varchar(64)
index (status, priority, scheduled_time)
"""


def create_table(
    connection: Connection, structure: TableStructure, inherited: Mapping[str, Any] | None = None
) -> bool:
    """Create a table, and tell DataJoint of its lineage where the server keeps such a table.

    Returns
    -------
    bool
        Whether it was created; false if another program had created it meanwhile.
    """
    dialect = connection.dialect
    has_lineage = connection.catalog.has_lineage(structure.name.schema)

    def create() -> bool:
        kinds = dialect.expression_types(connection.rows_of, structure, dict(inherited or {}))
        for statement in dialect.create_table(structure, dict(inherited or {}), kinds):
            if connection.run(statement).n_warnings and dialect.was_there(connection.rows_of):
                return False
        rows = lineage_rows(structure)
        for statement in dialect.record_lineage(structure.name.schema, rows, has_table=has_lineage):
            connection.retried(partial(connection.run, statement), one_statement=True)
        return True

    def create_if_missing() -> bool:
        exists = connection.run(dialect.table_exists(structure.name)).fetchone() is not None
        return not exists and create()

    # Another program may have created it since this one looked. Where tables are created in transactions,
    # nobody sees one half made; where they are not, the server creates it only if there is none.
    if dialect.creates_at_once:
        is_new = create()
    else:
        is_new = connection.retried(create_if_missing)
    if is_new and not connection.in_transaction and not structure.name.table.startswith("~"):
        connection.catalog.add(structure, dict(inherited or {}))
    else:
        connection.catalog.forget(structure.name.schema)
    return is_new


def update_rows(
    table: Table, node: Any, values: Mapping[str, Any], expressions: Mapping[str, Statement]
) -> int:
    """Change the rows of a table that a query selects, and return how many there were.

    Parameters
    ----------
    table
        The table, without restrictions that matter here.
    node
        The query on it.
    values, expressions
        What its columns, hidden ones among them, are set to: values as the driver takes them, or SQL.
    """
    dialect = table.connection.dialect
    relation = Relation(table.name, table.structure.heading)
    selection = delete_statement(node, relation, dialect)
    where = selection.sql.partition(" WHERE ")[2] or "1 = 1"
    sets = [f"{dialect.quote(n)} = {dialect.placeholder}" for n in values]
    sets += [f"{dialect.quote(n)} = {e.sql}" for n, e in expressions.items()]
    sql = f"UPDATE {dialect.table(table.name)} SET {', '.join(sets)} WHERE {where}"
    bound = [
        *values.values(),
        *(v for e in expressions.values() for v in e.parameters),
        *selection.parameters,
    ]
    return int(table.connection.retried(lambda: table.connection.query(sql, bound)).rowcount)


class Job(Table):
    """The queue of one table.

    Parameters
    ----------
    target_table
        The Imported or Computed table, or its class.
    key_source
        The query of all keys that the target should have; its own if not given.
    """

    def __init__(self, target_table: Any, key_source: QueryExpression | None = None) -> None:
        target: Any = instance_of(target_table)
        if key_source is None:
            if not hasattr(target, "key_source"):
                raise MakeError(f"{target!r} is not a table that is computed, so it has no jobs.")
            key_source = target.jobs._key_source
        name = TableName(target.database, "~~" + target.table_name.lstrip("_"))
        super().__init__(target.connection, name)
        self._target: Table = target
        self._key_source = key_source

    @property
    def target(self) -> Table:
        """The table whose queue this is."""
        return self._target

    @property
    def is_declared(self) -> bool:
        """Whether the database has it; another process may have created it since the schema was read."""
        catalog = self.connection.catalog
        if catalog.find(self._name) is not None:
            return True
        try:
            self.connection.query(f"SELECT 1 FROM {self.connection.dialect.table(self._name)} LIMIT 0")
        except MissingTableError:
            return False
        return catalog.refreshed(self._name) is not None

    def declare(self, context: Any = None) -> None:
        """Create the queue if there is none; ``context`` is kept for DataJoint's signature."""
        if self.is_declared:
            return
        if self.connection.catalog.refreshed(self._name) is not None:
            return
        keyed = [n for fk in self._target.structure.foreign_keys if fk.in_key for n in fk.attributes]
        attributes = [self._target.heading[n] for n in self._target.primary_key if n in keyed]
        if not attributes:
            raise MakeError(
                f"{self._target._label} has no foreign key in its primary key, so there is nothing to queue."
            )
        lines = "\n".join(f"{a.name} : {a.type}" for a in attributes)
        comment = f"# Job queue for `{self._target.database}`.`{self._target.table_name}`\n"
        definition = parse_definition(comment + lines + _COLUMNS)
        structure = build_structure(self._name, definition, (), self.connection.settings)
        create_table(self.connection, structure)

    # ------------------------------------------------------------------ looking
    def _with_status(self, status: str) -> Job:
        return self & {"status": status}

    @property
    def pending(self) -> Job:
        """The jobs that wait."""
        return self._with_status("pending")

    @property
    def reserved(self) -> Job:
        """The jobs that are being done."""
        return self._with_status("reserved")

    @property
    def errors(self) -> Job:
        """The jobs that failed."""
        return self._with_status("error")

    @property
    def completed(self) -> Job:
        """The jobs that succeeded, where such records are kept."""
        return self._with_status("success")

    @property
    def ignored(self) -> Job:
        """The jobs that are not to be done."""
        return self._with_status("ignore")

    def progress(self) -> dict[str, int]:
        """Return how many jobs have each status, and how many there are."""
        counts = dict.fromkeys(STATUSES, 0)
        if self.is_declared:
            dialect = self.connection.dialect
            status = dialect.quote("status")
            sql = f"SELECT {status}, COUNT(*) FROM {dialect.table(self._name)} GROUP BY {status}"
            counts.update({str(s): int(n) for s, n in self.connection.query(sql)})
        return {**counts, "total": sum(counts.values())}

    # ------------------------------------------------------------------ filling
    def refresh(
        self,
        *restrictions: Any,
        delay: float = 0,
        priority: int | None = None,
        stale_timeout: float | None = None,
        orphan_timeout: float | None = None,
    ) -> dict[str, int]:
        """Bring the queue up to date with the key source and the target.

        Parameters
        ----------
        *restrictions
            Which keys of the key source to add.
        delay
            Seconds until the added jobs may be done.
        priority
            Theirs; lower is more urgent. ``config.jobs.default_priority`` if not given.
        stale_timeout
            Age in seconds after which pending jobs that are not in the key source any more are removed;
            ``config.jobs.stale_timeout`` if not given, 0 for never.
        orphan_timeout
            Age in seconds after which a reservation counts as abandoned; never, if not given.

        Returns
        -------
        dict
            The numbers ``added``, ``removed``, ``orphaned`` and ``re_pended``.
        """
        self.declare()
        jobs = self.connection.settings.jobs
        priority = jobs.default_priority if priority is None else priority
        stale_timeout = jobs.stale_timeout if stale_timeout is None else stale_timeout
        everything = self._key_source.proj()
        wanted = everything & AndList(restrictions) if restrictions else everything
        result = {"added": self._add(wanted, priority, delay), "removed": 0, "orphaned": 0, "re_pended": 0}
        if jobs.keep_completed:
            undone = self.completed.restrict(everything, semantic_check=False)
            result["re_pended"] = self._set_pending(undone._except(self._target), priority)
        vanished = self._except(everything)
        finished = vanished & {"status": ["success", "error"]}
        result["removed"] += finished._except(self._target)._swept()
        if stale_timeout > 0:
            old = vanished._older("created_time", stale_timeout)
            result["removed"] += (old - {"status": "ignore"})._swept()
        if orphan_timeout:
            orphans = self.reserved._older("reserved_time", orphan_timeout)
            result["orphaned"] = self._set_pending(orphans, priority)
        return result

    def _except(self, other: Any) -> Job:
        """Return the jobs whose key another query lacks; origins differ, since a queue has no foreign keys."""
        return self._restricted(
            Restrict(self.node, Negation(self._condition(other.proj(), semantic_check=False)))
        )

    def _add(self, wanted: QueryExpression, priority: int, delay: float) -> int:
        missing = wanted - self._target.proj()
        in_queue = missing._condition(self._whole().proj(), semantic_check=False)
        missing = missing._restricted(Restrict(missing.node, Negation(in_queue)))
        names = [n for n in self.primary_key if n in missing.heading]
        dialect = self.connection.dialect
        # Read first, then written: INSERT … SELECT would lock all that it reads, this queue among it, in an
        # order of its own, and programs that clean the queue meanwhile would run into a deadlock.
        rows = sorted(set(self.connection.run(select_statement(missing.node, dialect, names)).fetchall()))
        schedule = dialect.seconds_from_now(delay)
        marks = ", ".join([dialect.placeholder] * (len(names) + 1))
        row_sql = f"({marks}, 'pending', {schedule.sql})"
        tail = (priority, *schedule.parameters)
        columns = [*names, "priority", "status", "scheduled_time"]
        n_rows = min(_MAX_ROWS, dialect.max_parameters // (len(names) + len(tail)))

        def write() -> int:
            added = 0
            for start in range(0, len(rows), n_rows):
                batch = rows[start : start + n_rows]
                source = "VALUES " + ", ".join([row_sql] * len(batch))
                sql = dialect.insert(self._name, columns, source, "skip", names)
                added += self.connection.query(sql, [v for row in batch for v in (*row, *tail)]).rowcount
            return added

        return self.connection.retried(write) if rows else 0

    def _older(self, column: str, seconds: float) -> Job:
        limit = self.connection.dialect.seconds_from_now(-seconds)
        moment = self.connection.run(Statement(f"SELECT {limit.sql}", limit.parameters)).fetchone()[0]
        return self & f"{column} < '{moment}'"

    def _swept(self) -> int:
        # To delete locks every job that is looked at, even if none is deleted, as is nearly always the case.
        return self._delete() if self else 0

    def _delete(self) -> int:
        relation = Relation(self._name, self.structure.heading)
        statement = delete_statement(self.node, relation, self.connection.dialect)
        return self.connection.retried(lambda: self.connection.run(statement)).rowcount

    def _update(self, node: Any, values: Mapping[str, Any], expressions: Mapping[str, Statement]) -> int:
        """Change jobs and return how many there were."""
        return update_rows(self, node, values, expressions)

    def _set_pending(self, jobs: Job, priority: int) -> int:
        now = Statement(self.connection.dialect.now)
        empty = Statement("NULL")
        return self._update(
            jobs.node,
            {"status": "pending", "priority": priority, "error_message": ""},
            {"scheduled_time": now, "reserved_time": empty, "completed_time": empty, "error_stack": empty},
        )

    # ------------------------------------------------------------------ one job
    def _key(self, key: Mapping[str, Any]) -> dict[str, Any]:
        return {n: key[n] for n in self.primary_key if n in key}

    def reserve(self, key: Mapping[str, Any]) -> bool:
        """Take a job, if it is still pending and due; return whether it is ours now."""
        return self.take(key) is not None

    def take(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """Take a job as :meth:`reserve` does; return the token of the reservation, or ``None``."""
        token = {"host": platform.node(), "pid": os.getpid(), "connection_id": self.connection.connection_id}
        values = {
            "status": "reserved",
            **token,
            "user": self.connection.get_user(),
            "version": code_version(self.connection.settings.jobs.version_method),
        }
        node = (self._whole_job() & self._key(key) & {"status": "pending"} & self._due).node
        taken = self._update(node, values, {"reserved_time": Statement(self.connection.dialect.now)})
        return token if taken == 1 else None

    def _whole_job(self) -> Job:
        return Job(self._target, self._key_source)

    @property
    def _due(self) -> str:
        moment = self.connection.run(Statement(f"SELECT {self.connection.dialect.now}")).fetchone()[0]
        return f"scheduled_time <= '{moment}'"

    def due_keys(
        self, restriction: QueryExpression | None, priority: int | None, limit: int | None
    ) -> list[dict[str, Any]]:
        """Return keys of pending jobs that may be done now, the most urgent first."""
        due = self.pending & self._due
        if restriction is not None:
            due = due.restrict(restriction, semantic_check=False)
        if priority is not None:
            due = due & f"priority <= {int(priority)}"
        found: list[dict[str, Any]] = due.to_dicts(
            attributes=self.primary_key, order_by=["priority", "scheduled_time", "KEY"], limit=limit
        )
        return found

    def complete(
        self, key: Mapping[str, Any], duration: float | None = None, token: Mapping[str, Any] | None = None
    ) -> None:
        """Record success: remove the job, or mark it where ``config.jobs.keep_completed`` says so.

        Parameters
        ----------
        key
            The job's.
        duration
            Of the computation, in seconds.
        token
            Of the reservation. Inside the transaction that writes the result this makes sure that the
            result is kept only if the job is still ours.

        Raises
        ------
        ReservationLostError
            If another worker has taken the job over.
        """
        node = (self._whole_job() & self._key(key) & dict(token or {})).node
        if token is not None:
            node = (self._whole_job() & self._key(key) & dict(token) & {"status": "reserved"}).node
        if self.connection.settings.jobs.keep_completed:
            number = self._update(
                node,
                {"status": "success", "duration": duration, "error_message": ""},
                {"completed_time": Statement(self.connection.dialect.now)},
            )
        else:
            number = self._whole_job()._restricted(node)._delete()
        if token is not None and number != 1:
            raise ReservationLostError(
                f"Another worker has taken over {self._key(key)} of {self._target._label}."
            )

    def error(
        self,
        key: Mapping[str, Any],
        error_message: str,
        error_stack: str | None = None,
        duration: float | None = None,
        token: Mapping[str, Any] | None = None,
    ) -> bool:
        """Record a failure with its message and traceback; return whether the job was still ours."""
        if len(error_message) > _MESSAGE_LENGTH:
            error_message = error_message[: _MESSAGE_LENGTH - len(_TRUNCATED)] + _TRUNCATED
        values: dict[str, Any] = {"status": "error", "error_message": error_message, "duration": duration}
        if error_stack is not None:
            values["error_stack"] = self.encoded_stack(error_stack)
        node = (self._whole_job() & self._key(key) & dict(token or {})).node
        return self._update(node, values, {"completed_time": Statement(self.connection.dialect.now)}) == 1

    def encoded_stack(self, text: str) -> Any:
        """Return a traceback as the column takes it."""
        encoder = self._row_encoder()
        return encoder.value(self.structure.heading["error_stack"], text, {})

    def release(self, key: Mapping[str, Any], token: Mapping[str, Any]) -> None:
        """Give a job back that was not done, as when a worker is asked to stop."""
        node = (self._whole_job() & self._key(key) & dict(token) & {"status": "reserved"}).node
        self._update(node, {"status": "pending"}, {"reserved_time": Statement("NULL")})

    def ignore(self, key: Mapping[str, Any]) -> None:
        """Mark a job as not to be done, whether or not it is in the queue."""
        key = self._key(key)
        node = (self._whole_job() & key).node
        if not self._update(node, {"status": "ignore"}, {}):
            self.insert1(
                {**key, "status": "ignore", "priority": self.connection.settings.jobs.default_priority}
            )

    def retry(self, restriction: Any = True) -> int:
        """Make failed jobs pending again and return how many there were."""
        failed = self.errors & restriction
        refuse_passed_over(failed.node)
        return self._set_pending(failed, self.connection.settings.jobs.default_priority)

    # ------------------------------------------------------------------ removing
    def delete(self, *args: Any, **options: Any) -> int:
        """Remove these jobs without asking."""
        refuse_passed_over(self.node)
        return self._delete()

    def drop(self, *args: Any, **options: Any) -> None:
        """Drop the queue without asking."""
        if self.is_declared:
            FreeTable(self.connection, self._name).drop_quick()
