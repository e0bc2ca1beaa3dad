"""Evaluate predicted tags of words: scores of words and entities, files of predictions.

Shape suffixes: W words of a sentence, C tags.
"""

import functools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from albert_core.files.atomic import write_json
from albert_core.finetuning.evaluator_interface import Evaluator, softmax
from albert_core.finetuning.token_features import SentenceWindow
from albert_core.tasks.metrics import CLASSIFICATION_NAME, Scores
from albert_core.tasks.source import Split
from albert_core.tasks.token_metrics import TagScores


class TokenEvaluator(Evaluator):
    """Evaluator of words with tags; reads `logits` [S, C] of each window over a sentence."""

    @functools.cached_property
    def probabilities(self) -> list[np.ndarray]:
        """The probability of each tag for each word, [W, C] for each sentence."""
        return word_probabilities(
            self.data.windows,
            self.outputs.get("logits", ()),
            [len(sentence.words) for sentence in self.data.examples],
        )

    @functools.cached_property
    def predicted(self) -> list[list[int]]:
        """The number of the likeliest tag of each word, for each sentence."""
        return [
            probabilities_WC.argmax(axis=-1).tolist() for probabilities_WC in self.probabilities
        ]

    @functools.cached_property
    def scores(self) -> TagScores:
        """The scores of the predictions; only if `is_scored`."""
        return TagScores(
            self.task, [sentence.tags for sentence in self.data.examples], self.predicted
        )

    @property
    def is_scored(self) -> bool:
        """Whether there are sentences and all of them have tags."""
        sentences = self.data.examples
        return bool(sentences) and all(sentence.tags is not None for sentence in sentences)

    def _metrics_on(self, rows: np.ndarray) -> Scores:
        return self.scores.metrics(rows)

    def write(self, folder: Path, split: Split) -> None:
        """Write a file in CoNLL's columns for each source of the split that has sentences.

        It is `predictions_{split}_{source}.conll`, or `predictions_{split}.conll` of a source
        without a name: a word a line with its right tag, where that is known, its predicted tag and
        the probability of that, between tabs, and an empty line after each sentence; tabs and line
        ends in a word become spaces. For the dev set, whose tags must be known, also
        `classification.json` with the scores of each type of entities, or of each tag.
        """
        if split == "dev":
            write_json(folder / CLASSIFICATION_NAME, self.scores.describe())
        for source in self.task.sources(split):
            rows = [i for i, name in enumerate(self.data.sources) if name == source.name]
            if rows:
                name = "_".join(filter(None, ("predictions", split, source.name)))
                lines = [line for row in rows for line in self._lines(row)]
                text = "\n".join(lines) + "\n"
                (folder / f"{name}.conll").write_text(text, encoding="utf-8")

    def _lines(self, row: int) -> list[str]:
        """Return the lines of a sentence in CoNLL's columns, the empty one after it included.

        A line has, between tabs, a word, its right tag where that is known, its predicted tag and
        the probability of that. Tabs and line ends in a word become spaces.
        """
        sentence, labels = self.data.examples[row], self.task.labels
        columns: list[Sequence[str]] = [[re.sub(r"[\t\r\n]", " ", word) for word in sentence.words]]
        if sentence.tags is not None:
            columns.append([labels[number] for number in sentence.tags])
        columns.append([labels[number] for number in self.predicted[row]])
        columns.append([f"{value:.6g}" for value in self.probabilities[row].max(axis=-1)])
        return ["\t".join(cells) for cells in zip(*columns, strict=True)] + [""]


def word_probabilities(
    windows: Sequence[SentenceWindow], logits: Sequence[np.ndarray], num_words: Sequence[int]
) -> list[np.ndarray]:
    """Return the probability of each tag for each word of sentences, [W, C] each.

    C is 0 without windows. Words that no window holds have zeros.

    Args:
        windows: The windows over the sentences, in which each word is once.
        logits: The model's output for each window in their order, [S, C]; S may differ.
        num_words: Number of words W of each sentence.
    """
    num_tags = logits[0].shape[-1] if len(logits) else 0
    probabilities = [np.zeros((count, num_tags)) for count in num_words]
    for window, logits_SC in zip(windows, logits, strict=True):
        words = slice(window.first_word, window.first_word + len(window.positions))
        shown = logits_SC[window.positions].astype(float)
        probabilities[window.sentence][words] = [softmax(row_C) for row_C in shown]
    return probabilities
