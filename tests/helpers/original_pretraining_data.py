"""The rules of the original's create_pretraining_data.py, draw by draw, as an oracle for tests.

It takes its draws from `random.Random` and numpy's legacy generator in the original's order, so
that it gives the recorded instances themselves, and on any other text what the original would.
"""

import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

CLS, SEP, MASK = "[CLS]", "[SEP]", "[MASK]"
OUTSIDE_WORDS = (CLS, SEP)


class Instance(NamedTuple):
    tokens: list[str]
    segment_ids: list[int]
    is_random_next: bool
    token_boundary: list[int]
    masked_lm_positions: list[int]
    masked_lm_labels: list[str]


@dataclasses.dataclass(kw_only=True)
class Original:
    vocabulary: Sequence[str]
    is_start: Callable[[str], bool]
    max_seq_length: int
    max_predictions_per_seq: int = 20
    dupe_factor: int = 1
    short_seq_prob: float = 0.1
    masked_lm_prob: float = 0.15
    ngram: int = 3
    favor_shorter_ngram: bool = True
    do_whole_word_mask: bool = True
    do_permutation: bool = False
    random_next_sentence: bool = False
    seed: int = 12345

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.numpy_rng = np.random.RandomState(self.seed)
        odds = 1.0 / np.arange(1, self.ngram + 1)
        odds /= odds.sum()
        self.odds = odds if self.favor_shorter_ngram else odds[::-1]

    def instances(self, documents: Sequence[Sequence[list[str]]]) -> list[Instance]:
        """Return the masked instances of documents of tokenized sentences."""
        made = [
            self._mask(first, second, is_random_next)
            for first, second, is_random_next in self.pairs(documents)
        ]
        self.rng.shuffle(made)
        return made

    def pairs(
        self, documents: Sequence[Sequence[list[str]]]
    ) -> Iterator[tuple[list[str], list[str], bool]]:
        """Yield segment pairs and their labels; masks are drawn in between."""
        shuffled = [document for document in documents if document]
        self.rng.shuffle(shuffled)
        for _ in range(self.dupe_factor):
            for index in range(len(shuffled)):
                yield from self._pairs_of(shuffled, index)

    def _pairs_of(
        self, documents: Sequence[Sequence[list[str]]], index: int
    ) -> Iterator[tuple[list[str], list[str], bool]]:
        document, limit = documents[index], self.max_seq_length - 3
        target = limit
        if self.rng.random() < self.short_seq_prob:
            target = self.rng.randint(2, limit)
        begin = 0
        while begin < len(document):
            end, length = begin, 0
            while end < len(document) and length < target:
                length += len(document[end])
                end += 1
            cut = begin + (self.rng.randint(1, end - begin - 1) if end - begin > 1 else 1)
            first = joined(document[begin:cut])
            is_lone = end - begin == 1
            if is_lone or (self.random_next_sentence and self.rng.random() < 0.5):
                second, label = self._random_segment(documents, index, target - len(first)), True
                end = cut
            else:
                second = joined(document[cut:end])
                label = not self.random_next_sentence and self.rng.random() < 0.5
                if label:
                    first, second = second, first
            self._truncate(first, second, limit)
            yield first, second, label
            begin = end

    def _random_segment(
        self, documents: Sequence[Sequence[list[str]]], index: int, length: int
    ) -> list[str]:
        for _ in range(10):
            other = self.rng.randint(0, len(documents) - 1)
            if other != index:
                break
        segment: list[str] = []
        for sentence in documents[other][self.rng.randint(0, len(documents[other]) - 1) :]:
            segment += sentence
            if len(segment) >= length:
                break
        return segment

    def _truncate(self, first: list[str], second: list[str], limit: int) -> None:
        while len(first) + len(second) > limit:
            longer = first if len(first) > len(second) else second
            del longer[0 if self.rng.random() < 0.5 else -1]

    def _mask(self, first: list[str], second: list[str], is_random_next: bool) -> Instance:
        tokens = [CLS, *first, SEP, *second, SEP]
        units: list[list[int]] = []
        for index, token in enumerate(tokens):
            if token in OUTSIDE_WORDS:
                continue
            if self.do_whole_word_mask and units and not self.is_start(token):
                units[-1].append(index)
            else:
                units.append([index])
        quota = max(1, round(len(tokens) * self.masked_lm_prob))
        quota = min(self.max_predictions_per_seq, quota)
        runs = [
            [joined(units[at : at + n]) for n in range(1, self.ngram + 1)]
            for at in range(len(units))
        ]
        self.rng.shuffle(runs)
        shown, labels = list(tokens), {}
        for index in self._take(runs, quota, set()):
            labels[index] = tokens[index]
            shown[index] = self._replacement(tokens[index])
        self.rng.shuffle(runs)
        if self.do_permutation:
            chosen = sorted(self._take(runs, quota, set(labels)))
            sources = list(chosen)
            self.rng.shuffle(sources)
            before = list(shown)
            for index, source in zip(chosen, sources, strict=True):
                shown[index], labels[index] = before[source], before[index]
        positions = sorted(labels)
        is_boundary = [token in OUTSIDE_WORDS or self.is_start(token) for token in tokens]
        return Instance(
            tokens=shown,
            segment_ids=[0] * (len(first) + 2) + [1] * (len(second) + 1),
            is_random_next=is_random_next,
            token_boundary=[int(value) for value in is_boundary],
            masked_lm_positions=positions,
            masked_lm_labels=[labels[position] for position in positions],
        )

    def _take(self, runs: list[list[list[int]]], quota: int, covered: set[int]) -> Iterator[int]:
        """Yield the pieces of runs that are free, until the quota is full.

        The caller draws for a piece before the next one is taken.
        """
        covered, count = set(covered), 0
        for lengths in runs:
            if count >= quota:
                break
            n = self.numpy_rng.choice(np.arange(1, self.ngram + 1), p=self.odds / self.odds.sum())
            while n > 1 and count + len(lengths[n - 1]) > quota:
                n -= 1
            run = lengths[n - 1]
            if count + len(run) > quota or not covered.isdisjoint(run):
                continue
            covered.update(run)
            count += len(run)
            yield from run

    def _replacement(self, token: str) -> str:
        if self.rng.random() < 0.8:
            return MASK
        if self.rng.random() < 0.5:
            return token
        return self.vocabulary[self.rng.randint(0, len(self.vocabulary) - 1)]


def joined(lists: Sequence[list]) -> list:
    return [item for own in lists for item in own]
