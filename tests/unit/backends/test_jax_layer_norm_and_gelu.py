"""Layer normalisation and gelu as JAX runs them."""

import keras
import numpy as np
import pytest

pytestmark = [
    pytest.mark.backends,
    pytest.mark.skipif(keras.backend.backend() != "jax", reason="of the JAX backend"),
]

EPSILON = 1e-12


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize(("shape", "dtype"), [((7, 11, 768), "bfloat16"), ((90, 128), "float32")])
def test_layer_normalization_and_its_gradient_equal_the_formula(shape, dtype):
    import jax
    import jax.numpy as jnp

    from albert_core.backends.jax.layer_norm import _normalize

    x = jnp.asarray(0.3 + normal(*shape), dtype)
    gamma, beta = 1.0 + 0.1 * normal(shape[-1], seed=2), normal(shape[-1], seed=3)
    weights = jnp.asarray(normal(*shape, seed=4), dtype).astype(jnp.float32)

    def actual(x, gamma, beta):
        y = _normalize(x, gamma, beta, EPSILON)
        return jnp.sum(y.astype(jnp.float32) * weights), y

    def formula(x, gamma, beta):
        wide = x.astype(jnp.float32)
        centred = wide - jnp.mean(wide, -1, keepdims=True)
        variance = jnp.mean(centred * centred, -1, keepdims=True)
        y = centred / jnp.sqrt(variance + EPSILON) * gamma + beta
        return jnp.sum(y * weights), y

    def differentiated(function):
        gradients = jax.grad(function, argnums=(0, 1, 2), has_aux=True)
        return jax.tree.leaves(jax.jit(gradients)(x, gamma, beta))

    tolerance = {"float32": 2e-5, "bfloat16": 1e-2}[dtype]
    for one, other in zip(differentiated(actual), differentiated(formula), strict=True):
        scale = np.abs(np.asarray(other, "float32")).max()
        difference = np.abs(np.asarray(one, "float32") - np.asarray(other, "float32"))
        assert difference.max() <= tolerance * scale


@pytest.mark.parametrize("training", [False, True])
def test_gelu_and_its_gradient_are_those_of_keras(training):
    import jax
    import jax.numpy as jnp

    from albert_core.backends.jax.gelu import gelu

    x = jnp.asarray(3.0 * normal(200))
    actual = jax.vmap(jax.value_and_grad(lambda x: gelu(x, training=training)))(x)
    expected = jax.vmap(jax.value_and_grad(lambda x: keras.ops.gelu(x, approximate=True)))(x)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_the_form_for_cublas_is_gelu():
    import jax.numpy as jnp

    from albert_core.backends.jax import gelu

    x = jnp.asarray(3.0 * normal(200))
    by_tanh, by_logistic = gelu._gelu_by_tanh(x), gelu._gelu_by_logistic(x)
    np.testing.assert_allclose(by_tanh, by_logistic, rtol=1e-4, atol=1e-5)


def test_cublas_computes_gelu_at_the_end_of_a_product():
    import jax
    import jax.numpy as jnp

    from albert_core.backends.jax.gelu import gelu

    if jax.default_backend() != "gpu":
        pytest.skip("needs a GPU")
    x, kernel = (jnp.asarray(normal(512, 512, seed=k), jnp.bfloat16) for k in (1, 2))
    x = x / 16

    def loss(x):
        return jnp.sum(jnp.square(gelu(x @ kernel, training=True).astype(jnp.float32)))

    options = {"xla_gpu_enable_triton_gemm": False}  # as `use_devices` chooses
    compiled = jax.jit(jax.value_and_grad(loss)).lower(x).compile(options)
    assert "GELU" in compiled.as_text()
    wide = x.astype(jnp.float32), kernel.astype(jnp.float32)
    value, gradient = jax.value_and_grad(
        lambda x: jnp.sum(jnp.square(gelu(x @ wide[1], training=True)))
    )(wide[0])
    actual = compiled(x)
    np.testing.assert_allclose(actual[0], value, rtol=1e-2)
    scale = float(jnp.abs(gradient).max())
    np.testing.assert_allclose(np.asarray(actual[1], "float32"), gradient, atol=2e-2 * scale)
