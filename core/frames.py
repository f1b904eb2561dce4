"""Columns of the driver → arrays and data frames, by the types of the heading.

Numbers, times and text that the driver gives as arrays never become Python objects on the way.

==============  =====================  ======================  ==================
type            ``to_arrays``          ``to_pandas``           Arrow, polars
==============  =====================  ======================  ==================
whole numbers   int64 [1]_             int64, or Int64 [1]_    int64
floats          float64                float64                 double
decimal         object, ``Decimal``    object, ``Decimal``     decimal128(p, s)
text, enum      object, ``str``        str                     string
date            object, ``date``       object, ``date``        date32
datetime        object, ``datetime``   datetime64[us]          timestamp[us]
time            object, ``timedelta``  timedelta64             duration[us]
uuid            object, ``UUID``       object, ``UUID``        uuid (polars: Object)
json            object                 object                  string, the document
codecs          object                 object                  what Arrow makes of it
==============  =====================  ======================  ==================

.. [1] uint64 for unsigned 64-bit columns. With empty values: object arrays with ``None``, and Int64 or UInt64 in
   pandas, where DataJoint gives floats.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from dj_panel.core.columntypes import DecimalType, IntegerType
from dj_panel.core.dialect.columns import Batch, ListColumn, TypedValues
from dj_panel.core.errors import QuerySyntaxError
from dj_panel.core.fetch import Decoder
from dj_panel.core.lazy import np
from dj_panel.core.structure import Attribute

if TYPE_CHECKING:
    import pyarrow
    from numpy.typing import NDArray

__all__ = ["array_of", "arrow_reader", "arrow_table", "pandas_column", "polars_column", "typed_values"]

_WHOLE = ("integer", "boolean")


def typed_values(batches: Sequence[Batch], position: int) -> TypedValues | None:
    """Return one column of all batches as an array, if it came as such in all of them."""
    pieces = [batch.columns[position].typed() for batch in batches]
    found = [piece for piece in pieces if piece is not None]
    if not found or len(found) < len(pieces):
        return None
    arrays = [piece.values for piece in found]
    if any(array.dtype == np.uint64 for array in arrays):
        # An unsigned column, of which some batches hold small numbers only; together they are not to be floats.
        arrays = [array.astype(np.uint64) for array in arrays]
    is_empty = None
    if any(piece.is_empty is not None for piece in found):
        is_empty = np.concatenate(
            [np.zeros(len(p.values), dtype=bool) if p.is_empty is None else p.is_empty for p in found]
        )
    return TypedValues(np.concatenate(arrays), is_empty)


def array_of(
    batches: Sequence[Batch], position: int, attribute: Attribute, values: Sequence[Any] | None
) -> NDArray[Any]:
    """Return one attribute's values as an array; of objects where no number type fits all of them.

    Parameters
    ----------
    batches, position
        The rows, and the place of the attribute in them.
    attribute
        The attribute.
    values
        Its decoded values, if they are known already.
    """
    typed = typed_values(batches, position) if _is_number(attribute) else None
    if typed is not None and typed.values.dtype.kind in "iuf":
        if typed.is_empty is None:
            return typed.values.astype(np.uint64, copy=False) if _is_huge(attribute) else typed.values
        if typed.values.dtype.kind == "f":
            return np.where(typed.is_empty, np.nan, typed.values)
    if values is None:
        values = [value for batch in batches for value in batch.columns[position].values()]
    kind = attribute.column_type.kind
    if kind == "float" and attribute.codec is None:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    is_number = attribute.codec is None and kind in _WHOLE
    if attribute.type == "computed":
        is_number = all(isinstance(value, (int, float)) for value in values)
    if is_number and values and not any(value is None for value in values):
        if set(map(type, values)) != {int} or (not _is_huge(attribute) and max(values) < 2**63):
            return np.array(values)
        if min(values) >= 0:
            # NumPy itself makes floats of whole numbers that int64 and uint64 hold only together.
            return np.array(values, dtype=np.uint64)
    array = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array[row] = value
    return array


def _is_number(attribute: Attribute) -> bool:
    return attribute.codec is None and (attribute.column_type.kind in (*_WHOLE, "float")
                                        or attribute.type == "computed")  # fmt: skip


def _is_huge(attribute: Attribute) -> bool:
    column = attribute.column_type
    return attribute.codec is None and isinstance(column, IntegerType) and column.high >= 2**63


# ------------------------------------------------------------------------ pandas and polars
def pandas_column(pd: Any, batches: Sequence[Batch], position: int, decoder: Decoder,
                  values: Sequence[Any] | None) -> Any:  # fmt: skip
    """Return one attribute as a column of a data frame.

    Parameters
    ----------
    pd
        The module pandas.
    batches, position, values
        As for :func:`array_of`.
    decoder
        The query's decoder.
    """
    attribute = decoder.attributes[position]
    kind = attribute.column_type.kind
    typed = typed_values(batches, position) if decoder.is_plain(position) else None
    if typed is not None and typed.values.dtype != "datetime64[D]":
        array, is_empty = typed
        if _is_huge(attribute):
            array = array.astype(np.uint64, copy=False)
        if is_empty is None:
            return pd.Series(array)
        if array.dtype.kind in "iu":
            return pd.Series(pd.arrays.IntegerArray(array, is_empty))
        return pd.Series(
            np.where(is_empty, np.array("NaT" if kind == "datetime" else np.nan, array.dtype), array)
        )
    if values is None:
        values = [value for batch in batches for value in batch.columns[position].values()]
    if attribute.codec is not None or (kind == "json" and values):
        return pd.Series(list(values), dtype=object)
    if kind in _WHOLE:
        some_empty = any(value is None for value in values)
        name = "UInt64" if _is_huge(attribute) else "Int64"
        return pd.Series(list(values), dtype=name if some_empty else name.lower())
    if kind == "float":
        return pd.Series(list(values), dtype="float64")
    if kind == "datetime":
        return pd.Series(list(values), dtype="datetime64[us]")
    if not values and kind not in ("text", "enum"):
        return pd.Series([], dtype=object)
    return pd.Series(list(values), dtype="str" if not values else None)


def polars_column(pl: Any, name: str, attribute: Attribute, values: Sequence[Any]) -> Any:
    """Return one attribute's decoded values as a column of a polars data frame; ``pl`` is the module."""
    kind = attribute.column_type.kind
    if attribute.codec is not None or kind in ("json", "computed", "other"):
        # polars reads lists with gaps, and not arrays with gaps
        listed = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
        try:
            return pl.Series(name, listed, strict=False)
        except (TypeError, ValueError, pl.exceptions.PolarsError):
            return pl.Series(name, list(values), dtype=pl.Object)
    return pl.Series(name, list(values), dtype=_polars_type(pl, attribute))


