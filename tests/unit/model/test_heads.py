"""What must hold for every head: it learns, takes any batch and precision, refuses wrong shapes."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.model import (
    AlbertForMultipleChoice,
    AlbertForQuestionAnswering,
    AlbertForQuestionAnsweringWithBeam,
    AlbertForSequenceClassification,
    load_weights,
    weights_by_name,
)
from albert_core.model.heads import AlbertWithHead
from albert_core.model.weights import as_arrays
from albert_core.optimizers.factory import make_optimizer
from albert_core.training.checkpoint import restore_latest, save_checkpoint
from albert_core.training.state import TrainingState
from tests.helpers.eager import functions_run_eagerly

pytestmark = pytest.mark.backends

CONFIG = AlbertConfig(
    vocab_size=50,
    embedding_size=8,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=24,
    initializer_range=0.3,
)
LENGTH, CHOICES, QUESTION = 12, 3, 5
# In a batch of any head: JAX, which compiles an operation for each shape, compiles the encoder's
# for all heads together.
NUM_ROWS = 12
FEW = 4  # examples, whose loss falls within a few steps
COMPILED = keras.backend.backend() == "jax"  # XLA takes TensorFlow seconds a head

MODELS: dict[str, Callable[[], AlbertWithHead]] = {
    "classification": lambda: AlbertForSequenceClassification(CONFIG, num_labels=3),
    "regression": lambda: AlbertForSequenceClassification(CONFIG, num_labels=1),
    "multiple_choice": lambda: AlbertForMultipleChoice(CONFIG),
    "question_answering": lambda: AlbertForQuestionAnswering(CONFIG),
    "with_beam": lambda: AlbertForQuestionAnsweringWithBeam(CONFIG, start_n_top=3, end_n_top=2),
    **{
        pooling: functools.partial(
            AlbertForSequenceClassification, CONFIG, num_labels=3, pooling=pooling
        )
        for pooling in ("mean", "layer_mix", "siamese")
    },
}
OUTPUT_LAYER = {"output_weights", "output_bias"}
# A softmax is the same whatever these are: their gradient is 0 but for rounding.
ADDED_TO_ALL_LOGITS = {
    "cls/squad/output_bias",
    "start_logits/dense/bias",
    "end_logits/dense_1/bias",
    "layer_mix/layer_logits",  # of the one layer
}
HEAD_VARIABLES = {
    "classification": OUTPUT_LAYER,
    "regression": OUTPUT_LAYER,
    "multiple_choice": OUTPUT_LAYER,
    "question_answering": {"cls/squad/output_weights", "cls/squad/output_bias"},
    "with_beam": {
        "start_logits/dense/kernel",
        "start_logits/dense/bias",
        "end_logits/dense_0/kernel",
        "end_logits/dense_0/bias",
        "end_logits/LayerNorm/gamma",
        "end_logits/LayerNorm/beta",
        "end_logits/dense_1/kernel",
        "end_logits/dense_1/bias",
        "answer_class/dense_0/kernel",
        "answer_class/dense_0/bias",
        "answer_class/dense_1/kernel",
    },
    "mean": {"mean/output_weights", "mean/output_bias"},
    "layer_mix": {
        "layer_mix/output_weights",
        "layer_mix/output_bias",
        "layer_mix/layer_logits",
    },
    "siamese": {"siamese/output_weights", "siamese/output_bias"},
}
NUM_SEQUENCES = {"multiple_choice": CHOICES, "siamese": 2}  # of an example, where it has several
NUM_EXAMPLES = {head: NUM_ROWS // NUM_SEQUENCES.get(head, 1) for head in MODELS}
Arrays = dict[str, np.ndarray]


def new_model(head: str) -> AlbertWithHead:
    keras.utils.set_random_seed(1)
    return MODELS[head]()


def make_batch(
    head: str, *, batch: int | None = None, length: int = LENGTH, seed: int = 0
) -> tuple[Arrays, Any]:
    """Return inputs and targets: QUESTION positions, then a text with an answer, then padding.

    By default the examples of NUM_ROWS sequences.
    """
    rng, batch = np.random.default_rng(seed), batch or NUM_EXAMPLES[head]
    shape = (batch, *([NUM_SEQUENCES[head]] if head in NUM_SEQUENCES else []), length)
    used = rng.integers(QUESTION + 2, length, shape[:-1], endpoint=True)[..., None]
    inputs = {
        "input_ids": rng.integers(0, CONFIG.vocab_size, shape),
        "input_mask": (np.arange(length) < used).astype(int),
        "segment_ids": np.broadcast_to(np.arange(length) >= QUESTION, shape).astype(int),
    }
    if head == "regression":
        return inputs, rng.uniform(0, 5, batch)
    if head in ("classification", "multiple_choice", "mean", "layer_mix", "siamese"):
        return inputs, rng.integers(0, 3, batch)
    start, end = np.sort(rng.integers(QUESTION, used, (batch, 2)), axis=1).T
    targets = {"start_positions": start, "end_positions": end}
    if head == "question_answering":
        return inputs, targets
    in_text = inputs["input_mask"] * inputs["segment_ids"]
    inputs |= {"p_mask": 1 - in_text, "start_positions": start}
    return inputs, targets | {"is_impossible": rng.integers(0, 2, batch)}


def compile_model(model: AlbertWithHead, *, jit_compile: bool = COMPILED) -> AlbertWithHead:
    optimizer = make_optimizer("adamw", learning_rate=0.01, num_train_steps=20, num_warmup_steps=0)
    optimizer.build(model.trainable_variables)  # else TensorFlow traces the first step twice
    model.compile(optimizer=optimizer, jit_compile=jit_compile)
    return model


def without_start(inputs: Arrays) -> Arrays:
    return {name: values for name, values in inputs.items() if name != "start_positions"}


def numbers(outputs: Any) -> Arrays:
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    return {name: ops.convert_to_numpy(ops.cast(v, "float32")) for name, v in outputs.items()}


@pytest.mark.parametrize("head", MODELS)
def test_training_lowers_the_loss(head: str) -> None:
    """Traced where tests/components/finetune/test_learning.py does not train the head so."""
    model, (inputs, targets) = compile_model(new_model(head)), make_batch(head, batch=FEW)
    with functions_run_eagerly(head not in ("layer_mix", "siamese")):
        before = model.evaluate(inputs, targets, batch_size=FEW, verbose=0)
        model.fit(inputs, targets, batch_size=FEW, epochs=4, verbose=0)
        assert model.evaluate(inputs, targets, batch_size=FEW, verbose=0) < 0.95 * before


@pytest.mark.parametrize("head", MODELS)
def test_variables_have_the_originals_names(head: str) -> None:
    names = weights_by_name(new_model(head)).keys()
    assert {name for name in names if not name.startswith("bert/")} == HEAD_VARIABLES[head]
    assert "bert/pooler/dense/kernel" in names


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("head", ["question_answering", "with_beam", "layer_mix", "siamese"])
def test_a_pooler_that_is_not_used_is_not_trained_and_not_lost(head: str, tmp_path: Path) -> None:
    model, (inputs, targets) = compile_model(new_model(head)), make_batch(head, batch=FEW)
    before = as_arrays(weights_by_name(model))
    # With output weights of 0, as of `siamese`, the encoder's first gradient is 0.
    model.fit(inputs, targets, batch_size=FEW, epochs=2, verbose=0)
    after = as_arrays(weights_by_name(model))
    same = {name for name in after if np.array_equal(after[name], before[name])}
    assert same - ADDED_TO_ALL_LOGITS == {"bert/pooler/dense/kernel", "bert/pooler/dense/bias"}
    save_checkpoint(tmp_path, model, TrainingState(step=1), keep=1)
    resumed = compile_model(MODELS[head]())
    restore_latest(tmp_path, resumed)
    for name, values in as_arrays(weights_by_name(resumed)).items():
        np.testing.assert_array_equal(values, after[name], err_msg=name)


@pytest.mark.parametrize(
    ("head", "jit_compile"),
    sorted(
        {*((head, COMPILED) for head in MODELS), ("multiple_choice", True), ("with_beam", True)}
    ),
)
def test_batches_of_any_size_and_length(head: str, jit_compile: bool) -> None:
    """One compiled function, whose sizes TensorFlow leaves open from the second batch on.

    XLA compiles one for each shape, and has seen enough with two.
    """
    model = compile_model(new_model(head), jit_compile=jit_compile)
    sizes = [(12, 12), (6, 20)] if jit_compile else [(12, 12), (6, 12), (18, 20)]
    for seed, (num_rows, length) in enumerate(sizes):
        batch = num_rows // NUM_SEQUENCES.get(head, 1)
        inputs = without_start(make_batch(head, batch=batch, length=length, seed=seed)[0])
        actual = numbers(model.predict_on_batch(inputs))
        for name, expected in numbers(model(inputs, training=False)).items():
            np.testing.assert_allclose(actual[name], expected, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("head", MODELS)
def test_half_precision_stays_near_full_precision(head: str, policy: str) -> None:
    model, (inputs, targets) = new_model(head), make_batch(head)
    keras.config.set_dtype_policy(policy)
    try:
        half = new_model(head)
    finally:
        keras.config.set_dtype_policy("float32")
    load_weights(half, weights_by_name(model), source="the same model in full precision")
    loss, expected = (m.compute_loss(inputs, targets, m(inputs)) for m in (half, model))
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert float(loss) == pytest.approx(float(expected), rel=0.1)
    for name, values in numbers(half(without_start(inputs))).items():
        assert np.isfinite(values).all(), name


@pytest.mark.parametrize("head", MODELS)
def test_rows_of_weight_zero_do_not_count(head: str) -> None:
    model, (inputs, targets) = new_model(head), make_batch(head)
    outputs = model(inputs, training=False)
    losses = ops.convert_to_numpy(model.example_losses(targets, outputs))
    weights = (np.arange(len(losses)) < len(losses) - 1).astype("float32")
    loss = model.compute_loss(inputs, targets, outputs, sample_weight=weights)
    assert float(loss) == pytest.approx(losses[:-1].mean(), rel=1e-5)
    assert float(model.compute_loss(inputs, targets, outputs, 0 * weights)) == 0.0


def test_permuted_choices_permute_the_logits() -> None:
    model, (inputs, _) = new_model("multiple_choice"), make_batch("multiple_choice")
    order = [2, 0, 1]
    permuted = {name: values[:, order] for name, values in inputs.items()}
    expected = ops.convert_to_numpy(model(inputs))[:, order]
    np.testing.assert_allclose(model(permuted), expected, atol=2e-5)


def test_search_finds_only_positions_of_the_text_best_first() -> None:
    model, inputs = new_model("with_beam"), without_start(make_batch("with_beam")[0])
    inputs["p_mask"][:] = np.arange(LENGTH) < QUESTION
    spans = numbers(model(inputs))
    for name, width in (("start", (NUM_ROWS, 3)), ("end", (NUM_ROWS, 3, 2))):
        index, log_probs = (
            spans[f"{name}_top_{values}"].reshape(width) for values in ("index", "log_probs")
        )
        assert index.min() >= QUESTION
        assert (np.diff(log_probs) <= 0).all()
        assert (log_probs > -100).all()


def test_search_scores_ends_as_if_their_start_were_given() -> None:
    model, (inputs, _) = new_model("with_beam"), make_batch("with_beam")
    spans = numbers(model(without_start(inputs)))
    inputs["start_positions"] = spans["start_top_index"][:, 1].astype(int)
    log_probs = numbers(ops.log_softmax(model(inputs)["end_logits"]))["logits"]
    expected = np.sort(log_probs, axis=1)[:, ::-1][:, :2]
    np.testing.assert_allclose(spans["end_top_log_probs"][:, 2:4], expected, atol=2e-5)


@pytest.mark.parametrize("head", MODELS)
def test_wrong_axes_are_refused(head: str) -> None:
    (inputs, _), model = make_batch(head), new_model(head)
    inputs = {name: values[0] for name, values in inputs.items()}
    axes = {
        "multiple_choice": "batch, choices, sequence",
        "siamese": "batch, texts, sequence",
    }.get(head, "batch, sequence")
    with pytest.raises(InputError, match=rf"input_ids: got shape \(.*\), expected \[{axes}\]"):
        model(inputs)


@pytest.mark.parametrize("name", ["start_n_top", "end_n_top"])
def test_searching_more_positions_than_there_are_is_refused(name: str) -> None:
    for number in (0, CONFIG.max_position_embeddings + 1):
        with pytest.raises(InputError, match=f"{name}: got {number}, expected 1 to .*length=24"):
            AlbertForQuestionAnsweringWithBeam(CONFIG, **{name: number})
    model = AlbertForQuestionAnsweringWithBeam(CONFIG, **{name: LENGTH + 1})
    with pytest.raises(InputError, match=f"{name}: got 13, expected 1 to sequence length=12"):
        model(without_start(make_batch("with_beam")[0]))


def test_a_start_outside_the_sequence_is_refused() -> None:
    model, (inputs, _) = new_model("with_beam"), make_batch("with_beam")
    inputs["start_positions"][1] = LENGTH
    with pytest.raises(InputError, match=r"start_positions: got 12, .* sequence length=12"):
        model(inputs)


def test_training_without_the_start_is_refused() -> None:
    model, (inputs, targets) = compile_model(new_model("with_beam")), make_batch("with_beam")
    with pytest.raises(InputError, match="start_positions: missing from the inputs"):
        model.fit(without_start(inputs), targets, batch_size=FEW, verbose=0)
