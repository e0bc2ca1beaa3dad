"""A model's inputs made of token ids inside a TensorFlow graph, as `albert_core.finetuning` does.

Shape suffixes: B texts, C choices, W windows, S sequence; (P) as many tokens as a text has.
"""

import dataclasses
from typing import Any

import tensorflow as tf

from albert_core.exports.raw_text import TokensWithOffsets
from albert_core.finetuning.config import FinetuningConfig
from albert_core.tokenization import SpecialIds


@dataclasses.dataclass(frozen=True)
class Windows:
    """Windows over the contexts of questions, each with its question in front.

    Attributes:
        inputs: `input_ids`, `input_mask`, `segment_ids` [W, S].
        questions: Index of each window's question, rising, int32 [W].
        begins: Index in the context of each token's first character, [W, S]; -1 for a token that is
            not of the context.
        ends: Index in the context after each token's last character, [W, S]; -1 for a token that is
            not of the context.
    """

    inputs: dict[str, Any]
    questions: Any
    begins: Any
    ends: Any


def text_inputs(
    first: Any, second: Any, special_ids: SpecialIds, sequence_length: int
) -> dict[str, Any]:
    """Return the inputs [B, S] of texts or pairs, truncated as in fine-tuning.

    They are `input_ids`, `input_mask` and `segment_ids`, int32. Texts lose their ends. In a pair
    that is too long, the second text keeps at least half of the tokens that fit, if it has so many,
    and the first keeps the rest. S is the longest sequence of the batch.

    Args:
        first: Token ids of the first texts, ragged int32 [B, (P)].
        second: Token ids of the second texts, likewise; None for single texts.
        special_ids: Ids of the special tokens.
        sequence_length: Longest sequence, in tokens, special ones included.
    """
    if second is None:
        num_first = tf.minimum(first.row_lengths(), sequence_length - 2)
        return _inputs(_part(first, 0, num_first), None, special_ids)
    available = sequence_length - 3  # without [CLS] and two [SEP]
    length_first, length_second = first.row_lengths(), second.row_lengths()
    most_second = tf.maximum(tf.cast(available // 2, tf.int64), available - length_first)
    num_second = tf.minimum(length_second, most_second)
    num_first = tf.minimum(length_first, available - num_second)
    return _inputs(_part(first, 0, num_first), _part(second, 0, num_second), special_ids)


def apart_inputs(
    first: Any, second: Any, special_ids: SpecialIds, sequence_length: int
) -> dict[str, Any]:
    """Return the inputs [B, 2, S] of pairs whose two texts are encoded separately.

    As in fine-tuning, each text becomes [CLS] text [SEP] and loses its end if it is too long. S is
    the longest sequence of the batch, of both texts. The inputs are named as those of
    `text_inputs`.

    Args:
        first: Token ids of the first texts, ragged int32 [B, (P)].
        second: Token ids of the second texts, likewise.
        special_ids: Ids of the special tokens.
        sequence_length: Longest sequence of one text, in tokens, [CLS] and [SEP] included.
    """
    inputs = [text_inputs(texts, None, special_ids, sequence_length) for texts in (first, second)]
    longest = tf.maximum(*(tf.shape(one_text["input_ids"])[1] for one_text in inputs))

    def padded(array: Any) -> Any:
        return tf.pad(array, [[0, 0], [0, longest - tf.shape(array)[1]]])

    return {
        name: tf.stack([padded(one_text[name]) for one_text in inputs], axis=1)
        for name in inputs[0]
    }


def choice_inputs(
    texts: Any, choices: Any, num_choices: Any, special_ids: SpecialIds, config: FinetuningConfig
) -> dict[str, Any]:
    """Return the inputs [B, C, S] of texts with their choices, truncated as in fine-tuning.

    They have the names of those of `text_inputs`. A choice loses its beginning if it has more than
    `max_choice_length` tokens, or `sequence_length` - 4 if that is less; then the text loses its
    end. S is the longest sequence of the batch.

    Args:
        texts: Token ids of the texts, ragged int32 [B, (P)].
        choices: Token ids of the choices, ragged int32 [B * C, (P)], text by text.
        num_choices: C, the same for all texts.
        special_ids: Ids of the special tokens.
        config: Longest sequence and longest choice.
    """
    most = min(config.max_choice_length, config.sequence_length - 4)
    length = choices.row_lengths()
    num_choice = tf.minimum(length, most)
    index = tf.repeat(tf.range(texts.nrows()), tf.cast(num_choices, tf.int64))
    texts = tf.gather(texts, index)
    num_first = tf.minimum(texts.row_lengths(), config.sequence_length - 3 - num_choice)
    flat = _inputs(
        _part(texts, 0, num_first), _part(choices, length - num_choice, num_choice), special_ids
    )
    return {
        name: tf.reshape(array, [-1, num_choices, tf.shape(array)[1]])
        for name, array in flat.items()
    }


def window_inputs(
    queries: Any, contexts: TokensWithOffsets, special_ids: SpecialIds, config: FinetuningConfig
) -> Windows:
    """Return windows over contexts, each after its question, as fine-tuning makes them.

    Questions lose their ends after `max_query_length` tokens, or half a sequence if that is less,
    as where `albert_core.inference` answers. Windows come in the order of the questions and then of
    the context, `doc_stride` tokens apart or less. A context without tokens has no window.

    Args:
        queries: Token ids of the questions, ragged int32 [B, (P)].
        contexts: Tokens of their contexts, B texts, each of one question.
        special_ids: Ids of the special tokens.
        config: Lengths and stride.
    """
    settings = config.questions
    longest = min(settings.max_query_length, config.sequence_length // 2)
    queries = _part(queries, 0, tf.minimum(queries.row_lengths(), longest))
    ids = contexts.by_text(contexts.ids)
    # 1 at least: a graph cannot refuse a question that leaves no room, and divides by this.
    available = tf.maximum(config.sequence_length - 3 - queries.row_lengths(), 1)
    step = tf.minimum(available, settings.doc_stride)
    length = ids.row_lengths()
    num_further = -(-tf.maximum(length - available, 0) // step)
    num_windows = tf.where(length > 0, 1 + num_further, 0)
    questions = tf.repeat(tf.range(ids.nrows()), num_windows)
    begin = tf.ragged.range(num_windows).values * tf.gather(step, questions)
    shown = tf.minimum(tf.gather(length, questions) - begin, tf.gather(available, questions))
    first = tf.gather(queries, questions)
    parts = [
        _part(tf.gather(contexts.by_text(values), questions), begin, shown)
        for values in (contexts.ids, contexts.begins, contexts.ends)
    ]
    # Offsets have the layout of the ids: -1 for the question and for the special tokens.
    outside = tf.ones_like(first) * -1
    special = tf.fill(tf.stack([first.nrows(), 1]), -1)
    begins, ends = (
        tf.concat([special, outside, special, part, special], 1).to_tensor(-1) for part in parts[1:]
    )
    inputs = _inputs(first, parts[0], special_ids)
    return Windows(inputs, tf.cast(questions, tf.int32), begins, ends)


def graph_answer_mask(inputs: dict[str, Any]) -> Any:
    """Return `p_mask` [W, S], int32: 0 where an answer may start or end, else 1.

    It is 0 for [CLS] and the context; 1 for the question, every [SEP] and padding.

    Args:
        inputs: `input_mask`, ones first, and `segment_ids`, 1 for the context and the [SEP] after
            it, both int32 [W, S].
    """
    mask, segments = inputs["input_mask"], inputs["segment_ids"]
    positions = tf.range(tf.shape(mask)[1])
    is_last = positions == tf.reduce_sum(mask, 1, keepdims=True) - 1
    is_open = (positions == 0) | ((segments == 1) & ~is_last)
    return 1 - tf.cast(is_open, tf.int32)


def _part(ragged: Any, begins: Any, lengths: Any) -> Any:
    """Return `lengths` values of each row of a ragged tensor, from index `begins` of the row on."""
    starts = ragged.row_starts() + begins
    return tf.gather(ragged.values, tf.ragged.range(starts, starts + lengths))


def _inputs(first: Any, second: Any, special_ids: SpecialIds) -> dict[str, Any]:
    """Return the inputs [B, S] of [CLS] first [SEP], or [CLS] first [SEP] second [SEP].

    Args:
        first: Token ids [B, (P)], already truncated.
        second: Token ids [B, (P)], or None.
        special_ids: Ids of the special tokens.

    Returns:
        int32 `input_ids` with padding 0, `input_mask`, `segment_ids`.
    """
    shape = tf.stack([first.nrows(), 1])
    cls, sep = tf.fill(shape, special_ids.cls), tf.fill(shape, special_ids.sep)
    parts = [cls, first, sep] if second is None else [cls, first, sep, second, sep]
    joined = tf.concat(parts, 1)
    ids = joined.to_tensor()
    positions = tf.range(tf.shape(ids, tf.int64)[1])
    is_token = positions < joined.row_lengths()[:, None]
    is_second = is_token & (positions >= first.row_lengths()[:, None] + 2)
    return {
        "input_ids": ids,
        "input_mask": tf.cast(is_token, tf.int32),
        "segment_ids": tf.cast(is_second, tf.int32),
    }
