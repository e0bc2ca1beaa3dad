"""The data of a task as training and evaluation use it: features, and batches of them.

Shape suffixes: B batch, M examples, C classes or choices.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from albert_core.artifacts.manifest import code_version
from albert_core.files.atomic import hash_json
from albert_core.finetuning.batches import pad_answerability_inputs, pad_inputs
from albert_core.finetuning.cache import cached_features
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.features import Features, make_features
from albert_core.finetuning.question_features import (
    QuestionFeatures,
    Window,
    make_question_features,
    unaligned_error,
)
from albert_core.finetuning.token_features import (
    SentenceWindow,
    TokenFeatures,
    make_token_features,
    pad_tags,
)
from albert_core.model_function import ModelInputs
from albert_core.pooling import POOLINGS
from albert_core.tasks import (
    InvalidRows,
    Question,
    TaggedSentence,
    Task,
    read_examples,
    read_questions,
    read_sentences,
    task_fingerprint,
)
from albert_core.tasks.examples import spread_evenly
from albert_core.tasks.source import Split
from albert_core.tokenization import Tokenizer

TaskBatch = tuple[ModelInputs, Any]
"""Inputs and targets of a batch: an array [B] of targets, or several by name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskData:
    """A split of a task: its examples, and their sequences as the model reads them.

    Attributes:
        examples: Examples, questions or sentences, M, without invalid rows that were left out.
        features: Their sequences; a question may have several sequences or none, a sentence
            several.
        windows: The part of a question's context, or the words of a sentence with tags, that each
            sequence is for; empty for other tasks and for training sets.
        left_out: Number of rows that were left out, by cause.
    """

    examples: Sequence[Any]
    features: Features
    windows: Sequence[Any] = ()
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def sources(self) -> list[str]:
        """The name of each example's source [M]."""
        return [example.source for example in self.examples]


class TaskPreprocessor(abc.ABC):
    """A task with its settings and vocabulary: makes features and batches for it.

    Args:
        task: The task.
        config: Its settings.
        tokenizer: The vocabulary.
        feature_cache: Folder in which the features of training sets are kept; None keeps none.
    """

    def __init__(
        self,
        task: Task,
        config: FinetuningConfig,
        tokenizer: Tokenizer,
        feature_cache: Path | None = None,
    ) -> None:
        """Keep task, settings and vocabulary; nothing is read yet."""
        self.task, self.config, self.tokenizer = task, config, tokenizer
        self._feature_cache = feature_cache

    @abc.abstractmethod
    def read(self, folder: Path, split: Split, *, max_examples: int | None = None) -> TaskData:
        """Read a split and make its features, those of training files with targets.

        The first row that cannot be used is refused; but rows of training files are left out, and
        counted in `left_out`, where the settings say so (`FinetuningConfig.leaves_out`). All rows
        are read in any case. Features of the training set come from the cache if they are there,
        and are stored in it if not; those of other splits are made each time.

        Args:
            folder: Folder of the task's files.
            split: Which files.
            max_examples: Largest number of examples of dev or test files, spread evenly over the
                split; None: all. Must be None for training files, whose cached features are those
                of all (not checked).

        Raises:
            InputError: A file is missing or cannot be used, or has a row that cannot be used and is
                not left out; more rows are left out than used; or a training or dev set is empty.
                Test files may be missing: then there are no examples.
        """

    @abc.abstractmethod
    def batch(self, features: Features, indices: np.ndarray, length: int) -> TaskBatch:
        """Return inputs and targets of a batch for training.

        Args:
            features: All features, with targets.
            indices: Indices of the batch's examples [B].
            length: Length of the batch, no less than its longest sequence.
        """

    @abc.abstractmethod
    def feature_settings(self) -> dict[str, Any]:
        """Return the settings on which the features depend, for the key of the cache."""

    def inputs(self, features: Features, indices: np.ndarray, length: int) -> ModelInputs:
        """Return the inputs of a batch for prediction; arguments are those of `batch`."""
        return pad_inputs(features, indices, length)

    def _cached(self, folder: Path, make: Callable[[], Features]) -> Features:
        """Return the training set's features, from the cache if they are in it.

        If not, they are made and stored there; without a cache they are only made. Their key is a
        hash of task, files, vocabulary, settings and code.

        Args:
            folder: Folder of the task's files, which are hashed.
            make: Makes the features.
        """
        if self._feature_cache is None:
            return make()
        key = hash_json(
            {
                "task": task_fingerprint(self.task, folder),
                "vocabulary": self.tokenizer.content_hash(),
                "settings": self.feature_settings(),
                # Other code may make other features of the same files.
                "code": code_version(),
            }
        )
        return cached_features(self._feature_cache / key[:16], make, key=key)

    def _invalid_rows(self, split: Split) -> InvalidRows:
        """Return a new collector of unusable rows; only of training files it may leave rows out."""
        return InvalidRows.for_split(self.task, split, leaves_out=self.config.leaves_out(self.task))


