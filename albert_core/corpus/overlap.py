"""Find documents that share runs of words with evaluation data.

A model that was pretrained on a document with a question of a test set may know its answer. As in
the work on GPT-3, a common run of 13 words counts as an overlap, whatever its case, punctuation
and line breaks.
"""

import dataclasses
import functools
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from albert_core.corpus.evaluation_texts import read_evaluation_texts
from albert_core.errors import InputError
from albert_core.storage import open_file, write_file

# A word is a run of letters and digits; in scripts without spaces each character is one.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORDS = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

EvaluationSets = Mapping[str, Sequence[str]]


@dataclasses.dataclass(frozen=True)
class OverlapIndex:
    """The n-grams of evaluation data.

    Attributes:
        names: The evaluation sets.
        ngram: Words in an n-gram.
        hashes: uint64 [G], the n-grams of all sets, sorted.
        owners: int32 [G], the number of the set that each belongs to; the first of several.
        counts: For each set the number of its texts, the number of texts that are too short for an
            n-gram (which cannot be found), and the number of its n-grams.
    """

    names: tuple[str, ...]
    ngram: int
    hashes: np.ndarray
    owners: np.ndarray
    counts: Mapping[str, Mapping[str, int]]

    @classmethod
    def build(cls, sets: EvaluationSets, *, ngram: int) -> "OverlapIndex":
        """Read evaluation sets and hash their n-grams, case-folded and without punctuation.

        An n-gram of several sets is taken for the first one's. Texts of fewer words have none, and
        are counted.

        Args:
            sets: Files, folders or globs, by the name of each set.
            ngram: Words in an n-gram.

        Raises:
            InputError: A file is missing, not UTF-8, not what its ending says, or has no text; or
                no text of a set has an n-gram, so that no document could ever overlap with it.
            ServiceError: The storage of a file failed.
        """
        hashes, owners, counts = [np.zeros(0, np.uint64)], [np.zeros(0, np.int32)], {}
        for number, (name, patterns) in enumerate(sets.items()):
            texts = [text for pattern in patterns for text in read_evaluation_texts(pattern)]
            grams = [ngram_hashes(split_words([text]), ngram) for text in texts]
            set_hashes = np.unique(np.concatenate([np.zeros(0, np.uint64), *grams]))
            if not len(set_hashes):
                raise InputError(
                    f"cleaning.evaluation_sets.{name}: got {len(texts):,} texts, none of "
                    f"overlap_ngram {ngram} words, so that no document could share them; set "
                    "cleaning.overlap_ngram lower, or remove the set"
                )
            hashes.append(set_hashes)
            owners.append(np.full(len(set_hashes), number, np.int32))
            counts[name] = {
                "num_texts": len(texts),
                "num_texts_too_short": sum(not len(gram) for gram in grams),
                "num_ngrams": len(set_hashes),
            }
        unique, first = np.unique(np.concatenate(hashes), return_index=True)
        return cls(tuple(sets), ngram, unique, np.concatenate(owners)[first], counts)

    def find(self, sentences: Sequence[str]) -> tuple[str, str] | None:
        """Find n consecutive words that a document has of a set; return the set's name and them.

        The first such run in the document counts, and of several sets that have it the first; the
        words are as `split_words` makes them, joined by spaces. None if there is no such run.
        """
        if not len(self.hashes):
            return None
        words = split_words(sentences)
        grams = ngram_hashes(words, self.ngram)
        places = np.searchsorted(self.hashes, grams)
        places[places == len(self.hashes)] = 0
        matches = np.flatnonzero(self.hashes[places] == grams)
        if not len(matches):
            return None
        first = int(matches[0])
        shared = " ".join(words[first : first + self.ngram])
        return self.names[int(self.owners[places[first]])], shared

    def save(self, path: str, *, scratch: Path) -> None:
        """Write the index to a local path or a bucket, where it appears whole.

        It goes by way of a local file `scratch`, which is written over and stays.

        Raises:
            OSError: A local file cannot be written.
            InputError: The bucket cannot be written from here.
            ServiceError: The storage failed.
        """
        description = json.dumps([self.names, self.ngram, self.counts])
        with scratch.open("wb") as file:
            np.savez(file, hashes=self.hashes, owners=self.owners, described=description)
        write_file(path, scratch)

    @classmethod
    def load(cls, path: str) -> "OverlapIndex":
        """Read an index that `save` wrote.

        Raises:
            InputError: There is no such file.
            ServiceError: The storage failed.
        """
        with open_file(path) as file:
            arrays = np.load(file, allow_pickle=False)
            names, ngram, counts = json.loads(str(arrays["described"]))
            return cls(tuple(names), ngram, arrays["hashes"], arrays["owners"], counts)


def split_words(sentences: Sequence[str]) -> list[str]:
    """Return the words of a text, normalised by NFKC, case-folded and without punctuation.

    A word is a run of letters and digits; in scripts without spaces, such as Chinese and Thai, each
    character is one. Sentences are joined by a space.
    """
    text = " ".join(sentences)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _WORDS.findall(text.casefold())


def ngram_hashes(words: Sequence[str], ngram: int) -> np.ndarray:
    """Return the hashes uint64 [max(0, W - n + 1)] of all runs of n words, in their order.

    They are computed from a hash of each word, and depend on the order of the words in a run.
    """
    # 64 bits suffice: with a billion runs of words and ten million n-grams about one such corpus
    # in a thousand has an equal hash by chance.
    count = len(words) - ngram + 1
    if count < 1:
        return np.zeros(0, np.uint64)
    hashed = np.fromiter(map(_word_hash, words), np.uint64, len(words))
    grams = np.zeros(count, np.uint64)
    for place in range(ngram):
        grams = grams * _MULTIPLIER + hashed[place : place + count]
    return grams ^ (grams >> np.uint64(29))


@functools.lru_cache(maxsize=1 << 18)
def _word_hash(word: str) -> int:
    """Return a hash of 64 bits."""
    # Not Python's own hash, which differs from process to process.
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
