"""Samples of a corpus's sentences that do not depend on the sentences' order."""

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

SENTENCES_NAME = "sentences.txt"
_NUM_EXAMPLES = 200
_LONGEST_EXAMPLE = 1000


def sample_sentences(sentences: Iterable[str], *, max_bytes: int) -> list[str]:
    """Return the sentences with the smallest hashes that fit, sorted by hash.

    A sentence that is there several times counts each time.

    Args:
        sentences: The sentences of the corpus; read once, and no more is held than the sample.
        max_bytes: Largest size of the sample, in bytes of UTF-8.
    """
    # By hash, not by a reservoir: the sample then is the same whatever order the files are read
    # in. Equal sentences have equal hashes, so that they stay or go together, but for the last.
    sample: list[tuple[int, str]] = []  # a heap whose first entry has the largest hash
    num_bytes = 0
    for sentence in sentences:
        data = sentence.encode()
        negative_hash = -int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
        num_bytes += len(data)
        heapq.heappush(sample, (negative_hash, sentence))
        while num_bytes > max_bytes:
            num_bytes -= len(heapq.heappop(sample)[1].encode())
    sample.sort(reverse=True)
    return [sentence for _, sentence in sample]


def example_sentences(sample: Sequence[str]) -> list[str]:
    """Return the first 200 distinct sentences of a sample, each on one line; long ones are cut.

    Exports are proved with them later, on text that the model was made for.

    Args:
        sample: Sentences as `sample_sentences` returns them: the first ones are a random choice.
    """
    distinct: dict[str, None] = {}
    for sentence in sample:
        if folded := " ".join(sentence[:_LONGEST_EXAMPLE].split()):
            distinct[folded] = None
        if len(distinct) == _NUM_EXAMPLES:
            break
    return list(distinct)


def write_examples(sample: Sequence[str], folder: Path) -> None:
    """Write the `example_sentences` of a sample into sentences.txt in an existing folder."""
    text = "".join(f"{sentence}\n" for sentence in example_sentences(sample))
    (folder / SENTENCES_NAME).write_text(text, encoding="utf-8")


def drained(sample: list[str]) -> Iterator[str]:
    """Yield the sentences in order and remove each from the list, which is empty at the end.

    A trainer that makes its own copy then need not share the memory with this one.
    """
    sample.reverse()
    while sample:
        yield sample.pop()
