"""Tables: queries that can also be written to.

Source: DataJoint 2.3, `reference/specs/data-manipulation`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from dj_panel.core.algebra import Relation
from dj_panel.core.connection import Connection
from dj_panel.core.copying import insert_query
from dj_panel.core.defaults import conn
from dj_panel.core.deletion import Deletion, plan_deletion, refuse_passed_over
from dj_panel.core.describe import describe
from dj_panel.core.encoder import RowEncoder
from dj_panel.core.errors import IntegrityError, MissingTableError, QuerySyntaxError
from dj_panel.core.explain import Explainer
from dj_panel.core.expression import QueryExpression, instance_of
from dj_panel.core.inserting import Inserter
from dj_panel.core.render import delete_statement
from dj_panel.core.rows import label
from dj_panel.core.staged import StagedInsert, staged_insert1
from dj_panel.core.structure import ForeignKey, TableName, TableStructure
from dj_panel.core.updating import Updater
from dj_panel.core.validation import ValidationResult, Validator
from dj_panel.core.words import say

__all__ = ["FreeTable", "Table", "ask"]

logger = logging.getLogger("dj_panel")


def ask(question: str) -> bool:
    """Ask on the terminal; only ``yes`` means yes."""
    return input(f"{question} [yes, No]: ").strip().lower() == "yes"


class Table(QueryExpression):
    """A table of the database, perhaps restricted.

    Parameters
    ----------
    connection
        The connection.
    name
        Its place.
    """

    definition: ClassVar[Any] = None

    def __init__(self, connection: Connection, name: TableName) -> None:
        self._connection = connection
        self._name = name
        self._node: Any = None  # the whole table, until it is restricted

    def _whole(self) -> Table:
        return FreeTable(self.connection, self._name)

    def _row_encoder(self) -> RowEncoder:
        return RowEncoder(self.structure, self.connection.dialect, self.connection.settings)

    # ------------------------------------------------------------------ what it is
    @property
    def node(self) -> Any:
        """The query as a value; of the whole table, as the database has it now."""
        if self._node is None:
            return Relation(self._name, self.structure.heading)
        return self._node

    @property
    def structure(self) -> TableStructure:
        """What the database knows of the table."""
        return self.connection.catalog.structure(self._name)

    @property
    def name(self) -> TableName:
        """Its schema and its name there."""
        return self._name

    @property
    def table_name(self) -> str:
        """Its name in the schema, tier prefix included."""
        return self._name.table

    @property
    def database(self) -> str:
        """The name of its schema."""
        return self._name.schema

    @property
    def full_table_name(self) -> str:
        """Its quoted name."""
        return self.connection.dialect.table(self._name).replace("%%", "%")

    @property
    def _label(self) -> str:
        return label(self._name)

    @property
    def is_declared(self) -> bool:
        """Whether the database has it."""
        return self.connection.catalog.find(self._name) is not None

    @property
    def class_name(self) -> str:
        """The name of its class."""
        return type(self).__name__

    def describe(self, context: Any = None, printout: bool = False) -> str:
        """Return the definition that declares this table again.

        Parameters
        ----------
        context
            Kept for DataJoint's signature; parents are called by their schemas' and classes' names.
        printout
            Whether to print it too.
        """
        text = describe(self.structure)
        if printout:
            print(text)
        return text

    # ------------------------------------------------------------------ relatives
    def parents(
        self, primary: bool | None = None, as_objects: bool = False, foreign_key_info: bool = False
    ) -> list[Any]:
        """Return the tables that this one refers to; one of several foreign keys, as often as that.

        Parameters
        ----------
        primary
            ``True`` for foreign keys of the primary key, ``False`` for the others, ``None`` for both.
        as_objects
            Whether to return tables rather than names.
        foreign_key_info
            Whether to return pairs with what DataJoint says of the foreign key: ``attr_map`` (attribute → the
            parent's), ``primary``, ``aliased`` (renamed) and ``multi`` (several rows here may refer to one there).
        """
        found = [(fk.parent, fk) for fk in self.structure.foreign_keys]
        return self._relatives(found, primary, as_objects, foreign_key_info)

    def children(
        self, primary: bool | None = None, as_objects: bool = False, foreign_key_info: bool = False
    ) -> list[Any]:
        """Return the tables that refer to this one; parameters as for :meth:`parents`."""
        self.connection.catalog.tables(self._name.schema)
        found = self.connection.catalog.graph_with_children().children(self._name)
        return self._relatives(found, primary, as_objects, foreign_key_info)

    def _relatives(
        self,
        found: Sequence[tuple[TableName, ForeignKey]],
        primary: bool | None,
        as_objects: bool,
        with_key: bool,
    ) -> list[Any]:
        chosen = [(n, fk) for n, fk in found if primary is None or fk.in_key == primary]
        make = (lambda n: FreeTable(self.connection, n)) if as_objects else self.connection.dialect.table
        return [(make(n), self._key_info(n, fk)) if with_key else make(n) for n, fk in chosen]

    def _key_info(self, relative: TableName, fk: ForeignKey) -> dict[str, Any]:
        child = self._name if relative == fk.parent else relative
        key = self.connection.catalog.structure(child).heading.primary_key
        return {
            "primary": fk.in_key,
            "attr_map": dict(zip(fk.attributes, fk.parent_attributes, strict=True)),
            "aliased": bool(fk.renamed),
            "multi": set(fk.attributes) != set(key),
        }

    def ancestors(self, as_objects: bool = False) -> list[Any]:
        """Return this table and all that it depends on, each before what it depends on."""
        self.connection.catalog.tables(self._name.schema)
        names = self.connection.catalog.graph.ancestors(self._name)
        return self._as_asked(reversed(names), as_objects)

    def descendants(self, as_objects: bool = False) -> list[Any]:
        """Return this table and all that depend on it, in topological order."""
        self.connection.catalog.tables(self._name.schema)
        return self._as_asked(
            self.connection.catalog.graph_with_children().descendants(self._name), as_objects
        )

    def parts(self, as_objects: bool = False) -> list[Any]:
        """Return the part tables."""
        tables = self.connection.catalog.tables(self._name.schema)
        names = [TableName(self._name.schema, t) for t in sorted(tables)]
        return self._as_asked([n for n in names if n.master == self._name], as_objects)

    def _as_asked(self, names: Iterable[TableName], as_objects: bool) -> list[Any]:
        if as_objects:
            return [FreeTable(self.connection, n) for n in names]
        return [self.connection.dialect.table(n) for n in names]

    # ------------------------------------------------------------------ inserting
    def _check_insert_allowed(self, allow_direct_insert: bool | None) -> None:
        """Refuse to insert; tables that are computed do, outside their make."""

    def insert1(self, row: Any, **options: Any) -> None:
        """Insert one row; options as for :meth:`insert`."""
        self.insert((row,), **options)

    def insert(
        self,
        rows: Any,
        replace: bool = False,
        skip_duplicates: bool = False,
        ignore_extra_fields: bool = False,
        allow_direct_insert: bool | None = None,
        chunk_size: int | None = None,
    ) -> None:
        """Insert rows: all of them, or none.

        Parameters
        ----------
        rows
            Dicts, sequences, numpy records, a pandas or polars frame, an Arrow table or its batches, the path of
            a CSV or Parquet file, or a query. Of an iterator, no more than a few blocks are held at a time.
        replace
            Whether a row takes the place of the one with the same primary key.
        skip_duplicates
            Whether rows whose primary key is taken are passed over.
        ignore_extra_fields
            Whether fields that the table lacks are ignored; they are refused otherwise.
        allow_direct_insert
            Whether to insert into a table whose rows are computed.
        chunk_size
            Rows for each statement; chosen by size if not given.

        Raises
        ------
        DuplicateError, IntegrityError, MissingAttributeError, ValueRefusedError, UnknownAttributeError
            With the table, the attribute, the value and the remedy. Nothing was written then.
        """
        self._check_insert_allowed(allow_direct_insert)
        on_duplicate = "replace" if replace else "skip" if skip_duplicates else "error"
        place, rows = (self.connection, self.structure), instance_of(rows)
        if isinstance(rows, QueryExpression):
            insert_query(*place, rows, on_duplicate, ignore_extra_fields=ignore_extra_fields)
        else:
            inserter = Inserter(*place, on_duplicate, ignore_extra_fields=ignore_extra_fields)
            inserter.insert(rows, chunk_size)

    def validate(self, rows: Any, *, ignore_extra_fields: bool = False) -> ValidationResult:
        """Find every problem of every row that is to be inserted; nothing is written.

        Types, ranges, lengths, choices, dates, encodings, missing values, unknown fields, duplicates among the
        rows and with rows of the table (primary key and unique indexes), and parents that are not there. The
        database is asked for the keys of a few thousand rows at a time. What another program writes between this
        and the insert may still get in the way.

        Parameters
        ----------
        rows
            As for :meth:`insert`.
        ignore_extra_fields
            Whether fields that the table lacks are no problem.
        """
        rows = instance_of(rows)
        if isinstance(rows, QueryExpression):
            rows = iter(rows)
        validator = Validator(self.connection, self.structure, ignore_extra_fields=ignore_extra_fields)
        return validator.validate(rows)

    @property
    def staged_insert1(self) -> AbstractContextManager[StagedInsert]:
        """Write objects straight into their store, then insert the row that names them.

        ::

            with Recording.staged_insert1 as staged:
                staged.rec.update(subject="M1", session=1)
                zarr.create_array(staged.store("signal", ".zarr"), data=signal)

        The block's end inserts the row; after an error neither row nor objects are left.
        """
        return staged_insert1(self)

    def insert_dataframe(self, df: Any, index_as_pk: bool | None = None, **insert_kwargs: Any) -> None:
        """Insert a pandas data frame, such as one of :meth:`to_pandas`.

        Parameters
        ----------
        df
            The rows.
        index_as_pk
            Whether its index is the primary key; if not given, it is when its levels have the key's names. Any
            other index is dropped.
        **insert_kwargs
            As for :meth:`insert`.
        """
        if not hasattr(df, "reset_index"):
            raise QuerySyntaxError(
                "insert_dataframe() takes a pandas data frame. Use insert() for other rows."
            )
        is_key = set(df.index.names) == set(self.primary_key)
        if index_as_pk and not is_key:
            raise QuerySyntaxError(
                f"The index of the data frame is {', '.join(map(str, df.index.names))}, and the primary key of"
                f" {self._label} is {', '.join(self.primary_key)}. Rename its levels, or pass index_as_pk=False."
            )
        self.insert(df.reset_index(drop=index_as_pk is False or not is_key), **insert_kwargs)

    # ------------------------------------------------------------------ updating
    def update1(self, row: Mapping[str, Any], *, expected: Mapping[str, Any] | None = None) -> None:
        """Change attributes of one row.

        Parameters
        ----------
        row
            The primary key and the new values. ``None`` empties an attribute that may be empty, and sets any
            other back to its default.
        expected
            Values that the row must still have; if another person changed one of them, nothing is written.

        Raises
        ------
        OneRowError
            If there is no such row, or it is not as expected any more.
        """
        if self._node is not None and not isinstance(self._node, Relation):
            raise QuerySyntaxError("update1() is for the whole table; the restriction would be ignored.")
        Updater(self.connection, self.structure).update(row, expected or {})

    # ------------------------------------------------------------------ deleting
    def plan_delete(self, part_integrity: str = "enforce") -> Deletion:
        """Return what deleting these rows would take with it; nothing is deleted."""
        self.connection.catalog.tables(self._name.schema)
        return plan_deletion(self.connection.catalog, self._name, self.node, part_integrity)

    def delete(
        self, transaction: bool = True, prompt: bool | None = None, part_integrity: str = "enforce"
    ) -> int:
        """Delete these rows and all that depend on them.

        Parameters
        ----------
        transaction
            Kept for DataJoint's signature; deleting is always one transaction.
        prompt
            Whether to ask on the terminal first; as ``config.safemode`` says if not given. Nothing is locked
            while the question stands; if the counts change meanwhile, nothing is deleted.
        part_integrity
            ``"enforce"`` refuses to delete part rows without their master, ``"ignore"`` allows it,
            ``"cascade"`` deletes the masters too.

        Returns
        -------
        int
            How many rows of this table were deleted.
        """
        plan = self.plan_delete(part_integrity)
        if not (self.connection.settings.safemode if prompt is None else prompt):
            return self.delete_planned(plan).get(self._name, 0)
        counts = plan.counts(self.connection)
        if not counts:
            return 0
        plan.check_parts(self.connection)
        for name, number in counts.items():
            print(f"{number:>8} rows of {label(name)}")
        if not ask("Delete these rows?"):
            return 0
        return self.delete_planned(plan, counts).get(self._name, 0)

    def delete_planned(
        self, plan: Deletion, counts: Mapping[TableName, int] | None = None
    ) -> dict[TableName, int]:
        """Carry out a deletion in one transaction.

        Parameters
        ----------
        plan
            From :meth:`plan_delete`.
        counts
            The rows that someone agreed to delete, by table; if not given, all that there are.

        Raises
        ------
        IntegrityError
            If the counts have changed, or a part would go without its master; nothing was deleted then.
        """

        def carry_out() -> dict[TableName, int]:
            now = plan.present(self.connection) if counts is None else plan.counts(self.connection)
            if counts is not None and now != dict(counts):
                changed = next(n for n in {**now, **counts} if now.get(n) != counts.get(n))
                raise IntegrityError(
                    f"Nothing was deleted: meanwhile the rows to delete of {label(changed)} became"
                    f" {now.get(changed, 0)} instead of {counts.get(changed, 0)}.",
                    table=label(changed),
                    value=now.get(changed, 0),
                    remedy="Look at the counts again.",
                )
            if not now:
                return {}
            plan.check_parts(self.connection)
            deleted = plan.carry_out(self.connection, now)
            if counts is not None and deleted != now:
                # Rows that another program wrote since the transaction began, which counting does not see.
                raise IntegrityError(
                    "Nothing was deleted: other rows to delete arrived meanwhile.",
                    table=self._label,
                    remedy="Look at the counts again.",
                )
            return deleted

        return self.connection.retried(carry_out)

    def delete_quick(self, get_count: bool = False) -> int | None:
        """Delete these rows of this table alone, without asking; rows that depend on them make it fail."""
        node = self.node
        refuse_passed_over(node)
        relation = Relation(self._name, self.structure.heading)
        try:
            result = self.connection.run(delete_statement(node, relation, self.connection.dialect))
        except IntegrityError as error:
            explainer = Explainer(self.connection, self.structure, say("Nothing was deleted."))
            found = explainer.children_in_the_way(node, "Use delete(), which takes them along.")
            raise found or error from error
        return result.rowcount if get_count else None

    # ------------------------------------------------------------------ dropping
    def drop(self, prompt: bool | None = None, part_integrity: str = "enforce") -> None:
        """Drop the table and all that depend on it.

        Parameters
        ----------
        prompt
            Whether to ask on the terminal first; as ``config.safemode`` says if not given.
        part_integrity
            ``"enforce"`` refuses to drop a part without its master, ``"ignore"`` allows it.
        """
        if self._node is not None:
            raise QuerySyntaxError("A restricted table cannot be dropped. Use delete() for its rows.")
        if not self.is_declared:
            raise MissingTableError(f"The table {self._name} is not in the database.")
        names = self.connection.catalog.graph_with_children().descendants(self._name)
        if part_integrity == "enforce":
            for name in names:
                if name.master is not None and name.master not in names:
                    raise IntegrityError(
                        f"This would drop the part {label(name)} and keep its master.",
                        table=label(name),
                        parent=label(name.master),
                        remedy=f"Drop {label(name.master)}, or say part_integrity='ignore'.",
                    )
        if self.connection.settings.safemode if prompt is None else prompt:
            for name in names:
                print(f"{len(FreeTable(self.connection, name)):>8} rows of {label(name)}")
            if not ask("Drop these tables?"):
                return
        for name in reversed(names):
            FreeTable(self.connection, name).drop_quick()

    def drop_quick(self) -> None:
        """Drop this table alone, with its job queue; tables that depend on it make it fail."""
        jobs = TableName(self._name.schema, "~~" + self._name.table.lstrip("_"))
        catalog = self.connection.catalog
        doomed = [self._name]
        if self._name.tier in ("Imported", "Computed") and catalog.find(jobs) is not None:
            doomed.append(jobs)

        def drop() -> None:
            for name in doomed:
                for statement in self.connection.dialect.drop_table(name):
                    self.connection.run(statement)
                if catalog.find(TableName(name.schema, "~lineage")) is not None:
                    lineage = FreeTable(self.connection, TableName(name.schema, "~lineage"))
                    (lineage & {"table_name": name.table}).delete_quick()

        self.connection.retried(drop)
        catalog.forget(self._name.schema)


class FreeTable(Table):
    """A table by its name alone, without a class.

    Parameters
    ----------
    conn_or_name
        The connection; it may be left out for the process's.
    full_table_name
        A :class:`~dj_panel.core.structure.TableName`, or text such as ``"lab.#rig"`` (quotes allowed).
    """

    def __init__(
        self, conn_or_name: Connection | str, full_table_name: TableName | str | None = None
    ) -> None:
        connection, name = conn_or_name, full_table_name
        if name is None:
            connection, name = conn(), str(connection)
        if not isinstance(connection, Connection):
            raise QuerySyntaxError("FreeTable() takes a connection and a table's name, or the name alone.")
        if isinstance(name, str):
            schema, _, table = name.replace("`", "").replace('"', "").partition(".")
            name = TableName(schema, table)
        super().__init__(connection, name)

    def __repr__(self) -> str:
        return f"FreeTable({self._name})\n" + super().__repr__()
