"""Curves of a training's log, thinned for drawing so that a page stays small."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

MAX_POINTS = 400

Row = Mapping[str, Any]


def thin_rows(
    rows: Sequence[Row], keys: Sequence[str], *, max_points: int = MAX_POINTS
) -> list[dict[str, Any]]:
    """Return at most `max_points` rows with only the step and some columns, in order.

    First and last row stay. From each part of the curve in between, the rows with the smallest and
    the largest value of each column are kept, so that no peak of the whole curve is lost.

    Args:
        rows: Rows with `global_step`.
        keys: Columns to keep, where a row has them.
        max_points: Largest number of rows; with k columns at least 2 k + 2 (not checked).
    """
    row_numbers = [0, len(rows) - 1] if rows else []
    if len(rows) <= max_points:
        chosen = list(range(len(rows)))
    else:
        num_parts = (max_points - 2) // (2 * len(keys))
        bounds = [1 + part * (len(rows) - 2) // num_parts for part in range(num_parts + 1)]
        for begin, end in itertools.pairwise(bounds):
            for key in keys:
                row_numbers += _extremes(rows, key, range(begin, end))
        chosen = sorted(set(row_numbers))
    names = ("global_step", *keys)
    return [{name: rows[n][name] for name in names if name in rows[n]} for n in chosen]


def _extremes(rows: Sequence[Row], key: str, part: range) -> list[int]:
    """Return the numbers of the rows with a column's smallest and largest finite value, if any.

    Only the rows with the numbers `part` are looked at; of equal values the first counts. Both
    numbers may be the same.
    """
    known = [n for n in part if rows[n].get(key) is not None and math.isfinite(rows[n][key])]
    if not known:
        return []
    return [min(known, key=lambda n: rows[n][key]), max(known, key=lambda n: rows[n][key])]
