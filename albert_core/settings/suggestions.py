"""Known names that resemble one that is not known, for error messages."""

import difflib
from collections.abc import Iterable

_MOST = 3
_LEAST_SIMILARITY = 0.7


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Return the end of a message, `; did you mean x or y?`; empty if no known name is near.

    Args:
        name: What was given.
        known: What could have been given.
        prefix: Shown before each suggestion.
    """
    names = [f"{prefix}{candidate}" for candidate in nearest_names(name, known)]
    return f"; did you mean {' or '.join(names)}?" if names else ""


def nearest_names(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that a mistyped one may stand for, the nearest first, three at most.

    Names of settings have their sections before them, with dots. Known names that end in the same
    setting come first, since sections are what people forget; then names that are spelled nearly
    alike, with their sections and without. Empty if none is like it.
    """
    known = sorted(set(known))  # of a set, the same every time
    by_setting: dict[str, list[str]] = {}
    for candidate in known:
        by_setting.setdefault(_setting(candidate), []).append(candidate)
    if same := by_setting.get(_setting(name)):
        return sorted(same, key=lambda candidate: -_similarity(name, candidate))[:_MOST]
    if near := _matches(name, known):
        return near
    settings = _matches(_setting(name), by_setting)
    return [candidate for setting in settings for candidate in by_setting[setting]][:_MOST]


def _matches(name: str, known: Iterable[str]) -> list[str]:
    """Return the one known name that is spelled most nearly alike, in any case, in a list.

    Empty if none is similar.
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=_LEAST_SIMILARITY)
    return [by_lower[candidate] for candidate in near]


def _setting(name: str) -> str:
    """Return the last part of a dotted name."""
    return name.rpartition(".")[2]


def _similarity(name: str, other: str) -> float:
    return difflib.SequenceMatcher(None, name, other).ratio()