def _polars_type(pl: Any, attribute: Attribute) -> Any:
    column = attribute.column_type
    if isinstance(column, IntegerType) and column.high >= 2**63:
        return pl.UInt64
    if isinstance(column, DecimalType):
        return pl.Decimal(min(column.precision, 38), column.scale)
    return {
        "integer": pl.Int64, "boolean": pl.Int64, "float": pl.Float64, "text": pl.String, "enum": pl.String,
        "date": pl.Date, "datetime": pl.Datetime("us"), "time": pl.Duration("us"), "bytes": pl.Binary,
        "uuid": pl.Object,
    }.get(column.kind)  # fmt: skip


# ------------------------------------------------------------------------ Arrow
def arrow_type(pa: Any, attribute: Attribute) -> Any:
    """Return the Arrow type of an attribute; None where only its values tell, as of codecs and expressions."""
    column = attribute.column_type
    if attribute.codec is not None:
        return None
    if isinstance(column, IntegerType) and column.high >= 2**63:
        return pa.uint64()
    if isinstance(column, DecimalType):
        make = pa.decimal128 if column.precision <= 38 else pa.decimal256
        return make(column.precision, column.scale)
    makers = {
        "integer": pa.int64, "boolean": pa.int64, "float": pa.float64, "text": pa.string, "enum": pa.string,
        "date": pa.date32, "json": pa.string, "bytes": pa.binary, "uuid": pa.uuid,
    }  # fmt: skip
    if column.kind in makers:
        return makers[column.kind]()
    return {"datetime": pa.timestamp("us"), "time": pa.duration("us")}.get(column.kind)


