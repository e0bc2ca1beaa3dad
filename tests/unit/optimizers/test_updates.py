"""AdamW with bias correction, and Muon, against the same formulas in float64."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import ml_dtypes
import numpy as np
import pytest
from keras import ops

from albert_core.optimizers import adamw
from albert_core.optimizers.adamw import AdamW
from albert_core.optimizers.factory import make_optimizer
from albert_core.optimizers.muon import Muon, orthogonalize

pytestmark = pytest.mark.backends

BLOCK = "model/bert/encoder/transformer/group_0/inner_group_1"
SHAPES = {
    f"{BLOCK}/attention_1/self/query/kernel": (12, 12),
    f"{BLOCK}/ffn_1/intermediate/dense/kernel": (12, 20),
    f"{BLOCK}/ffn_1/intermediate/output/dense/kernel": (20, 12),
    f"{BLOCK}/ffn_1/intermediate/dense/bias": (20,),
    f"{BLOCK}/attention_1/output/LayerNorm/gamma": (12,),
    "model/bert/embeddings/word_embeddings": (30, 6),
    "model/bert/encoder/embedding_hidden_mapping_in/kernel": (6, 12),
    "model/bert/pooler/dense/kernel": (12, 12),
    "model/cls/predictions/transform/dense/kernel": (12, 6),
}
MATRICES = tuple(name for name in SHAPES if name.startswith(BLOCK) and name.endswith("kernel"))
RATES = (0.01, 0.03, 0.02, 0.01, 0.005, 0.0)
DECAY, BETA_1, BETA_2, EPSILON = 0.1, 0.8, 0.98, 1e-5

Arrays = dict[str, np.ndarray]


def random_arrays(seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype("float32") for name, shape in SHAPES.items()}


def new_variables(values: Mapping[str, np.ndarray]) -> list[keras.Variable]:
    variables = []
    for path, value in values.items():
        *scopes, last = path.split("/")
        with contextlib.ExitStack() as stack:
            for scope in scopes:
                stack.enter_context(keras.name_scope(scope))
            variables.append(keras.Variable(value, name=last))
    return variables


def trained(optimizer: AdamW) -> Arrays:
    """Return the variables after an update with each of the rates."""
    variables = new_variables(random_arrays(0))
    optimizer.build(variables)
    for step, rate in enumerate(RATES, start=1):
        optimizer.learning_rate = rate
        gradients = [ops.convert_to_tensor(gradient) for gradient in random_arrays(step).values()]
        optimizer.apply(gradients, variables)
    return {v.path: np.asarray(v) for v in variables}


def adamw_update(gradients: Sequence[np.ndarray], variable: np.ndarray, *, name: str) -> np.ndarray:
    """Return the last update of AdamW with bias correction, from all gradients so far."""
    t = len(gradients)
    m = sum((1 - BETA_1) * BETA_1 ** (t - i) * g for i, g in enumerate(gradients, start=1))
    v = sum((1 - BETA_2) * BETA_2 ** (t - i) * g**2 for i, g in enumerate(gradients, start=1))
    m, v = m / (1 - BETA_1**t), v / (1 - BETA_2**t)
    is_decayed = not ("bias" in name or "LayerNorm" in name)
    return m / (np.sqrt(v) + EPSILON) + is_decayed * DECAY * variable


def muon_update(
    orthogonal: Callable[[np.ndarray], np.ndarray],
    gradients: Sequence[np.ndarray],
    variable: np.ndarray,
    *,
    name: str,
) -> np.ndarray:
    """Return the last update of Muon for a matrix, of AdamW for others."""
    if name not in MATRICES:
        return adamw_update(gradients, variable, name=name)
    t = len(gradients)
    m = sum(0.1 * 0.9 ** (t - i) * g for i, g in enumerate(gradients, start=1))
    update = orthogonal(0.9 * m + 0.1 * gradients[-1])
    scale = 0.2 * np.sqrt(max(variable.shape))
    return 0.5 * (scale * update + DECAY * variable)  # 0.5 is the ratio of the rates


def orthogonal_in_float32(matrix: np.ndarray) -> np.ndarray:
    """Apply the quintic to the singular values themselves, which need no iteration of matrices."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    values = values / np.sqrt(np.sum(values**2))
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return (left * values) @ right


def orthogonal_in_bfloat16(matrix: np.ndarray) -> np.ndarray:
    """Iterate with matrices in float64, each result of an operation rounded to bfloat16."""
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = rounded(x / np.sqrt(np.sum(x**2)))
    a, b, c = (float(rounded(np.array(factor))) for factor in (3.4445, -4.7750, 2.0315))
    for _ in range(5):
        gram = rounded(x @ x.T)
        polynomial = rounded(rounded(b * gram) + rounded(c * rounded(gram @ gram)))
        x = rounded(rounded(a * x) + rounded(polynomial @ x))
    return x.T if is_tall else x


def rounded(values: np.ndarray) -> np.ndarray:
    """Return values rounded to bfloat16, as float64."""
    return values.astype(ml_dtypes.bfloat16).astype("float64")


def expected(update: Callable[..., np.ndarray]) -> Arrays:
    *_, last = expected_values(update)
    return last


def expected_values(update: Callable[..., np.ndarray]) -> Iterator[Arrays]:
    """Yield the variables before the first update and after each."""
    values = {name: value.astype("float64") for name, value in random_arrays(0).items()}
    yield dict(values)
    gradients: dict[str, list[np.ndarray]] = {name: [] for name in SHAPES}
    for step, rate in enumerate(RATES, start=1):
        for name, gradient in random_arrays(step).items():
            gradients[name].append(gradient.astype("float64"))
            values[name] = values[name] - rate * update(gradients[name], values[name], name=name)
        yield dict(values)


