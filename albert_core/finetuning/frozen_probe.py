"""What a frozen encoder's outputs tell about a task: ridge regressions on the means of each layer.

Nothing of the encoder is trained, so that the scores are of what pretraining taught it, and of
nothing that fine-tuning adds. Random weights are the control.

Shape suffixes: N training examples, M dev examples, C classes, labels or choices, L layers,
H hidden, F features.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence

import numpy as np

from albert_core.config import AlbertConfig
from albert_core.finetuning.probe_features import (
    join_columns,
    make_columns,
    mean_and_scale,
    numeric_targets,
)
from albert_core.finetuning.probe_results import (
    DEFAULT_NUM_EXAMPLES,
    DEFAULT_SEED,
    LEAST_NUM_EXAMPLES,
    EncoderScores,
    FrozenProbe,
    Gain,
    LayerScore,
    describe_probe,
)
from albert_core.finetuning.ridge import RidgePredictions, predict_by_ridge
from albert_core.model_function import ModelFunction
from albert_core.progress import ReportProgress, quiet, report_message
from albert_core.tasks import Example, Task
from albert_core.tasks.examples import spread_evenly
from albert_core.tasks.metrics import (
    bootstrap_interval,
    compute_metrics,
    gain_interval,
    predicted_values,
    scores_by_source,
)
from albert_core.tokenization import Tokenizer

_HELD_OUT_FRACTION = 0.2


def can_probe(task: Task, num_train: int) -> bool:
    """Return whether there is a frozen probe of a task, by its kind and its training examples.

    There is none of questions and of words with tags, nor with under ten examples.
    """
    has_text_vectors = task.kind not in ("question_answering", "token_classification")
    return has_text_vectors and num_train >= LEAST_NUM_EXAMPLES


def probe_frozen_encoder(
    *,
    task: Task,
    config: AlbertConfig,
    weights: Mapping[str, np.ndarray],
    tokenizer: Tokenizer,
    train: Sequence[Example],
    dev: Sequence[Example],
    sequence_length: int,
    num_examples: int = DEFAULT_NUM_EXAMPLES,
    seed: int = DEFAULT_SEED,
    source: str = "the pretrained model",
    progress: ReportProgress = quiet,
) -> FrozenProbe:
    """Score ridge regressions on each layer's means, for a model and for random weights.

    Texts are encoded one by one, also those of a pair or the choices of a question. Classes and
    labels are predicted one against the rest; scores directly; choices by whether each is right.
    For two texts the regression reads both means, their absolute difference, their product and
    their cosine, after they were standardised. Keras's dtype policy must be float32, as it is by
    default (not checked): the encoder computes under it.

    Args:
        task: A task that `can_probe` accepts.
        config: The architecture.
        weights: The model's weights by the original's names; those of heads are ignored.
        tokenizer: The vocabulary.
        train: The training set, with targets.
        dev: The dev set, with targets, at least one example.
        sequence_length: Longest text in tokens; longer ones lose their ends.
        num_examples: Largest number of examples of each set; if there are more, so many are taken,
            evenly spread. With choices it is divided by their number, but not below 10.
        seed: Seed of the random weights, for which Keras's random state is set, and of which
            training examples choose the penalty.
        source: What the weights are, for messages.
        progress: Called with messages about the work and the time it took.

    Raises:
        InputError: The weights do not fit the architecture, or give outputs that are not finite.
    """
    # Here, not above: it imports Keras, which importing this module must not do.
    from albert_core.finetuning.frozen_encoder import (
        means_function,
        pretrained_encoder,
        random_encoder,
    )

    started = time.monotonic()
    num_columns = len(train[0].texts)
    if task.kind == "multiple_choice":
        num_examples = max(LEAST_NUM_EXAMPLES, num_examples // (num_columns - 1))
    train, dev = spread_evenly(train, num_examples), spread_evenly(dev, num_examples)
    data = _ProbeData(task, train, dev, tokenizer, sequence_length=sequence_length, seed=seed)
    report_message(
        progress, f"frozen probe of {len(train):,} training and {len(dev):,} dev examples"
    )
    encoder = pretrained_encoder(config, weights, source=source)
    means = means_function(encoder)
    predictions = data.predict(means, source)
    # In the same encoder, which is compiled already.
    encoder.set_weights(random_encoder(config, seed).get_weights())
    control_predictions = data.predict(means, "random weights")
    scores, control_scores = data.score(predictions), data.score(control_predictions)

    def gain(layer: int, control_layer: int) -> Gain:
        """Return the gain of a layer over one of random weights; the first layers are number 1."""
        low, high = data.gain_interval(
            predictions[layer - 1], control_predictions[control_layer - 1]
        )
        score = scores.layers[layer - 1].score
        return Gain(gain=score - control_scores.layers[control_layer - 1].score, low=low, high=high)

    probe = FrozenProbe(
        task=task.name,
        metric=task.metrics[0],
        num_train=len(train),
        num_dev=len(dev),
        sequence_length=sequence_length,
        seed=seed,
        seconds=round(time.monotonic() - started, 1),
        pretrained=scores,
        random_weights=control_scores,
        best_layer_gain=gain(scores.best_layer, control_scores.best_layer),
        last_layer_gain=gain(len(predictions), len(control_predictions)),
    )
    report_message(progress, describe_probe(probe))
    return probe


class _ProbeData:
    """The examples of a probe with their sequences and targets, for any encoder.

    Args:
        task: The task.
        train: Its training examples.
        dev: Its dev examples.
        tokenizer: The vocabulary.
        sequence_length: Longest text in tokens.
        seed: Seed of which training examples are held out.
    """

    def __init__(
        self,
        task: Task,
        train: Sequence[Example],
        dev: Sequence[Example],
        tokenizer: Tokenizer,
        *,
        sequence_length: int,
        seed: int,
    ) -> None:
        """Encode the texts of both sets, and draw which fifth of the training set is held out."""
        self._task, self._length = task, sequence_length
        self._train_columns, self._dev_columns = (
            make_columns(examples, tokenizer, sequence_length) for examples in (train, dev)
        )
        self._train_targets, self._dev_targets = (
            np.array([example.target for example in examples]) for examples in (train, dev)
        )
        self._sources = [example.source for example in dev]
        order = np.random.default_rng(seed).permutation(len(train))
        self._is_held_out_N = np.zeros(len(train), bool)
        self._is_held_out_N[order[: max(1, int(_HELD_OUT_FRACTION * len(train)))]] = True

    def predict(self, means: ModelFunction, source: str) -> list[RidgePredictions]:
        """Return the predictions from each layer of an encoder, outputs [M, C].

        Args:
            means: Function of `means_function` for the encoder.
            source: What the encoder is, for messages.

        Raises:
            InputError: Its outputs are not finite.
        """
        from albert_core.finetuning.frozen_encoder import layer_means

        train, dev = (
            [
                layer_means(means, column, max_length=self._length, source=source)
                for column in columns
            ]
            for columns in (self._train_columns, self._dev_columns)
        )
        return [
            self._predict_from(
                [column[:, layer] for column in train], [column[:, layer] for column in dev]
            )
            for layer in range(train[0].shape[1])
        ]

    def _predict_from(
        self, train: Sequence[np.ndarray], dev: Sequence[np.ndarray]
    ) -> RidgePredictions:
        """Return the predictions from one layer's means [N, H] and [M, H] of each column.

        Means are standardised by those of all training texts and joined to an example's (or
        choice's) features; the held-out training examples choose the penalty by the task's first
        metric.
        """
        mean_H, scale_H = mean_and_scale(np.concatenate(train))
        # Rows of choices: those of an example one after the other.
        train_NF, dev_MF = (
            join_columns([(means - mean_H) / scale_H for means in columns], self._task)
            for columns in (train, dev)
        )
        targets_NC = numeric_targets(self._task, self._train_targets, len(train) - 1)
        per_example = len(train_NF) // len(self._train_targets)
        held_out = self._train_targets[self._is_held_out_N]

        def score(outputs: np.ndarray) -> float:
            """Return the task's first metric of the held-out examples."""
            outputs = self._by_example(outputs, len(held_out))
            return compute_metrics(self._task, outputs, held_out)[self._task.metrics[0]]

        predictions = predict_by_ridge(
            train_NF,
            targets_NC,
            dev_MF,
            is_held_out_N=np.repeat(self._is_held_out_N, per_example),
            score=score,
        )
        outputs = self._by_example(predictions.outputs, len(self._dev_targets))
        return dataclasses.replace(predictions, outputs=outputs)

    def _by_example(self, outputs: np.ndarray, num_examples: int) -> np.ndarray:
        """Return a row for each example of what has one for each choice, else the same."""
        is_choice = self._task.kind == "multiple_choice"
        return outputs.reshape(num_examples, -1) if is_choice else outputs

    def score(self, predictions: Sequence[RidgePredictions]) -> EncoderScores:
        """Return the scores of the predictions from each layer, the first being number 1.

        The best layer is the one that scores best on the held-out training examples, not on the dev
        set; its score is that on the dev set.
        """
        layers = [
            self._score_layer(number + 1, layer_predictions)
            for number, layer_predictions in enumerate(predictions)
        ]
        best = max(layers, key=lambda layer: layer.held_out_score)
        return EncoderScores(
            layers=layers,
            best_layer=best.layer,
            best_score=best.score,
            last_layer_score=layers[-1].score,
        )

    def _score_layer(self, layer: int, predictions: RidgePredictions) -> LayerScore:
        """Return a layer's dev score by the task's first metric, and its 95 % bootstrap interval.

        As in evaluation, the score may be the mean over several files; the interval is that of all
        examples together.
        """
        task, metric = self._task, self._task.metrics[0]

        def compute(rows: np.ndarray) -> dict[str, float]:
            """Return the metrics of some dev examples."""
            return compute_metrics(task, predictions.outputs[rows], self._dev_targets[rows])

        score = scores_by_source(task, compute, self._sources)[metric]
        low, high = bootstrap_interval(lambda rows: compute(rows)[metric], len(self._sources))
        return LayerScore(
            layer=layer,
            score=score,
            low=low,
            high=high,
            held_out_score=predictions.held_out_score,
            penalty=predictions.penalty,
        )

    def gain_interval(
        self, first: RidgePredictions, second: RidgePredictions
    ) -> tuple[float, float]:
        """Return the paired 95 % interval of the gain of the first predictions over the second."""
        predicted, others = (
            predicted_values(self._task, predictions.outputs) for predictions in (first, second)
        )
        return gain_interval(self._task, self._dev_targets, predicted, others, self._sources)
