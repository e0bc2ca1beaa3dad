"""Pieces to a model's inputs inside a TensorFlow graph, as `albert_core.finetuning` makes them.

Shape suffixes: B texts, C choices, W windows, S sequence; (P) pieces, as many as a text has.
"""

import dataclasses
from typing import Any

import tensorflow as tf

from albert_core.exports.raw_text import Pieces
from albert_core.finetuning.config import FinetuningConfig
from albert_core.tokenization import SpecialIds


@dataclasses.dataclass(frozen=True)
class Windows:
    """Questions about texts as sequences.

    Attributes:
        inputs: `input_ids`, `input_mask`, `segment_ids` [W, S].
        questions: Number of each window's question, rising, int32 [W].
        begins: The character of the context that each piece begins with, -1 of other pieces [W, S].
        ends: One behind its last character, or -1 [W, S].
    """

    inputs: dict[str, Any]
    questions: Any
    begins: Any
    ends: Any


def text_inputs(
    first: Any, second: Any, special_ids: SpecialIds, sequence_length: int
) -> dict[str, Any]:
    """Return the inputs [B, S] of texts, or of pairs, [B, (P)] each, cut as `features._cut` cuts.

    Args:
        first: The texts.
        second: What is paired with them, or None.
        special_ids: The special pieces.
        sequence_length: Longest sequence.
    """
    if second is None:
        kept = tf.minimum(first.row_lengths(), sequence_length - 2)
        return _inputs(_part(first, 0, kept), None, special_ids)
    room = sequence_length - 3
    length_first, length_second = first.row_lengths(), second.row_lengths()
    most_second = tf.maximum(tf.cast(room // 2, tf.int64), room - length_first)
    num_second = tf.minimum(length_second, most_second)
    num_first = tf.minimum(length_first, room - num_second)
    return _inputs(_part(first, 0, num_first), _part(second, 0, num_second), special_ids)


def choice_inputs(
    texts: Any, choices: Any, num_choices: Any, special_ids: SpecialIds, config: FinetuningConfig
) -> dict[str, Any]:
    """Return the inputs [B, C, S] of texts [B, (P)] with their choices [B * C, (P)].

    A choice loses its begin, and then the text its end, as in `features._pairs`.
    """
    most = min(config.max_choice_length, config.sequence_length - 4)
    length = choices.row_lengths()
    num_kept = tf.minimum(length, most)
    index = tf.repeat(tf.range(texts.nrows()), tf.cast(num_choices, tf.int64))
    texts = tf.gather(texts, index)
    num_first = tf.minimum(texts.row_lengths(), config.sequence_length - 3 - num_kept)
    flat = _inputs(
        _part(texts, 0, num_first), _part(choices, length - num_kept, num_kept), special_ids
    )
    return {
        name: tf.reshape(array, [-1, num_choices, tf.shape(array)[1]])
        for name, array in flat.items()
    }


def window_inputs(
    queries: Any, contexts: Pieces, special_ids: SpecialIds, config: FinetuningConfig
) -> Windows:
    """Return the windows over contexts, each behind its question, as `question_features` has them.

    Args:
        queries: Pieces of the questions [B, (P)].
        contexts: Pieces of their contexts.
        special_ids: The special pieces.
        config: Lengths and stride.
    """
    settings = config.questions
    queries = _part(queries, 0, tf.minimum(queries.row_lengths(), settings.max_query_length))
    ids = contexts.by_text(contexts.ids)
    room = tf.maximum(config.sequence_length - 3 - queries.row_lengths(), 1)
    step = tf.minimum(room, settings.doc_stride)
    length = ids.row_lengths()
    num_more = -(-tf.maximum(length - room, 0) // step)
    num_windows = tf.where(length > 0, 1 + num_more, 0)
    questions = tf.repeat(tf.range(ids.nrows()), num_windows)
    begin = tf.ragged.range(num_windows).values * tf.gather(step, questions)
    shown = tf.minimum(tf.gather(length, questions) - begin, tf.gather(room, questions))
    first = tf.gather(queries, questions)
    parts = [
        _part(tf.gather(contexts.by_text(values), questions), begin, shown)
        for values in (contexts.ids, contexts.begins, contexts.ends)
    ]
    before = tf.ones_like(first) * -1
    special = tf.fill(tf.stack([first.nrows(), 1]), -1)
    begins, ends = (
        tf.concat([special, before, special, part, special], 1).to_tensor(-1) for part in parts[1:]
    )
    inputs = _inputs(first, parts[0], special_ids)
    return Windows(inputs, tf.cast(questions, tf.int32), begins, ends)


def answer_mask(inputs: dict[str, Any]) -> Any:
    """Return where no answer can start or end [W, S]: 0 for [CLS] and the context, else 1."""
    mask, segments = inputs["input_mask"], inputs["segment_ids"]
    positions = tf.range(tf.shape(mask)[1])
    is_last = positions == tf.reduce_sum(mask, 1, keepdims=True) - 1
    is_open = (positions == 0) | ((segments == 1) & ~is_last)
    return 1 - tf.cast(is_open, tf.int32)


def _part(ragged: Any, begins: Any, lengths: Any) -> Any:
    """Return a part of each row."""
    starts = ragged.row_starts() + begins
    return tf.gather(ragged.values, tf.ragged.range(starts, starts + lengths))


def _inputs(first: Any, second: Any, special_ids: SpecialIds) -> dict[str, Any]:
    """Return the inputs of [CLS] first [SEP], or [CLS] first [SEP] second [SEP]."""
    shape = tf.stack([first.nrows(), 1])
    cls, sep = tf.fill(shape, special_ids.cls), tf.fill(shape, special_ids.sep)
    parts = [cls, first, sep] if second is None else [cls, first, sep, second, sep]
    joined = tf.concat(parts, 1)
    ids = joined.to_tensor()
    positions = tf.range(tf.shape(ids, tf.int64)[1])
    is_piece = positions < joined.row_lengths()[:, None]
    is_second = is_piece & (positions >= first.row_lengths()[:, None] + 2)
    return {
        "input_ids": ids,
        "input_mask": tf.cast(is_piece, tf.int32),
        "segment_ids": tf.cast(is_second, tf.int32),
    }
