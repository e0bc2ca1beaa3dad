"""From a document's sentences to segment pairs, as sequences of piece ids.

Source: create_instances_from_document of the original's create_pretraining_data.py. Deviates from
the original: a chunk of one sentence is never paired with a random document (docs/deviations.md).
"""

import dataclasses
import hashlib
import random
from collections.abc import Iterator, Sequence

import numpy as np

NUM_SPECIAL_PIECES = 3  # [CLS] A [SEP] B [SEP]

Ids = list[int]


@dataclasses.dataclass(frozen=True)
class SegmentPair:
    """Two consecutive stretches of one document, in the order of the text, without specials."""

    first: Ids
    second: Ids


def document_key(sentences: Sequence[str]) -> bytes:
    """Return the 16-byte hash that keys every random draw made for a document."""
    return hashlib.blake2b("\n".join(sentences).encode(), digest_size=16).digest()


def document_random(key: bytes, *, seed: int, purpose: str) -> random.Random:
    """Return the generator of a document's draws for one purpose; the same on every runner."""
    digest = hashlib.blake2b(key, key=f"{seed}:{purpose}".encode(), digest_size=8)
    return random.Random(int.from_bytes(digest.digest(), "little"))


def segment_pairs(
    sentences: Sequence[Ids],
    *,
    sequence_length: int,
    short_sequence_probability: float,
    word_starts: np.ndarray,
    rng: random.Random,
) -> Iterator[SegmentPair]:
    """Cut a document into pairs of at most `sequence_length` pieces, special pieces included.

    Args:
        sentences: Piece ids of each sentence.
        sequence_length: Length S of the model's input, in pieces.
        short_sequence_probability: Chance that this document is cut for a shorter length.
        word_starts: Table [V]: whether a piece begins a word.
        rng: Source of this document's draws.
    """
    limit = sequence_length - NUM_SPECIAL_PIECES
    target = rng.randint(2, limit) if rng.random() < short_sequence_probability else limit
    for chunk in _chunks([ids for ids in sentences if ids], target):
        if len(chunk) == 1:
            pair = _split_sentence(chunk[0], word_starts, rng)
        else:
            cut = rng.randint(1, len(chunk) - 1)
            pair = SegmentPair(_joined(chunk[:cut]), _joined(chunk[cut:]))
        if pair:
            yield _truncated(pair, limit, rng)


def _chunks(sentences: Sequence[Ids], target: int) -> Iterator[list[Ids]]:
    """Group consecutive sentences until a group has `target` pieces; a lone last one joins."""
    chunks: list[list[Ids]] = []
    chunk: list[Ids] = []
    for ids in sentences:
        chunk.append(ids)
        if sum(map(len, chunk)) >= target:
            chunks.append(chunk)
            chunk = []
    if len(chunk) == 1 and chunks:
        chunks[-1] = [*chunks[-1], *chunk]
    elif chunk:
        chunks.append(chunk)
    return iter(chunks)


def _split_sentence(ids: Ids, word_starts: np.ndarray, rng: random.Random) -> SegmentPair | None:
    """Split one sentence at the word start nearest its middle; None for a single word.

    Of two equally near the coin decides, so that the lengths do not tell the order of the text.
    """
    starts = [index for index in range(1, len(ids)) if word_starts[ids[index]]]
    if not starts:
        return None
    nearest = min(abs(2 * index - len(ids)) for index in starts)
    cut = rng.choice([index for index in starts if abs(2 * index - len(ids)) == nearest])
    return SegmentPair(ids[:cut], ids[cut:])


def _joined(chunk: Sequence[Ids]) -> Ids:
    return [index for ids in chunk for index in ids]


def _truncated(pair: SegmentPair, limit: int, rng: random.Random) -> SegmentPair:
    """Drop pieces from front or back of the longer segment until both fit."""
    first, second = pair.first, pair.second
    excess = len(first) + len(second) - limit
    if excess <= 0:
        return pair
    drop_first, drop_second = _excess_of_each(len(first), len(second), excess, rng)
    return SegmentPair(_cut_ends(first, drop_first, rng), _cut_ends(second, drop_second, rng))


def _excess_of_each(first: int, second: int, excess: int, rng: random.Random) -> tuple[int, int]:
    """Return how many pieces each segment loses if the longer always does.

    Deviates from the original: on a tie the coin decides. There it is always the second, which is
    no harm where segments are swapped before; here they are swapped later, and lengths that knew
    the order of the text would give the swap away.
    """
    until_equal = min(excess, abs(first - second))
    drop_first, drop_second = (until_equal, 0) if first > second else (0, until_equal)
    rest = excess - until_equal
    odd = (rest % 2) * rng.randint(0, 1)
    return drop_first + rest // 2 + odd, drop_second + rest // 2 + (rest % 2) - odd


def _cut_ends(ids: Ids, num_dropped: int, rng: random.Random) -> Ids:
    front = rng.getrandbits(num_dropped).bit_count() if num_dropped else 0
    return ids[front : len(ids) - (num_dropped - front)]
