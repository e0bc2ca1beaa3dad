"""Entities in sequences of tags, and their counts; as seqeval counts them.

Tags may follow IOB1, IOB2 or IOBES: `B-`, `I-`, `E-` or `S-` before the type, `O` outside of
entities. An entity ends where the next tag cannot go on with it, whatever a scheme allows, so that
any sequence of tags has its entities. These are the rules of conlleval, the default of seqeval.

Shape suffixes: M sentences, T types.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from albert_core.tasks.class_metrics import ClassCounts

OUTSIDE = "O"
_FIRST, _LAST = ("B", "S"), ("E", "S")  # of an entity
_PREFIXES = ("B", "I", "E", "S")
_UNTYPED = "_"  # what seqeval calls the type of a tag such as `B` alone


@dataclasses.dataclass(frozen=True)
class Entity:
    """A run of words that are an entity.

    Attributes:
        type: Its type.
        first: Number of its first word.
        last: Number of its last word.
    """

    type: str
    first: int
    last: int


def is_entity_tag(tag: str) -> bool:
    """Return whether a tag is `O`, or `B`, `I`, `E` or `S` alone or before `-` and a type."""
    prefix, separator, _ = tag.partition("-")
    return tag == OUTSIDE or (prefix in _PREFIXES and (bool(separator) or tag == prefix))


def entity_types(tags: Sequence[str]) -> tuple[str, ...]:
    """Return the types that are in entity tags, sorted, each once.

    A tag such as `B`, without a type, has the type `_`.
    """
    return tuple(sorted({_split(tag)[1] for tag in tags if tag != OUTSIDE}))


def find_entities(tags: Sequence[str]) -> Iterator[Entity]:
    """Yield the entities of a sentence in their order.

    The words are numbered from 0; the last word of an entity is inclusive.

    Args:
        tags: The tags of its words, all of them such that `is_entity_tag` holds (not checked).
    """
    first = 0
    before, kind_before = OUTSIDE, ""
    for number, tag in enumerate([*tags, OUTSIDE]):
        prefix, kind = _split(tag)
        goes_on = (
            before not in (OUTSIDE, *_LAST)
            and prefix not in (OUTSIDE, *_FIRST)
            and kind == kind_before
        )
        if goes_on:
            before = prefix
            continue
        if before != OUTSIDE:
            yield Entity(kind_before, first, number - 1)
        first, before, kind_before = number, prefix, kind


def _split(tag: str) -> tuple[str, str]:
    """Return the prefix of a tag, its first character, and its type, `_` where it has none."""
    return tag[0], tag[2:] or _UNTYPED


@dataclasses.dataclass(frozen=True)
class EntityCounts:
    """The entities of each sentence by their type: right, true and predicted, int [M, T].

    An entity is right if words and type are.

    Attributes:
        types: The types [T].
        right: Predicted entities that are true.
        true: Entities of the sentence.
        predicted: Predicted entities.
    """

    types: tuple[str, ...]
    right: np.ndarray
    true: np.ndarray
    predicted: np.ndarray

    def over(self, rows: np.ndarray) -> ClassCounts:
        """Return the counts [T] of some sentences together, by their numbers, which may repeat."""
        return ClassCounts(
            *(counts[rows].sum(axis=0) for counts in (self.right, self.true, self.predicted))
        )


def count_entities(
    targets: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    types: tuple[str, ...],
) -> EntityCounts:
    """Count the entities of each sentence by their type.

    Args:
        targets: The right tags of each sentence, all of them such that `is_entity_tag` holds.
        predicted: The predicted tags, as many sentences, and tags in each.
        types: All types that occur in either, see `entity_types`; of others it is a KeyError.
    """
    columns = {kind: number for number, kind in enumerate(types)}
    counts = np.zeros((3, len(targets), len(types)), int)
    for row, (true_tags, predicted_tags) in enumerate(zip(targets, predicted, strict=True)):
        true, claimed = set(find_entities(true_tags)), set(find_entities(predicted_tags))
        for array, entities in zip(counts, (true & claimed, true, claimed), strict=True):
            for entity in entities:
                array[row, columns[entity.type]] += 1
    return EntityCounts(types, *counts)
