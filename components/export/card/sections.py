"""The parts of a card: facts, tables and sections."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from components.number_formats import format_exact

Fact = tuple[str, str]
"""A label and a value."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CardTable:
    """A table of a card.

    Attributes:
        columns: Titles of the columns.
        rows: Cells as text, as many in each row as there are columns.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    @classmethod
    def from_values(cls, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> "CardTable":
        """Make a table of values as text, None as an empty cell; leave out columns of only None."""
        filled = [i for i in range(len(columns)) if any(row[i] is not None for row in rows)]
        return cls(
            columns=[columns[i] for i in filled],
            rows=[["" if row[i] is None else format_exact(row[i]) for i in filled] for row in rows],
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A section of a card.

    Attributes:
        title: Its heading.
        text: What people wrote for it: plain text, paragraphs with empty lines between them.
        notes: Explanations of the numbers in `facts` and `table`, shown before them.
        facts: Pairs of a label and a value.
        table: A table, shown last; None if there is none.
    """

    title: str
    text: str = ""
    notes: Sequence[str] = ()
    facts: Sequence[Fact] = ()
    table: CardTable | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show; notes alone do not count."""
        return not (self.text.strip() or self.facts or (self.table and self.table.rows))


def keep_known(*facts: tuple[str, Any]) -> list[Fact]:
    """Return facts with their values as text; leave out None, empty texts and empty lists.

    Zero and False are kept.
    """
    return [
        (label, format_exact(value))
        for label, value in facts
        if value is not None and value != "" and value != () and value != []
    ]