class TextPreprocessor(TaskPreprocessor):
    """The data of classes, labels, scores and choices: a target for each example."""

    def read(self, folder: Path, split: Split, *, max_examples: int | None = None) -> TaskData:
        """Read a split and make its features, with the target `target` if all rows have labels.

        The first row that cannot be used is refused; only rows of training files may be left out
        and counted in `left_out`, where the settings say so. Only a training set uses the cache.

        Args:
            folder: Folder of the task's files.
            split: Which files.
            max_examples: Most examples of dev or test files, evenly spread over the split, all of
                which is read; None: all. Must be None for training files (not checked): their
                cached features are those of all.

        Raises:
            InputError: For the reasons of `TaskPreprocessor.read`.
        """
        invalid_rows = self._invalid_rows(split)
        examples = spread_evenly(
            read_examples(self.task, folder, split, invalid_rows=invalid_rows), max_examples
        )
        make = functools.partial(
            make_features,
            examples,
            self.tokenizer,
            self.config.sequence_length,
            max_choice_length=self.config.max_choice_length,
            are_apart=self._are_apart,
        )
        features = self._cached(folder, make) if split == "train" else make()
        return TaskData(examples=examples, features=features, left_out=dict(invalid_rows.counts))

    def feature_settings(self) -> dict[str, Any]:
        """Return the settings on which the features depend, for the key of the cache."""
        names = ("sequence_length", "max_choice_length", "bad_rows")
        return {name: getattr(self.config, name) for name in names} | {"are_apart": self._are_apart}

    @property
    def _are_apart(self) -> bool:
        """Whether the two texts of an example are encoded separately."""
        return POOLINGS[self.config.pooling_of(self.task)].encodes_apart

    def batch(self, features: Features, indices: np.ndarray, length: int) -> TaskBatch:
        """Return the padded inputs and the targets of some examples: [B], of multi-label [B, C]."""
        return pad_inputs(features, indices, length), features.targets["target"][indices]


class QuestionPreprocessor(TaskPreprocessor):
    """Questions about texts that a head for spans answers: those of SQuAD 1.1.

    For questions that may have no answer this class only reads and predicts; it does not train.
    """

    def read(self, folder: Path, split: Split, *, max_examples: int | None = None) -> TaskData:
        """Read a split and make its features, with targets for training files.

        Training files give no `windows`, other files no targets. A question whose context cannot be
        aligned with its tokens stays among the examples, has no features and counts in `left_out`.
        Arguments are those of `TaskPreprocessor.read`.

        Raises:
            InputError: For the reasons of `TaskPreprocessor.read`; or a question leaves no room for
                its context, or no context of the split can be aligned.
        """
        invalid_rows = self._invalid_rows(split)
        questions = spread_evenly(
            read_questions(self.task, folder, split, invalid_rows=invalid_rows), max_examples
        )
        windows: Sequence[Window] = ()
        if split == "train":
            features = self._cached(
                folder, lambda: self._encode(questions, with_answers=True).features
            )
        else:
            encoded = self._encode(questions, with_answers=False)
            features, windows = encoded.features, encoded.windows
        if questions and not len(features.lengths):
            # Batches would be looked for in vain, for ever.
            raise unaligned_error(self.task, split, len(questions))
        left_out = dict(invalid_rows.counts)
        if features.num_left_out:
            left_out["context unlike its pieces"] = features.num_left_out
        return TaskData(examples=questions, features=features, windows=windows, left_out=left_out)

    def _encode(self, questions: Sequence[Question], *, with_answers: bool) -> QuestionFeatures:
        """Return the windows of questions as sequences, by the task's settings."""
        return make_question_features(
            questions,
            self.tokenizer,
            sequence_length=self.config.sequence_length,
            doc_stride=self.config.questions.doc_stride,
            max_query_length=self.config.questions.max_query_length,
            with_answers=with_answers,
        )

    def feature_settings(self) -> dict[str, Any]:
        """Return the settings on which the features depend, for the key of the cache."""
        return {
            "sequence_length": self.config.sequence_length,
            "bad_rows": self.config.bad_rows,
            "questions": dataclasses.asdict(self.config.questions),
        }

    def batch(self, features: Features, indices: np.ndarray, length: int) -> TaskBatch:
        """Return inputs, and all targets by name [B].

        The targets are `start_positions`, `end_positions` and `is_impossible`.
        """
        targets = {name: array[indices] for name, array in features.targets.items()}
        return self.inputs(features, indices, length), targets


