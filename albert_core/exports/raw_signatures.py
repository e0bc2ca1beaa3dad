"""Signatures of a SavedModel that take strings, one for each kind of task.

Shape suffixes: B texts, C classes or choices, W windows, S sequence.
"""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from albert_core.checkpoints.checkpoint import Checkpoint
from albert_core.errors import InputError
from albert_core.exports.code_points import differs_from_next
from albert_core.exports.raw_inputs import (
    apart_inputs,
    choice_inputs,
    graph_answer_mask,
    text_inputs,
    window_inputs,
)
from albert_core.exports.raw_text import GraphTokenizer
from albert_core.finetuning.config import FinetuningConfig
from albert_core.pooling import POOLINGS
from albert_core.settings import parse_settings
from albert_core.tokenization import Tokenizer
from albert_core.training.safeguards import without_unused_safeguards

Run = Callable[..., dict[str, Any]]
"""The model: inputs and outputs by the names of `ModelInputs` and `ModelOutputs`."""

_BLANK = "_"
_TEXTS_B = tf.TensorSpec([None], tf.string)
_TEXTS_BC = tf.TensorSpec([None, None], tf.string)


class RawSignatures:
    """The signature on strings of a fine-tuned model; each method says what it returns.

    Args:
        checkpoint: The model, with the head of a task; not checked.
        tokenizer: Its vocabulary.
        run: The model as a function of the same graph, from ids to outputs.

    Attributes:
        tokenizer: The vocabulary in the graph.

    Raises:
        InputError: The settings of fine-tuning do not fit the model, or the vocabulary has no
            operation in a graph.
    """

    def __init__(self, checkpoint: Checkpoint, tokenizer: Tokenizer, run: Run) -> None:
        """Read task, settings and heads of the checkpoint, and make its tokenizer for the graph.

        Offsets are prepared only for questions, which are the models without a classifier.

        Raises:
            InputError: The settings of fine-tuning do not fit the model, or the vocabulary has no
                operation in a graph.
        """
        self._run = run
        self._task = dict(checkpoint.task or {})
        self._config = get_finetuning_config(checkpoint)
        self._special_ids = tokenizer.special_ids
        self._num_outputs = checkpoint.num_labels
        self._labels = checkpoint.label_names
        self._is_multi_label = checkpoint.is_multi_label
        self._is_beam = "span_beam" in checkpoint.heads
        self._is_multiple_choice = checkpoint.is_multiple_choice
        self._are_apart = POOLINGS[checkpoint.pooling].encodes_apart
        self.tokenizer = GraphTokenizer(tokenizer, with_offsets=not self._num_outputs)

    def function(self) -> Any:
        """Return the concrete function for the task, with the inputs that the task has.

        These are strings: `question`, `context` [B] without a classifier; `text` [B] and `choices`
        [B, C] of multiple choice, with `question` [B] in RACE; else `text` [B], with `text_b` [B]
        if an example has two texts.

        It returns a dict. With a classifier it has `logits` and `probabilities` [B, C], and for
        classes with names `label` [B], for labels that may apply together `labels` [B, C]; for a
        regression `scores` [B] alone. For questions it has the model's outputs for each window over
        a context, and what the window holds.
        """
        if not self._num_outputs:
            return concrete_function(self._answer, question=_TEXTS_B, context=_TEXTS_B)
        if self._is_multiple_choice:
            texts = {"text": _TEXTS_B, "choices": _TEXTS_BC}
            if _is_race(self._task):
                return concrete_function(self._choose_option, **texts, question=_TEXTS_B)
            return concrete_function(self._choose, **texts)
        method = self._classify
        if self._is_multi_label:
            method = self._find_labels
        elif self._num_outputs == 1:
            method = self._rate
        texts = {"text": _TEXTS_B}
        if self._are_apart or _num_texts(self._task) == 2:
            texts["text_b"] = _TEXTS_B
        return concrete_function(method, **texts)

    def _classify(self, text: Any, text_b: Any = None) -> dict[str, Any]:
        """Return `logits` and `probabilities` [B, C] of texts or pairs.

        Where classes have names, also `label` [B], that of the largest logit.
        """
        outputs = _with_probabilities(self._logits(text, text_b))
        if self._labels:
            best_B = tf.argmax(outputs["logits"], -1)
            outputs["label"] = tf.gather(tf.constant(self._labels, tf.string), best_B)
        return outputs

    def _find_labels(self, text: Any, text_b: Any = None) -> dict[str, Any]:
        """Return `logits` and `probabilities` [B, C] for labels that may apply together.

        Where they have names, also these, `labels` [B, C], the same in every row.
        """
        logits_BC = self._logits(text, text_b)
        outputs = {"logits": logits_BC, "probabilities": tf.sigmoid(logits_BC)}
        if self._labels:
            names_1C = tf.constant([self._labels], tf.string)
            outputs["labels"] = tf.repeat(names_1C, tf.shape(logits_BC)[0], axis=0)
        return outputs

    def _rate(self, text: Any, text_b: Any = None) -> dict[str, Any]:
        """Return `scores` [B], the outputs of a regression."""
        return {"scores": self._logits(text, text_b)[:, 0]}

    def _logits(self, text: Any, text_b: Any) -> Any:
        """Return the logits [B, C] of strings [B], or of pairs if `text_b` is not None.

        The texts are tokenised in the graph and truncated as in fine-tuning.
        """
        second = None if text_b is None else self.tokenizer.encode(text_b)
        make_inputs = apart_inputs if self._are_apart else text_inputs
        inputs = make_inputs(
            self.tokenizer.encode(text), second, self._special_ids, self._config.sequence_length
        )
        return self._run(**inputs)["logits"]

    def _choose_option(self, text: Any, question: Any, choices: Any) -> dict[str, Any]:
        """Return the outputs of `_choose` for a question with each option filled in, as in RACE."""
        num_choices = tf.shape(choices)[1]
        filled = _fill_blanks(tf.repeat(question, num_choices), tf.reshape(choices, [-1]))
        return self._choose(text, tf.reshape(filled, tf.shape(choices)))

    def _choose(self, text: Any, choices: Any) -> dict[str, Any]:
        """Return `logits` and `probabilities` [B, C] of each text [B] with its choices [B, C].

        Text and choices are tokenised in the graph and cut as in fine-tuning.
        """
        inputs = choice_inputs(
            self.tokenizer.encode(text),
            self.tokenizer.encode(tf.reshape(choices, [-1])),
            tf.shape(choices)[1],
            self._special_ids,
            self._config,
        )
        return _with_probabilities(self._run(**inputs)["logits"])

    def _answer(self, question: Any, context: Any) -> dict[str, Any]:
        """Return the model's outputs for each window over a context, and what the window holds.

        `question_index` [W] is the index of the question; `input_ids` [W, S] are the tokens, and
        `context_begins`, `context_ends` [W, S] the characters of the context that each stands for,
        -1 outside the context: an answer from position s to e is
        `context[context_begins[w, s] : context_ends[w, e]]`.
        """
        windows = window_inputs(
            self.tokenizer.encode(question),
            self.tokenizer.encode_with_offsets(context),
            self._special_ids,
            self._config,
        )
        inputs = windows.inputs
        if self._is_beam:
            inputs = {**inputs, "p_mask": graph_answer_mask(inputs)}
        return {
            **self._run(**inputs),
            "question_index": windows.questions,
            "input_ids": inputs["input_ids"],
            "context_begins": windows.begins,
            "context_ends": windows.ends,
        }