def arrow_table(pa: Any, decoder: Decoder, batches: Sequence[Batch]) -> pyarrow.Table:
    """Return all rows as an Arrow table; ``pa`` is the module pyarrow."""
    expected = [arrow_type(pa, attribute) for attribute in decoder.attributes]
    direct = [
        [_arrow_directly(pa, decoder, batch, position, expected[position]) for batch in batches]
        for position in range(len(expected))
    ]
    wanted = [position for position, arrays in enumerate(direct) if any(array is None for array in arrays)]
    values = decoder.columns(batches, wanted)
    columns, fields = [], []
    for position, attribute in enumerate(decoder.attributes):
        arrays = direct[position]
        if position in wanted:
            arrays = [_arrow_of(pa, attribute, expected[position], values[attribute.name])]
        found = expected[position] or (arrays[0].type if arrays else pa.null())
        columns.append(pa.chunked_array(arrays, found))
        fields.append(pa.field(attribute.name, found, nullable=attribute.nullable))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def arrow_reader(
    pa: Any, decoder: Decoder, batches: Generator[Batch, None, None]
) -> pyarrow.RecordBatchReader:
    """Return a reader of the rows as Arrow batches, which come as they are asked for.

    What the heading does not tell, the type of an expression or of a codec's values, is that of the first batch.
    """
    types = [arrow_type(pa, attribute) for attribute in decoder.attributes]
    first = next(batches, None) if None in types else None
    if None in types:
        arrays = _arrow_batch(pa, decoder, first, types) if first is not None else []
        types = [array.type for array in arrays] or [t or pa.null() for t in types]
    schema = pa.schema(
        [pa.field(a.name, t, nullable=a.nullable) for a, t in zip(decoder.attributes, types, strict=True)]
    )

    def record_batches() -> Iterator[Any]:
        with closing(batches):
            for batch in itertools.chain([] if first is None else [first], batches):
                yield pa.record_batch(_arrow_batch(pa, decoder, batch, types), schema=schema)

    return pa.RecordBatchReader.from_batches(schema, record_batches())


def _arrow_batch(pa: Any, decoder: Decoder, batch: Batch, types: Sequence[Any]) -> list[Any]:
    arrays = [
        _arrow_directly(pa, decoder, batch, position, expected) for position, expected in enumerate(types)
    ]
    wanted = [position for position, array in enumerate(arrays) if array is None]
    values = decoder.values(batch, wanted) if wanted else []
    for position in wanted:
        arrays[position] = _arrow_of(pa, decoder.attributes[position], types[position], values[position])
    return arrays


def _arrow_directly(pa: Any, decoder: Decoder, batch: Batch, position: int, expected: Any) -> Any:
    """Return a column without making Python's values of it first; None if that cannot be."""
    column, attribute = batch.columns[position], decoder.attributes[position]
    if attribute.codec is None and attribute.column_type.kind in ("json", "uuid"):
        # Documents as their text, identifiers as their bytes: as they are stored.
        if expected == pa.string():
            return pa.array(column.values(), expected)
        return pa.ExtensionArray.from_storage(expected, pa.array(column.values(), expected.storage_type))
    if isinstance(column, ListColumn) or not decoder.is_plain(position):
        return None
    typed = column.typed()
    if typed is not None:
        array = pa.array(typed.values, mask=typed.is_empty)
        return array if expected is None or array.type == expected else array.cast(expected)
    text = column.text() if expected is None or expected == pa.string() else None
    if text is None or text.offsets[-1] >= 2**31:
        return None
    valid = None
    if text.is_empty is not None:
        valid = pa.py_buffer(np.packbits(~text.is_empty, bitorder="little").tobytes())
    buffers = [valid, pa.py_buffer(text.offsets.astype(np.int32)), pa.py_buffer(text.data)]
    return pa.Array.from_buffers(pa.string(), len(text.offsets) - 1, buffers)


def _arrow_of(pa: Any, attribute: Attribute, expected: Any, values: Sequence[Any]) -> Any:
    try:
        return pa.array(values, expected)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise QuerySyntaxError(
            f"Arrow has no type for the values of '{attribute.name}' ({attribute.type}): {error}."
            f" Name the attributes to fetch without it, or fetch it with to_dicts()."
        ) from error
