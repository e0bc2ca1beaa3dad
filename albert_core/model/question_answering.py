"""Heads that find the answer to a question in a text: those of SQuAD 1.1 and of SQuAD 2.0.

Shape suffixes: B batch, S sequence, H hidden, K starts searched, L ends searched for each start.

Neither head reads the pooled output, so the pooler is not trained with them.
"""

from typing import Any

import keras
from keras import ops

from albert_core.backends import cross_entropy
from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.model.heads import AlbertWithHead
from albert_core.model.layers import (
    PACKAGE,
    add_output_layer,
    apply_output_layer,
    build_in_scope,
    check_range,
    dense,
    initializer,
    layer_norm,
)
from albert_core.model.pretraining import Tensors

# Of positions that cannot be in an answer, as in the original. float16 cannot hold it: logits are
# cast to float32 first.
_MASKED_LOGIT = -1e30


class SpanHead(keras.layers.Layer):
    """Layer that scores every position as the start and as the end of the answer.

    Makes logits [B, S, 2] of vectors [B, S, H]; the start's come first. The end is scored without
    regard to the start, and no position is masked.
    """

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(name="squad")
        self.config = config

    def build(self, input_shape: Any = None) -> None:
        """Make the weights [2, H] and the bias [2]."""
        add_output_layer(self, self.config, 2)

    def call(self, sequence_BSH: Any) -> Any:
        """Return logits [B, S, 2]."""
        return apply_output_layer(self, sequence_BSH)


@keras.saving.register_keras_serializable(PACKAGE)
class AlbertForQuestionAnswering(AlbertWithHead):
    """ALBERT for SQuAD 1.1: every question has an answer; start and end are independent.

    Inputs are a dict of `input_ids`, `input_mask`, `segment_ids` [B, S]; targets are
    `start_positions`, `end_positions` [B]. Source: run_squad_v1.py of the original.

    Args:
        config: The architecture.
    """

    def __init__(self, config: AlbertConfig) -> None:
        """Make the encoder and the head, and build all variables."""
        super().__init__(config)
        self.head = SpanHead(config)
        self.build()

    def build(self, input_shape: Any = None) -> None:
        """Create all variables, under the original's names; the pooler is not trained.

        `__init__` calls it; Keras refuses a second call (ValueError). `input_shape` is not used.
        """
        self.bert.build()
        self.bert.pooler.trainable = False  # nothing reads its output: it has no gradient
        build_in_scope("cls", self.head, None)
        self.built = True

    def call(self, inputs: Tensors, training: bool | None = None) -> dict[str, Any]:
        """Return `start_logits` and `end_logits` [B, S].

        Raises:
            InputError: An input does not have the axes [B, S].
        """
        logits_BS2 = self.head(self.encode(inputs, training)["sequence_output"])
        return {"start_logits": logits_BS2[..., 0], "end_logits": logits_BS2[..., 1]}

    def example_losses(self, targets: Any, outputs: Any) -> Any:
        """Return each example's loss [B], the mean of the cross entropies of start and end.

        Args:
            targets: `start_positions` and `end_positions` [B].
            outputs: Outputs of `call`.
        """
        return _span_losses(targets, outputs)