def get_finetuning_config(checkpoint: Checkpoint) -> FinetuningConfig:
    """Return the settings a model was fine-tuned with.

    A setting that is not known, or None, has its default; a `sequence_length` that is not known is
    the longest that the model can read.

    Raises:
        InputError: They are no settings of fine-tuning, or their sequences are too long for the
            model.
    """
    longest = checkpoint.config.max_position_embeddings
    known = {name: v for name, v in (checkpoint.finetuning or {}).items() if v is not None}
    config = parse_settings(
        FinetuningConfig,
        {"sequence_length": longest, **without_unused_safeguards(known)},
        source=checkpoint.source,
    )
    if config.sequence_length > longest:
        raise InputError(
            f"{checkpoint.source}: fine-tuned with sequence_length={config.sequence_length}, "
            f"expected at most the model's max_position_embeddings={longest}"
        )
    return config


def concrete_function(method: Callable[..., dict[str, Any]], **specs: Any) -> Any:
    """Return a method as a concrete function; its signature is the names and types in `specs`.

    autograph would try to rewrite the methods' Python, which has nothing to convert.
    """
    return tf.function(method, autograph=False).get_concrete_function(**specs)


def _with_probabilities(logits: Any) -> dict[str, Any]:
    """Return `logits` and, as `probabilities`, their softmax over the last axis."""
    return {"logits": logits, "probabilities": tf.nn.softmax(logits)}


def _fill_blanks(questions: Any, options: Any) -> Any:
    """Return questions with the option in each blank (`_`), or after a space at the end [B * C].

    That is what reading the files of RACE does. Both arguments are strings [B * C].
    """
    parts = tf.strings.split(questions, _BLANK)
    rows = parts.value_rowids()
    option = tf.gather(options, rows)
    after_last = tf.where(tf.gather(parts.row_lengths(), rows) == 1, " " + option, "")
    after = tf.where(differs_from_next(rows), after_last, option)
    return tf.strings.unsorted_segment_join(parts.values + after, rows, tf.size(questions))


def _is_race(task: Mapping[str, Any]) -> bool:
    """Return whether a task's declaration names the format of RACE."""
    return any(source.get("format") == "race" for source in task.get("train", ()))


def _num_texts(task: Mapping[str, Any]) -> int:
    """Return how many texts an example has, by the first training file or the task that says so.

    1 where neither does.
    """
    sources = [source.get("texts") for source in task.get("train", ())]
    return len(next(filter(None, [*sources, task.get("texts")]), ("text",)))