ADAM: dict[str, Any] = {
    "decay_rate": DECAY,
    "beta_1": BETA_1,
    "beta_2": BETA_2,
    "epsilon": EPSILON,
    "bias_correction": True,
}


@pytest.mark.parametrize("is_compiled", [False, True])
def test_adamw_with_bias_correction(is_compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_compiled:
        monkeypatch.setattr(adamw, "_LARGE", 1)
    actual = trained(AdamW(0.1, **ADAM))
    for name, value in expected(adamw_update).items():
        np.testing.assert_allclose(actual[name], value, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("precision", "orthogonal"),
    [("float32", orthogonal_in_float32), ("bfloat16", orthogonal_in_bfloat16)],
)
def test_muon(precision: Any, orthogonal: Callable[..., np.ndarray]) -> None:
    optimizer = Muon(0.1, momentum=0.9, rate_ratio=0.5, precision=precision, **ADAM)
    actual = trained(optimizer)
    for name, value in expected(functools.partial(muon_update, orthogonal)).items():
        np.testing.assert_allclose(actual[name], value, rtol=1e-6, atol=1e-6, err_msg=name)


MUON: dict[str, Any] = {"momentum": 0.9, "rate_ratio": 0.5, "precision": "float32", **ADAM}


@pytest.mark.parametrize(
    ("kind", "settings", "update"),
    [
        (AdamW, ADAM, adamw_update),
        (Muon, MUON, functools.partial(muon_update, orthogonal_in_float32)),
    ],
)
def test_averaged_weights(kind: Any, settings: Any, update: Callable[..., np.ndarray]) -> None:
    optimizer = kind(0.1, ema_decay=0.3, **settings)
    weights, plain = trained(optimizer), trained(kind(0.1, **settings))
    first, *others = expected_values(update)
    averages = first
    for t, values in enumerate(others):
        decay = min(0.3, (1 + t) / (10 + t))  # the latter for the first three
        averages = {
            name: decay * average + (1 - decay) * values[name] for name, average in averages.items()
        }
    for name, average in optimizer.averages_by_name().items():
        np.testing.assert_array_equal(weights[f"model/{name}"], plain[f"model/{name}"])
        np.testing.assert_allclose(
            np.asarray(average), averages[f"model/{name}"], rtol=1e-6, atol=1e-6, err_msg=name
        )


def test_averages_are_in_the_place_of_the_weights_for_a_while() -> None:
    variables = new_variables(random_arrays(0))
    optimizer = AdamW(0.1, ema_decay=0.9)
    optimizer.build(variables)
    gradients = [ops.convert_to_tensor(gradient) for gradient in random_arrays(1).values()]
    optimizer.apply(gradients, variables)
    weights = [np.asarray(variable).copy() for variable in variables]
    averages = [np.asarray(average).copy() for average in optimizer.averages_by_name().values()]
    with contextlib.suppress(InterruptedError), optimizer.averages_in_place():
        for variable, average, weight in zip(variables, averages, weights, strict=True):
            np.testing.assert_array_equal(np.asarray(variable), average)
            assert not np.array_equal(average, weight)
        raise InterruptedError
    for variable, weight in zip(variables, weights, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), weight)
    optimizer.apply(gradients, variables)  # with JAX no array is in two places


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(16, 16), (16, 40), (40, 16)])
def test_an_orthogonal_update_has_singular_values_near_1(
    shape: tuple[int, int], dtype: str
) -> None:
    rng = np.random.default_rng(1)
    left, _, right = np.linalg.svd(rng.normal(size=shape), full_matrices=False)
    matrix = (left * np.geomspace(1e-4, 1e-6, 16)) @ right  # of any size, a hundred to one
    result = np.asarray(orthogonalize(ops.convert_to_tensor(matrix.astype("float32")), dtype))
    assert result.dtype == "float32"
    values = np.linalg.svd(result, compute_uv=False)
    assert 0.65 < values.min() <= values.max() < 1.25


def test_a_gradient_of_zeros_leaves_a_matrix_to_its_decay() -> None:
    zeros = ops.zeros((12, 20))
    np.testing.assert_array_equal(np.asarray(orthogonalize(zeros, "bfloat16")), 0.0)


def test_every_variable_of_the_optimizer_is_saved_and_matrices_have_one_moment() -> None:
    optimizer = Muon()
    optimizer.build(new_variables(random_arrays(0)))
    slots = optimizer.slots_by_name()
    with_muon_m = {name for name in SHAPES if f"{name.removeprefix('model/')}/muon_m" in slots}
    assert with_muon_m == set(MATRICES)
    assert len(slots) == 2 * len(SHAPES) - len(MATRICES)
    saved = {id(variable) for variable in optimizer.state_by_name().values()}
    # The rate is computed from the step.
    assert [v.path for v in optimizer.variables if id(v) not in saved] == ["muon/learning_rate"]


@pytest.mark.parametrize(
    ("policy", "precision"), [("float32", "float32"), ("mixed_bfloat16", "bfloat16")]
)
def test_the_precision_of_muon_is_that_of_the_layers(policy: str, precision: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        optimizer = make_optimizer(
            "muon", learning_rate=0.1, num_train_steps=10, num_warmup_steps=2, momentum=0.9
        )
    finally:
        keras.config.set_dtype_policy("float32")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(again) is Muon
    assert again.get_config() == optimizer.get_config()
    assert (again.precision, again.momentum, again.global_clipnorm) == (precision, 0.9, 1.0)