@keras.saving.register_keras_serializable(PACKAGE)
class AlbertForQuestionAnsweringWithBeam(AlbertWithHead):
    """ALBERT for SQuAD 2.0: the end depends on the start, and there may be no answer.

    Inputs are a dict of `input_ids`, `input_mask`, `segment_ids` and `p_mask` [B, S], 1 where no
    answer can start or end. With `start_positions` [B] among the inputs, ends are scored for
    these starts: so it is trained. Without, ends are searched for the likeliest starts.

    Targets are `start_positions`, `end_positions` and `is_impossible` [B], 1 where there is no
    answer; start and end are then 0. Source: run_squad_v2.py of the original.

    Args:
        config: The architecture.
        start_n_top: Number K of starts that are searched.
        end_n_top: Number L of ends that are searched for each start.
        classifier_dropout: Dropout in the head that decides whether there is an answer.

    Raises:
        InputError: A number to search is below 1, or above what the model can read.
    """

    def __init__(
        self,
        config: AlbertConfig,
        *,
        start_n_top: int = 5,
        end_n_top: int = 5,
        classifier_dropout: float = 0.1,
    ) -> None:
        """Check how much is searched, make encoder and head, and build all variables.

        Raises:
            InputError: A number to search is below 1, or above what the model can read.
        """
        super().__init__(config)
        self.start_n_top, self.end_n_top = start_n_top, end_n_top
        self._check_search_sizes(longest=config.max_position_embeddings)
        self.start_logits = dense(config, 1, "dense")
        self.end_pair = PairLayer(config)
        self.end_norm = layer_norm()
        self.end_logits = dense(config, 1, "dense_1")
        self.answer_pair = PairLayer(config)
        self.dropout = keras.layers.Dropout(classifier_dropout)
        # Without a bias, and its loss by half: so it is in run_squad_v2.py.
        self.answer_logit = dense(config, 1, "dense_1", use_bias=False)
        self.build()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the model as JSON holds them."""
        return {
            **super().get_config(),
            "start_n_top": self.start_n_top,
            "end_n_top": self.end_n_top,
            "classifier_dropout": self.dropout.rate,
        }

    def build(self, input_shape: Any = None) -> None:
        """Create all variables, under the original's names; the pooler is not trained.

        `__init__` calls it; Keras refuses a second call (ValueError). `input_shape` is not used.
        """
        hidden = (None, self.config.hidden_size)
        self.bert.build()
        self.bert.pooler.trainable = False  # this head takes [CLS] from the sequence itself
        build_in_scope("start_logits", self.start_logits, hidden)
        for layer in (self.end_pair, self.end_norm, self.end_logits):
            build_in_scope("end_logits", layer, hidden)
        for layer in (self.answer_pair, self.answer_logit):
            build_in_scope("answer_class", layer, hidden)
        self.built = True

    def call(self, inputs: Tensors, training: bool | None = None) -> dict[str, Any]:
        """Score starts, ends and answerability; all in float32.

        Returns:
            `cls_logits` [B], above 0 where no answer is the likelier. With `start_positions`
            among the inputs also `start_logits` and `end_logits` [B, S]. Without, also
            `start_top_log_probs`, `start_top_index` [B, K], the likeliest starts in falling
            order, and `end_top_log_probs`, `end_top_index` [B, K*L]: of start k the likeliest
            ends, in falling order, are at k*L to k*L + L - 1.

        Raises:
            InputError: An input does not have the axes [B, S], a start is out of range, or the
                sequence is shorter than the number of positions to search.
        """
        sequence_BSH, p_mask_BS = self.encode(inputs, training)["sequence_output"], inputs["p_mask"]
        start_logits_BS = _masked(self.start_logits(sequence_BSH)[..., 0], p_mask_BS)
        cls_logits_B = self._answerability(sequence_BSH, start_logits_BS, training)
        if "start_positions" not in inputs:
            spans = self._search(sequence_BSH, start_logits_BS, p_mask_BS)
            return {**spans, "cls_logits": cls_logits_B}
        starts_B1 = inputs["start_positions"][:, None]
        check_range("start_positions", starts_B1, "sequence length", sequence_BSH.shape[1])
        end_logits_BKS = self._end_logits(sequence_BSH, starts_B1, p_mask_BS)
        return {
            "start_logits": start_logits_BS,
            "end_logits": end_logits_BKS[:, 0],
            "cls_logits": cls_logits_B,
        }

    def example_losses(self, targets: Any, outputs: Any) -> Any:
        """Return each example's loss [B]: of the span, plus half that of answerability.

        The loss of the span is the mean of the cross entropies of start and end; the loss of
        answerability is the binary cross entropy of `is_impossible`.

        Args:
            targets: `start_positions`, `end_positions` and `is_impossible` [B].
            outputs: Outputs of `call` with `start_positions` among the inputs.

        Raises:
            InputError: The outputs are those of a search, which has no loss.
        """
        if "end_logits" not in outputs:
            raise InputError(
                "start_positions: missing from the inputs, expected there (and among the targets) "
                "for a loss, because ends are scored given the start"
            )
        impossible_B = ops.cast(targets["is_impossible"], "float32")
        answerability_B = ops.binary_crossentropy(
            impossible_B, outputs["cls_logits"], from_logits=True
        )
        return _span_losses(targets, outputs) + 0.5 * answerability_B

    def _end_logits(self, sequence_BSH: Any, starts_BK: Any, p_mask_BS: Any) -> Any:
        """Return the ends' logits given each start [B, K, S], in float32; -1e30 where masked."""
        starts_BKH = ops.take_along_axis(sequence_BSH, starts_BK[:, :, None], axis=1)
        pairs_BKSH = self.end_pair(sequence_BSH[:, None], second=starts_BKH[:, :, None])
        logits_BKS = self.end_logits(self.end_norm(pairs_BKSH))[..., 0]
        return _masked(logits_BKS, p_mask_BS[:, None])

    def _answerability(self, sequence_BSH: Any, start_logits_BS: Any, training: bool | None) -> Any:
        """Return the logit of no answer [B], in float32, from the expected start and [CLS].

        The expected start is the mean of the outputs, weighted by the softmax of the starts'
        logits. Dropout is on while training.
        """
        # The expected start, not the likeliest: it can be differentiated.
        starts_BS = ops.cast(ops.softmax(start_logits_BS), sequence_BSH.dtype)
        start_BH = ops.einsum("bs,bsh->bh", starts_BS, sequence_BSH)
        pair_BH = self.answer_pair(start_BH, second=sequence_BSH[:, 0])
        logits_B1 = self.answer_logit(self.dropout(pair_BH, training=training))
        return ops.cast(logits_B1[:, 0], "float32")

    def _search(self, sequence_BSH: Any, start_logits_BS: Any, p_mask_BS: Any) -> dict[str, Any]:
        """Return the likeliest starts, and for each the likeliest ends, as `call` names them.

        Raises:
            InputError: The sequence is shorter than the number of positions to search.
        """
        length = sequence_BSH.shape[1]
        if length is not None:
            self._check_search_sizes(longest=length)
        # K and L are fixed: a threshold would find more or fewer, and compiled steps need one
        # shape.
        start_log_probs_BK, starts_BK = ops.top_k(
            ops.log_softmax(start_logits_BS), self.start_n_top
        )
        end_logits_BKS = self._end_logits(sequence_BSH, starts_BK, p_mask_BS)
        end_log_probs_BKL, ends_BKL = ops.top_k(ops.log_softmax(end_logits_BKS), self.end_n_top)
        flat = (-1, self.start_n_top * self.end_n_top)
        return {
            "start_top_log_probs": start_log_probs_BK,
            "start_top_index": starts_BK,
            "end_top_log_probs": ops.reshape(end_log_probs_BKL, flat),
            "end_top_index": ops.reshape(ends_BKL, flat),
        }

    def _check_search_sizes(self, longest: int) -> None:
        """Refuse to search fewer than one position, or more than `longest`.

        Raises:
            InputError: `start_n_top` or `end_n_top` is out of this range.
        """
        for name, number in {"start_n_top": self.start_n_top, "end_n_top": self.end_n_top}.items():
            if not 1 <= number <= longest:
                raise InputError(f"{name}: got {number}, expected 1 to sequence length={longest}")


