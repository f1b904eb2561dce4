"""What a codec offers to programs that publish tables to Spark: values of plain types.

Source: DataJoint 2.3, ``dj.SparkAdapter``.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

__all__ = ["SparkAdapter"]


@runtime_checkable
class SparkAdapter(Protocol):
    """A codec whose decoded values can be told in Spark's types.

    Nothing here calls it; a program that publishes tables asks ``isinstance(get_codec(name), SparkAdapter)``
    of each attribute.
    """

    def to_spark(self, decoded: Any, *, key: dict[str, Any] | None = None) -> Any:
        """Return a decoded value as bool, int, float, str, bytes, date, datetime, None, or lists and dicts of such."""
