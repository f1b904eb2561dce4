"""Written digits → numbers, of all cells of a column at once.

Eight letters are taken as one whole number of 64 bits, in which three multiplications add up all of its digits; of
the ways that are known for this, it is the one that numpy can do for many cells in few steps.

Sources: a decimal as a quotient of two numbers that are exact, Clinger 1990, "How to read floating point numbers
accurately"; the part of a product that its rounding cuts off, Dekker 1971, "A floating-point technique for extending
the available precision".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dj_panel.core.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.uint64]
    Positions = NDArray[np.int64]

__all__ = ["Letters", "decimals", "whole_numbers"]

_N_LETTERS = 8  # of one number of 64 bits
_MOST_DIGITS = 19  # any number with as many is below 2**64
_N_AROUND = 32  # enough for all that may be read before the first cell, and of an absent one after the last


class Letters:
    """Bytes of which any eight neighbours can be had as one number, for many places at once."""

    def __init__(self, data: bytes) -> None:
        padded = bytes(_N_AROUND) + data + bytes(_N_AROUND)
        n_places = len(padded) - _N_LETTERS + 1
        self._words = np.ndarray((n_places,), "<u8", padded, strides=(1,))

    def after(self, positions: Positions) -> Numbers:
        """Return the eight bytes from each position on, the first of them as the lowest."""
        found: Numbers = self._words[positions + _N_AROUND]
        return found

    def before(self, positions: Positions) -> Numbers:
        """Return the eight bytes before each position, the last of them as the highest."""
        found: Numbers = self._words[positions + (_N_AROUND - _N_LETTERS)]
        return found


def whole_numbers(letters: Letters, ends: Positions, n_digits: Positions) -> tuple[Numbers, Numbers]:
    """Return the whole numbers that the last digits before some places write.

    Parameters
    ----------
    letters
        The bytes that they are written in.
    ends, n_digits
        Where each ends, and how many digits it has: 24 at the most, and 0 for the number 0.

    Returns
    -------
    Numbers, Numbers
        The numbers, to the lowest 64 bits, and which bits are set in any of the eight letters at the same place of
        a word, by which a caller sees letters that are no digits.
    """
    n_words = -(-int(n_digits.max(initial=1)) // _N_LETTERS)
    n_after = np.arange(n_words)[::-1, None] * _N_LETTERS  # digits after each word, ``(n_words, 1)``
    # What stands before the digits goes: it is in the lower bytes.
    n_bits = ((_N_LETTERS - np.clip(n_digits - n_after, 0, _N_LETTERS)) * 8).astype(np.uint64)
    words = (letters.before(ends - n_after) >> n_bits) << n_bits
    marks = np.bitwise_or.reduce(words)
    words &= np.uint64(0x0F0F0F0F0F0F0F0F)
    words = (words * np.uint64(10) + (words >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    words = (words * np.uint64(100) + (words >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    words = (words * np.uint64(10_000) + (words >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
    numbers: Numbers = words[0]
    for word in words[1:]:
        numbers = numbers * np.uint64(10**_N_LETTERS) + word
    return numbers, marks


def decimals(
    letters: Letters, starts: Positions, lengths: Positions
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the numbers that cells such as ``-12.5`` write, each rounded as ``float`` rounds it.

    Parameters
    ----------
    letters
        The bytes that they are written in.
    starts, lengths
        Where each begins, and how many letters it has.

    Returns
    -------
    NDArray[np.float64], NDArray[np.bool_]
        The numbers, and which of them are to be read in another way: those with an exponent, or with more than 8 digits
        before the point or 19 in all.
    """
    first = letters.after(starts)
    is_negative = (first & np.uint64(0xFF)) == ord("-")
    place = _first_point(first)
    point = np.minimum(place, lengths)
    n_before, n_after = point - is_negative, np.maximum(lengths - point - 1, 0)
    is_other = ((place == _N_LETTERS) & (lengths > _N_LETTERS)) | (n_before + n_after > _MOST_DIGITS)
    n_after[is_other] = 0
    before, marks_before = whole_numbers(letters, starts + point, n_before)
    after, marks_after = whole_numbers(letters, starts + lengths, n_after)
    # Of the letters of a number, only that of the exponent has this bit; no other sign comes without it.
    is_other |= ((marks_before | marks_after) & np.uint64(0x4040404040404040)) != 0
    tens = 10 ** np.arange(_MOST_DIGITS + 1, dtype=np.uint64)
    found = _quotients(before * tens[n_after] + after, tens.astype(np.float64)[n_after])
    return np.where(is_negative, -found, found), is_other


def _first_point(words: Numbers) -> Positions:
    """Return at which of the eight letters there is the first point, or 8."""
    others = words ^ np.uint64(0x2E2E2E2E2E2E2E2E)
    # The highest bit of each byte that is 0, and of some above the first of them.
    zeros = (others - np.uint64(0x0101010101010101)) & ~others & np.uint64(0x8080808080808080)
    below = (zeros & (~zeros + np.uint64(1))) - np.uint64(1)  # as many bits as stand below the first one
    found: Positions = np.bitwise_count(below).astype(np.int64) // 8
    return found


def _quotients(numbers: Numbers, divisors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return quotients, rounded once.

    The correction is wrong by less than 1e-15 of the distance of two neighbours. A decimal of 19 digits, 8 of them
    before the point, is never in the middle of two, nor nearer to it than 5**-18 of half their distance, 1e-13: so it
    is not rounded to the wrong side.
    """
    high = numbers.astype(np.float64)
    low = (numbers - high.astype(np.uint64)).astype(np.int64)
    quotients = high / divisors
    products, cut = _product(quotients, divisors)
    corrected: NDArray[np.float64] = quotients + ((high - products) - cut + low) / divisors
    return corrected


def _product(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a product and what its rounding has cut off."""
    splitter = 2.0**27 + 1  # each factor as the sum of two numbers of 26 bits
    a_high, b_high = a * splitter, b * splitter
    a_high, b_high = a_high - (a_high - a), b_high - (b_high - b)
    a_low, b_low = a - a_high, b - b_high
    product = a * b
    cut = a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
    return product, cut
