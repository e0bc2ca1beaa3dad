"""A sample of a corpus's sentences that is the same whatever order they come in."""

import hashlib
import heapq
from collections.abc import Iterable


def sample_sentences(sentences: Iterable[str], *, max_bytes: int) -> list[str]:
    """Return the sentences of the smallest hashes, as many as fit, in the order of their hashes.

    A repeated sentence is sampled with all its repetitions or not at all, but for the last one.

    Args:
        sentences: Those of the corpus; read once, in the memory of the sample.
        max_bytes: Largest size of the sample, in bytes of UTF-8.
    """
    kept: list[tuple[int, str]] = []  # a heap, the largest hash first
    size = 0
    for sentence in sentences:
        data = sentence.encode()
        order = -int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
        size += len(data)
        heapq.heappush(kept, (order, sentence))
        while size > max_bytes:
            size -= len(heapq.heappop(kept)[1].encode())
    return [sentence for _, sentence in sorted(kept, reverse=True)]
