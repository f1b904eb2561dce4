"""Tables: queries that can also be written to.

Source: DataJoint 2.3, `reference/specs/data-manipulation`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from dj_panel.core.algebra import Comparison, Relation, Restrict
from dj_panel.core.connection import Connection
from dj_panel.core.deletion import Deletion, plan_deletion
from dj_panel.core.describe import describe
from dj_panel.core.dialect import Statement
from dj_panel.core.errors import (
    DuplicateError,
    IntegrityError,
    MissingTableError,
    OneRowError,
    QuerySyntaxError,
    UnknownAttributeError,
    ValueRefusedError,
)
from dj_panel.core.explain import Explainer, key_text
from dj_panel.core.expression import QueryExpression, instance_of
from dj_panel.core.render import delete_statement, select_statement
from dj_panel.core.rows import RowEncoder, batches, is_missing, label, rows_as_dicts
from dj_panel.core.structure import ForeignKey, TableName, TableStructure

__all__ = ["FreeTable", "Table", "ask"]

logger = logging.getLogger("dj_panel")
_MAX_ROWS = 2000


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

    def describe(self, printout: bool = False) -> str:
        """Return the definition that declares this table again; print it too, if asked to."""
        text = describe(self.structure)
        if printout:
            print(text)
        return text

    # ------------------------------------------------------------------ relatives
    def parents(
        self, primary: bool | None = None, as_objects: bool = False, foreign_key_info: bool = False
    ) -> list[Any]:
        """Return the tables that this one refers to.

        Parameters
        ----------
        primary
            ``True`` for foreign keys of the primary key, ``False`` for the others, ``None`` for both.
        as_objects
            Whether to return tables rather than names.
        foreign_key_info
            Whether to return pairs with the :class:`~dj_panel.core.structure.ForeignKey`.
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
        if with_key:
            return [(make(n), fk) for n, fk in chosen]
        return [make(n) for n in dict.fromkeys(n for n, _ in chosen)]

    def ancestors(self, as_objects: bool = False) -> list[Any]:
        """Return this table and all that it depends on, in topological order."""
        self.connection.catalog.tables(self._name.schema)
        return self._as_asked(self.connection.catalog.graph.ancestors(self._name), as_objects)

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
            Dicts, sequences, numpy records, a data frame, an Arrow table, the path of a CSV file, or a query.
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
        rows = instance_of(rows)
        if isinstance(rows, QueryExpression):
            self._insert_query(rows, on_duplicate, ignore_extra_fields)
            return
        encoder = self._row_encoder()
        names = self.heading.names
        given = [
            encoder.known(row, ignore_extra_fields=ignore_extra_fields)
            for row in rows_as_dicts(rows, names, self._label)
        ]
        limit = min(chunk_size or _MAX_ROWS, _MAX_ROWS)
        if not given:
            return
        # Encoded before the transaction begins: objects go to their store while no lock is held.
        encoded = [encoder.encode(row) for row in given]

        def write() -> None:
            for batch in batches(encoded, self.connection.dialect.max_parameters, limit):
                self._write(batch, on_duplicate)

        try:
            if len(encoded) == 1 and not self.connection.in_transaction:
                write()
            else:
                self.connection.retried(write)
        except DuplicateError as error:
            raise self._explainer.duplicate(given, error) from error
        except IntegrityError as error:
            raise self._refused(given, error, replacing=replace) from error

    @property
    def _explainer(self) -> Explainer:
        return Explainer(self.connection, self.structure)

    def _refused(
        self, rows: Sequence[Mapping[str, Any]], error: IntegrityError, *, replacing: bool
    ) -> IntegrityError:
        if replacing:
            taken = [row for row in rows if all(n in row for n in self.primary_key)]
            found = self._explainer.children_in_the_way(
                self._matching(taken),
                "Change these rows with update1(), or delete what depends on them first.",
            )
            if found is not None:
                return found
        return self._explainer.missing_parent(rows, error)

    def _write(self, batch: list[dict[str, Any]], on_duplicate: str) -> None:
        dialect = self.connection.dialect
        names = list(batch[0])
        key = [a.name for a in self.structure.heading.all_attributes if a.in_key]
        if (
            on_duplicate == "skip"
            and dialect.skip_hides_unique
            and any(i.unique for i in self.structure.indexes)
        ):
            batch = self._without_taken_keys(batch)
            on_duplicate = "error"
            if not batch:
                return
        if not names:
            # Every value is a default: only a singleton, or a table that numbers its rows.
            names = [key[0]]
            batch = [{key[0]: self._default_key()} for _ in batch]
        mark = "(" + ", ".join([dialect.placeholder] * len(names)) + ")"
        source = "VALUES " + ", ".join([mark] * len(batch))
        sql = dialect.insert(self._name, names, source, on_duplicate, key)
        try:
            self.connection.query(sql, [row[name] for row in batch for name in names])
        except ValueRefusedError as error:
            attribute = error.attribute or max(names, key=lambda n: max(_n_bytes(row[n]) for row in batch))
            values = [row.get(attribute) for row in batch]
            raise ValueRefusedError(
                error.reason, attribute=attribute, table=self._label, value=_abridged(values)
            ) from error

    def _default_key(self) -> Any:
        attribute = next(a for a in self.structure.heading.all_attributes if a.in_key)
        return attribute.column_type.check(attribute.default) if attribute.default is not None else None

    def _without_taken_keys(self, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
        key = self.primary_key
        if not all(n in row for row in batch for n in key):
            return batch
        statement = select_statement(self._matching(batch), self.connection.dialect, key)
        taken = {
            tuple(row)
            for row in self.connection.run(Statement(statement.sql + " FOR UPDATE", statement.parameters))
        }
        kept: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in batch:
            place = tuple(row[n] for n in key)
            if place not in taken:
                kept.setdefault(place, row)
        return list(kept.values())

    def _matching(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        whole = Relation(self._name, self.structure.heading)
        keys = [{n: row[n] for n in self.primary_key} for row in rows]
        return Restrict(whole, self._whole()._condition(keys, semantic_check=False))

    def _row_encoder(self) -> RowEncoder:
        return RowEncoder(self.structure, self.connection.dialect, self.connection.settings)

    def _whole(self) -> Table:
        return FreeTable(self.connection, self._name)

    def _insert_query(self, query: QueryExpression, on_duplicate: str, ignore_extra_fields: bool) -> None:
        extra = [n for n in query.heading.names if n not in self.heading]
        if extra and not ignore_extra_fields:
            raise UnknownAttributeError(extra[0], available=self.heading.names, where=self._label)
        names = [n for n in query.heading.names if n in self.heading]
        dialect = self.connection.dialect
        source = select_statement(query.node, dialect, names)
        key = self.primary_key
        sql = dialect.insert(self._name, names, source.sql, on_duplicate, key)
        try:
            self.connection.query(sql, source.parameters)
        except DuplicateError as error:
            raise self._explainer.duplicate(self._explainer.taken_row(query.node), error) from error
        except IntegrityError as error:
            raise self._explainer.missing_parent(self._explainer.parentless_row(query.node), error) from error

    def insert_dataframe(self, frame: Any, index_as_pk: bool | None = None, **options: Any) -> None:
        """Insert a pandas data frame; a named index counts as attributes unless ``index_as_pk=False``."""
        self.insert(
            frame.reset_index(drop=index_as_pk is False) if index_as_pk is not None else frame, **options
        )

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
        structure = self.structure
        encoder = self._row_encoder()
        key = self.primary_key
        missing = [n for n in key if is_missing(row.get(n))]
        if missing:
            raise UnknownAttributeError(
                f"update1() needs the whole primary key; '{missing[0]}' has no value."
            )
        known = encoder.known(row, ignore_extra_fields=False)
        key_values = {n: known[n] for n in key}
        sets: list[str] = []
        parameters: list[Any] = []
        dialect = self.connection.dialect
        for name, value in known.items():
            if name in key:
                continue
            attribute = structure.heading[name]
            if is_missing(value):
                if not attribute.nullable and attribute.default is None:
                    raise IntegrityError(
                        f"{self._label}.{name} cannot be empty and has no default. Give it a value."
                    )
                if attribute.nullable:
                    sets.append(f"{dialect.quote(name)} = NULL")
                else:
                    sets.append(f"{dialect.quote(name)} = {dialect.placeholder}")
                    parameters.append(encoder.value(attribute, attribute.default, key_values))
            else:
                sets.append(f"{dialect.quote(name)} = {dialect.placeholder}")
                parameters.append(encoder.value(attribute, value, key_values))
        self._update_one(key_values, expected or {}, sets, parameters, row)

    def _update_one(
        self,
        key: Mapping[str, Any],
        expected: Mapping[str, Any],
        sets: Sequence[str],
        parameters: Sequence[Any],
        row: Mapping[str, Any],
    ) -> None:
        dialect = self.connection.dialect
        whole = self._whole()
        conditions = [Comparison(n, v) for n, v in {**expected, **key}.items()]
        node: Any = whole.node
        for condition in conditions:
            node = Restrict(node, condition)
        # The WHERE of a DELETE of the same rows is the WHERE that an UPDATE needs.
        where = delete_statement(node, whole.node, dialect)
        clause = where.sql.partition(" WHERE ")[2] or "1 = 1"

        def write() -> None:
            number = int(whole._restricted(node).count())
            if number != 1:
                there = bool(whole & dict(key))
                raise OneRowError(
                    f"{self._label} has no row with {key_text(key, list(key))}. Insert it, or correct the key."
                    if not there
                    else f"The row of {self._label} with {key_text(key, list(key))} was changed by someone else"
                    " meanwhile. Nothing was written. Look at it again."
                )
            if sets:
                sql = f"UPDATE {dialect.table(self._name)} SET {', '.join(sets)} WHERE {clause}"
                self.connection.query(sql, [*parameters, *where.parameters])

        try:
            self.connection.retried(write)
        except DuplicateError as error:
            explainer = Explainer(self.connection, self.structure, "Nothing was changed.")
            raise explainer.duplicate([row], error, updating=True) from error
        except IntegrityError as error:
            explainer = Explainer(self.connection, self.structure, "Nothing was changed.")
            raise explainer.missing_parent([row], error) from error

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
        counts = plan.counts(self.connection)
        if not counts:
            return 0
        plan.check_parts(self.connection)
        if self.connection.settings.safemode if prompt is None else prompt:
            for name, number in counts.items():
                print(f"{number:>8} rows of {label(name)}")
            if not ask("Delete these rows?"):
                return 0
        deleted = self.delete_planned(plan, counts)
        return deleted.get(self._name, 0)

    def delete_planned(self, plan: Deletion, counts: Mapping[TableName, int]) -> dict[TableName, int]:
        """Carry out a deletion if it still takes just these rows with it.

        Raises
        ------
        IntegrityError
            If the counts have changed; nothing was deleted.
        """

        def carry_out() -> dict[TableName, int]:
            now = plan.counts(self.connection)
            if now != dict(counts):
                changed = next(n for n in {**now, **counts} if now.get(n) != counts.get(n))
                raise IntegrityError(
                    f"Nothing was deleted: meanwhile the rows to delete of {label(changed)} became"
                    f" {now.get(changed, 0)} instead of {counts.get(changed, 0)}. Look at the counts again."
                )
            deleted = plan.carry_out(self.connection)
            if deleted != dict(counts):
                # Rows that another program wrote since the transaction began, which counting does not see.
                raise IntegrityError(
                    "Nothing was deleted: other rows to delete arrived meanwhile. Look at the counts again."
                )
            return deleted

        return self.connection.retried(carry_out)

    def delete_quick(self, get_count: bool = False) -> int | None:
        """Delete these rows of this table alone, without asking; rows that depend on them make it fail."""
        node = self.node
        relation = Relation(self._name, self.structure.heading)
        try:
            result = self.connection.run(delete_statement(node, relation, self.connection.dialect))
        except IntegrityError as error:
            explainer = Explainer(self.connection, self.structure, "Nothing was deleted.")
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
                        f"This would drop the part {label(name)} and keep its master. Drop {label(name.master)},"
                        " or say part_integrity='ignore'."
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
    connection
        The connection.
    name
        A :class:`~dj_panel.core.structure.TableName`, or text such as ``"lab.#rig"`` (quotes allowed).
    """

    def __init__(self, connection: Connection, name: TableName | str) -> None:
        if isinstance(name, str):
            schema, _, table = name.replace("`", "").replace('"', "").partition(".")
            name = TableName(schema, table)
        super().__init__(connection, name)

    def __repr__(self) -> str:
        return f"FreeTable({self._name})\n" + super().__repr__()


def _n_bytes(value: Any) -> int:
    return len(value) if isinstance(value, (bytes, str)) else 0


def _abridged(values: Sequence[Any]) -> Any:
    """Return what an error message may show of the values of one attribute."""
    if len(values) != 1:
        return f"one of {len(values)} values"
    return values[0] if _n_bytes(values[0]) < 1000 else f"{_n_bytes(values[0])} bytes"