class PairLayer(keras.layers.Layer):
    """A tanh layer on two vectors side by side, [..., H] each, without concatenating them.

    Makes [..., H] of them. Its variables are those of a dense layer on the concatenation, as in the
    original.
    """

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(name="dense_0")
        self.config = config

    def build(self, input_shape: Any = None) -> None:
        """Make the kernel [2 * H, H] and the bias [H]."""
        hidden = self.config.hidden_size
        self.kernel = self.add_weight(
            name="kernel", shape=(2 * hidden, hidden), initializer=initializer(self.config)
        )
        self.bias = self.add_weight(name="bias", shape=(hidden,), initializer="zeros")

    def call(self, first: Any, second: Any) -> Any:
        """Return tanh([first, second] @ kernel + bias) of every pair [..., H].

        The leading axes of `first` and `second` broadcast against each other.
        """
        kernel_2HH, bias_H = (ops.cast(v, first.dtype) for v in (self.kernel, self.bias))
        first_HH, second_HH = ops.split(kernel_2HH, 2, axis=0)
        # Each vector by its half of the kernel, then broadcast against the other: K starts and S
        # positions cost K + S products instead of K * S.
        return ops.tanh(ops.matmul(first, first_HH) + ops.matmul(second, second_HH) + bias_H)


def _masked(logits: Any, mask: Any) -> Any:
    """Return the logits in float32, and -1e30, a probability of 0, where the mask is not 0."""
    return ops.where(ops.cast(mask, "bool"), _MASKED_LOGIT, ops.cast(logits, "float32"))


def _span_losses(targets: Tensors, outputs: Tensors) -> Any:
    """Return the mean of the cross entropies of start and end, for each example [B].

    Args:
        targets: `start_positions` and `end_positions` [B].
        outputs: `start_logits` and `end_logits` [B, S].
    """
    start_B = cross_entropy(targets["start_positions"], outputs["start_logits"])
    end_B = cross_entropy(targets["end_positions"], outputs["end_logits"])
    return 0.5 * (start_B + end_B)
