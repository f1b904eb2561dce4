"""Arrays of numbers in the files that people have: ``.npy``, ``.mat``, and text."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np

from dj_panel.apps.typed import Custom, plain_number
from dj_panel.core.words import say

__all__ = ["read_array"]

MAX_TEXT_BYTES = 20_000_000
_COMMA = Custom(decimal_comma=True)
_WITH_COMMA = re.compile(r"[+-]?\d[\d.]*(,\d+)?([eE][+-]?\d+)?")


def read_array(path: Path, *, decimal_comma: bool = False) -> np.ndarray[Any, Any]:
    """Return the array of a ``.npy`` file, the only one of a ``.mat`` file, or the numbers of a text file.

    The first line of a text file may hold names. Values stand apart by commas, semicolons, tabs or blanks.

    Parameters
    ----------
    path
        The file.
    decimal_comma
        Whether ``1,5`` is one and a half, as far as it cannot be two numbers.

    Raises
    ------
    ValueError
        With the reason as a clause.
    """
    if path.suffix.lower() == ".npy":
        return _read_npy(path)
    if path.suffix.lower() == ".mat":
        return _read_mat(path)
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise ValueError(
            say(
                "is larger than {value} MB, the most for text; save it as .npy",
                value=f"{MAX_TEXT_BYTES / 1000000.0:g}",
            )
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(say("is neither a .npy file nor text")) from error
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise ValueError(say("is empty"))
    sample = lines[min(1, len(lines) - 1)]
    delimiter = next((mark for mark in (";", "\t", ",") if mark in sample), None)
    if decimal_comma:
        lines, delimiter = _with_points(lines, delimiter)
    elif delimiter in (";", "\t") and "," in sample:
        raise ValueError(say("has decimal commas; write the decimal point as '.'"))
    if _numbers(lines[0], delimiter) is None:
        lines = lines[1:]
    try:
        array = np.loadtxt(lines, delimiter=delimiter, comments=None, dtype=np.float64, ndmin=1)
    except ValueError as error:
        bad = next((n for n, line in enumerate(lines, 1) if _numbers(line, delimiter) is None), None)
        raise ValueError(
            say("does not hold a table of numbers (line {n} of numbers)", n=bad)
            if bad
            else say("does not hold a table of numbers")
        ) from error
    if array.size == 0:
        raise ValueError(say("holds no numbers"))
    return array


def _with_points(lines: list[str], delimiter: str | None) -> tuple[list[str], str | None]:
    """Return lines in which decimal commas are points, and what stands between their numbers."""
    rows = lines[1:] or lines
    if not any("," in line for line in rows):
        return lines, delimiter
    if delimiter == ",":
        as_columns = all(_numbers(line, ",") is not None for line in rows)
        as_decimals = all(_WITH_COMMA.fullmatch(cell) for line in rows for cell in line.split())
        if as_columns and as_decimals:
            example = next(cell for line in rows for cell in line.split() if "," in cell)
            raise ValueError(
                say(
                    "holds {example}, which could be two numbers or one with a decimal comma; put semicolons or"
                    " tabs between numbers, or write decimal points",
                    example=example,
                )
            )
        if not as_decimals:
            return lines, delimiter
        delimiter = None
    return [_line_with_points(line, delimiter) for line in lines], delimiter


def _line_with_points(line: str, delimiter: str | None) -> str:
    if "." not in line:
        return line.replace(",", ".")
    cells = line.split(delimiter)
    if not all(_WITH_COMMA.fullmatch(cell.strip()) for cell in cells):
        return line
    try:
        return (delimiter or " ").join(plain_number(cell.strip(), _COMMA) for cell in cells)
    except ValueError as error:
        shown = next(cell for cell in cells if _refused(cell.strip()))
        raise ValueError(say("holds {text}, which {reason}", text=shown.strip(), reason=error)) from error


def _refused(text: str) -> bool:
    try:
        plain_number(text, _COMMA)
    except ValueError:
        return True
    return False


def _read_npy(path: Path) -> np.ndarray[Any, Any]:
    try:
        mapped = np.load(path, allow_pickle=False, mmap_mode="r")
    except (ValueError, OSError, EOFError) as error:
        reason = any(word in str(error) for word in ("Python objects", "Object arrays", "pickle"))
        raise ValueError(
            say("holds Python objects, which are not taken from a browser")
            if reason
            else say("is not a complete .npy file")
        ) from error
    if not isinstance(mapped, np.ndarray):
        raise ValueError(say("is not a .npy file"))
    return np.array(mapped)


def _read_mat(path: Path) -> np.ndarray[Any, Any]:
    """Return the only array of numbers in a file of MATLAB's, up to version 7; nothing in it is executed."""
    try:
        from scipy.io import loadmat  # noqa: PLC0415 - optional, and slow to import
    except ImportError as error:
        raise ValueError(
            say("is a file of MATLAB's, and scipy, which reads them, is not installed; save it as .npy")
        ) from error
    try:
        found = loadmat(path)
    except NotImplementedError as error:
        raise ValueError(say("is a file of MATLAB 7.3, which is not read here; save it with -v7")) from error
    except Exception as error:  # a damaged file makes scipy raise errors of many types
        raise ValueError(say("is not a complete file of MATLAB's")) from error
    arrays = {name: a for name, a in found.items() if isinstance(a, np.ndarray) and a.dtype.kind in "biufc"}
    if len(arrays) != 1:
        names = ", ".join(sorted(arrays)[:5]) or say("none")
        raise ValueError(
            say("must hold one array of numbers, and holds {n} ({names})", n=len(arrays), names=names)
        )
    return np.asarray(next(iter(arrays.values())))


def _numbers(line: str, delimiter: str | None) -> list[float] | None:
    cells = next(csv.reader([line], delimiter=delimiter)) if delimiter else line.split()
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return None