class AnswerabilityPreprocessor(QuestionPreprocessor):
    """Questions about texts that may have no answer, as in SQuAD 2.0."""

    def inputs(self, features: Features, indices: np.ndarray, length: int) -> ModelInputs:
        """Return the inputs of a batch for prediction: those of other questions, and `p_mask`.

        `p_mask` [B, length] is 1 where no answer can start or end, else 0.
        """
        return pad_answerability_inputs(features, indices, length)

    def batch(self, features: Features, indices: np.ndarray, length: int) -> TaskBatch:
        """Return inputs for training, and all targets by name [B].

        The inputs have `p_mask`, and the true `start_positions`, for which the head scores ends.
        """
        inputs, targets = super().batch(features, indices, length)
        return {**inputs, "start_positions": targets["start_positions"]}, targets


class TokenPreprocessor(TaskPreprocessor):
    """Sentences whose words have tags."""

    def read(self, folder: Path, split: Split, *, max_examples: int | None = None) -> TaskData:
        """Read a split and make its features, with targets if all sentences have tags.

        Training files give no `windows`. In `left_out` are, beside sentences of training files that
        are left out, the tokens that are cut off words longer than a sequence. Arguments are those
        of `TaskPreprocessor.read`.

        Raises:
            InputError: For the reasons of `TaskPreprocessor.read`.
        """
        invalid_rows = self._invalid_rows(split)
        sentences = spread_evenly(
            read_sentences(self.task, folder, split, invalid_rows=invalid_rows), max_examples
        )
        windows: Sequence[SentenceWindow] = ()
        if split == "train":
            features = self._cached(folder, lambda: self._encode(sentences).features)
        else:
            encoded = self._encode(sentences)
            features, windows = encoded.features, encoded.windows
        left_out = dict(invalid_rows.counts)
        if features.num_left_out:
            left_out["tokens of words longer than a sequence"] = features.num_left_out
        return TaskData(examples=sentences, features=features, windows=windows, left_out=left_out)

    def _encode(self, sentences: Sequence[TaggedSentence]) -> TokenFeatures:
        """Return the sequences of sentences, by the task's settings."""
        return make_token_features(sentences, self.tokenizer, self.config.sequence_length)

    def feature_settings(self) -> dict[str, Any]:
        """Return the settings on which the features depend, for the key of the cache."""
        names = ("sequence_length", "bad_rows")
        return {name: getattr(self.config, name) for name in names}

    def batch(self, features: Features, indices: np.ndarray, length: int) -> TaskBatch:
        """Return inputs and the tags of the tokens [B, S], below 0 for those without one."""
        return pad_inputs(features, indices, length), pad_tags(features, indices, length)


def make_preprocessor(
    task: Task,
    config: FinetuningConfig,
    tokenizer: Tokenizer,
    feature_cache: Path | None = None,
    *,
    reads_answer_mask: bool = True,
) -> TaskPreprocessor:
    """Return a preprocessor for the kind of a task.

    Args:
        task: As in `TaskPreprocessor`, like the next three arguments.
        config: Its settings.
        tokenizer: The vocabulary.
        feature_cache: Folder of features.
        reads_answer_mask: For questions that may have no answer, whether the model has the head of
            SQuAD 2.0, which reads `p_mask`; otherwise its head only scores spans.
    """
    cls: type[TaskPreprocessor] = TextPreprocessor
    if task.kind == "token_classification":
        cls = TokenPreprocessor
    if task.kind == "question_answering":
        is_beam = task.has_unanswerable and reads_answer_mask
        cls = AnswerabilityPreprocessor if is_beam else QuestionPreprocessor
    return cls(task, config, tokenizer, feature_cache)
