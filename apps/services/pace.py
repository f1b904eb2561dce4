"""How fast a table is being computed, judged from what has been seen of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

__all__ = ["FEWEST_SAMPLES", "Estimate", "Pace"]

FEWEST_SAMPLES = 10
"""With fewer keys seen to be finished, nothing is said about the rest."""

_N_REMEMBERED = 240


@dataclass(frozen=True)
class Estimate:
    """How fast it goes, and how long the rest may take.

    Parameters
    ----------
    per_minute
        Keys finished per minute.
    shortest_s, longest_s
        The range of the time that is left, in seconds.
    """

    per_minute: float
    shortest_s: float
    longest_s: float


class Pace:
    """The numbers of finished keys at the moments when they were seen to change.

    Examples
    --------
    >>> pace = Pace()
    >>> for second in range(12):
    ...     pace.observe(at_s=second, n_done=second)
    >>> estimate = pace.estimate(n_left=30)
    >>> estimate.per_minute, estimate.shortest_s < 30 < estimate.longest_s
    (60.0, True)
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=_N_REMEMBERED)

    @property
    def n_samples(self) -> int:
        """How many keys were seen to be finished."""
        return self._seen[-1][1] - self._seen[0][1] if self._seen else 0

    @property
    def last_seen_s(self) -> float:
        """The moment at which the number last changed; 0 if nothing was seen."""
        return self._seen[-1][0] if self._seen else 0.0

    def observe(self, *, at_s: float, n_done: int) -> None:
        """Take note of how many keys are finished at a moment; what is older than the last is ignored."""
        if self._seen:
            last_s, last_done = self._seen[-1]
            if at_s <= last_s or n_done == last_done:
                return
            if n_done < last_done:  # rows were deleted
                self._seen.clear()
        self._seen.append((at_s, n_done))

    def forget(self) -> None:
        """Begin anew, because nobody computes any more."""
        self._seen.clear()

    def estimate(self, *, n_left: int) -> Estimate | None:
        """Return the pace and the range of the time that is left, or None if too little has been seen.

        The range is that of a count of `n_samples` independent events at about 80 %, and a tenth more for
        what is not by chance.
        """
        n = self.n_samples
        if n < FEWEST_SAMPLES:
            return None
        elapsed_s = self._seen[-1][0] - self._seen[0][0]
        per_second = n / elapsed_s
        margin = 0.1 + 1.3 / n**0.5
        return Estimate(
            60 * per_second,
            n_left / (per_second * (1 + margin)),
            n_left / (per_second * max(1 - margin, 0.2)),
        )
