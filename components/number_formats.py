"""How numbers are written for people: in the terminal's tables, the report and the model cards.

Every function takes the value as it is stored (fractions from 0 to 1, sizes in bytes, times in
seconds). Where the signature allows None, a value that is missing (None, nan or infinite) is
written as `NOTHING`.
"""

import math
from typing import Any

NOTHING = "–"

_MINUS = "−"  # as wide as a plus sign, unlike the hyphen


def format_percent(fraction: float | None) -> str:
    """Format a fraction as a percentage with one decimal, below 1% with three significant digits.

    `NOTHING` (a dash) for None, NaN and infinity.

    >>> format_percent(0.7831), format_percent(0.000213), format_percent(None)
    ('78.3%', '0.0213%', '–')
    """
    if fraction is None or not math.isfinite(fraction):
        return NOTHING
    percent = 100 * fraction
    return f"{percent:.3g}%" if 0 < abs(percent) < 1 else f"{percent:.1f}%"


def format_exact_percent(fraction: float) -> str:
    """Format a fraction as a percentage with all its significant digits, ten at most.

    >>> format_exact_percent(0.0123), format_exact_percent(0.15)
    ('1.23 %', '15 %')
    """
    return f"{100 * fraction:.10g} %"


def format_points(score: float | None) -> str:
    """Format a score or a correlation times 100 with one decimal, as GLUE publishes them.

    `NOTHING` (a dash) for None, NaN and infinity.

    >>> format_points(0.7834), format_points(-0.00001), format_points(None)
    ('78.3', '0.0', '–')
    """
    if score is None or not math.isfinite(score):
        return NOTHING
    return f"{_points(score):.1f}"


def format_gain(difference: float | None) -> str:
    """Format the difference of two scores times 100 with one decimal and its sign; zero has none.

    The sign of a loss is the minus sign U+2212, not the hyphen. `NOTHING` (a dash) for None, NaN
    and infinity.

    >>> format_gain(0.123), format_gain(-0.004), format_gain(0.0)
    ('+12.3', '−0.4', '0.0')
    """
    if difference is None or not math.isfinite(difference):
        return NOTHING
    points = _points(difference)
    return f"{points:+.1f}".replace("-", _MINUS) if points else "0.0"


def format_number(value: float | None, *, digits: int = 4) -> str:
    """Format a number for reading: integers in full, floats in a few significant digits.

    Args:
        value: The number. A float from 1,000 to below 1e9 is written in full without its fraction;
            None, NaN and infinity are a dash.
        digits: Significant digits of any other float.

    >>> format_number(1234567), format_number(12345.678), format_number(3.14159)
    ('1,234,567', '12,346', '3.142')
    >>> format_number(3.14159, digits=3), format_number(6.02e23)
    ('3.14', '6.02e+23')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    if isinstance(value, int) or 1000 <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def format_exact(value: Any) -> str:
    """Format a value without rounding it: numbers with all digits, lists and tuples with commas.

    Any other value is written as `str` has it.

    >>> format_exact(4096.0), format_exact(0.00176), format_exact(True)
    ('4,096', '0.00176', 'yes')
    >>> format_exact(["cola", 30000])
    'cola, 30,000'
    """
    if isinstance(value, list | tuple):
        return ", ".join(map(format_exact, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}".removesuffix(".0")
    return str(value)


def format_count(number: int, noun: str) -> str:
    """Format a number of things, with an s at the noun where there is not one of them.

    >>> format_count(1, "task"), format_count(1200, "step")
    ('1 task', '1,200 steps')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def format_loss(loss: float | None) -> str:
    """Format a loss with three decimals, so that a column of them lines up.

    `NOTHING` (a dash) for None, NaN and infinity.

    >>> format_loss(2.5), format_loss(None)
    ('2.500', '–')
    """
    return NOTHING if loss is None or not math.isfinite(loss) else f"{loss:.3f}"


def format_duration(seconds: float | None) -> str:
    """Format seconds as seconds below a minute, as minutes below an hour, else as hours.

    `NOTHING` for None, NaN and infinity.

    >>> format_duration(4.21), format_duration(192), format_duration(7500)
    ('4.2 s', '3 min 12 s', '2 h 05 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 59.95:  # what is rounded to 60.0 s belongs to the minutes
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes:02d} min"


def format_bytes(num_bytes: float) -> str:
    """Format a size in decimal units, as disks and buckets count; GB is the largest.

    >>> format_bytes(999), format_bytes(46_700_000), format_bytes(2.5e12)
    ('999 B', '46.7 MB', '2,500.0 GB')
    """
    if num_bytes < 1000:
        return f"{num_bytes:,.0f} B"
    for unit in ("kB", "MB"):
        num_bytes /= 1000
        if num_bytes < 1000:
            return f"{num_bytes:,.1f} {unit}"
    return f"{num_bytes / 1000:,.1f} GB"


def _points(score: float) -> float:
    """Return a score times 100 with one decimal, and zero without a sign."""
    return round(100 * score, 1) + 0.0  # -0.0 + 0.0 is 0.0


def format_metric(value: Any) -> str:
    """Format a metric of a step as a person would write it: only long floats are rounded.

    Long floats have more than six significant digits. They are rounded to four, below 0.001 to
    three; from 1,000 to below 1e9 they are written as whole numbers with commas. NaN is `NOTHING`
    (a dash). Anything else is written by `str`.

    >>> format_metric(1.0371208190917969e-05), format_metric(0.7834), format_metric(5e-05)
    ('1.04e-05', '0.7834', '5e-05')
    >>> format_metric(0.78341234), format_metric(400), format_metric("sst-2")
    ('0.7834', '400', 'sst-2')
    """
    if not isinstance(value, float) or float(f"{value:.6g}") == value:
        return str(value)
    return format_number(value, digits=3 if abs(value) < 1e-3 else 4)
