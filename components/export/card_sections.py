"""The parts of a card: facts, tables, and how values are written."""

import dataclasses
from collections.abc import Sequence
from typing import Any

Fact = tuple[str, str]
"""A label and a value."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A table of text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    @classmethod
    def of(cls, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> "Table":
        """Write values as text, and leave out the columns that have none."""
        filled = [i for i in range(len(columns)) if any(row[i] is not None for row in rows)]
        return cls(
            columns=[columns[i] for i in filled],
            rows=[["" if row[i] is None else exact(row[i]) for i in filled] for row in rows],
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A section of a card.

    Attributes:
        title: Its heading.
        text: What people wrote for it: plain text, paragraphs with empty lines between them.
        notes: What the numbers below mean.
        facts: Single facts.
        table: A table.
    """

    title: str
    text: str = ""
    notes: Sequence[str] = ()
    facts: Sequence[Fact] = ()
    table: Table | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.text.strip() or self.facts or (self.table and self.table.rows))


def present(*facts: tuple[str, Any]) -> list[Fact]:
    """Return the facts that are known, written as text: no None, nothing empty."""
    return [
        (label, exact(value))
        for label, value in facts
        if value is not None and value != "" and value != () and value != []
    ]


def exact(value: Any) -> str:
    """Write a value as it is: numbers with all their digits and commas, lists with commas."""
    if isinstance(value, list | tuple):
        return ", ".join(map(exact, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}".removesuffix(".0")
    return str(value)


def rounded(value: float) -> str:
    """Write what was computed here from other figures, in three digits."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def share(value: float) -> str:
    """Write a share in percent, without rounding: 0.0123 as 1.23 %."""
    return f"{100 * value:.10g} %"
