"""Attention and the loop over layers as JAX runs them; on an NVIDIA GPU also cuDNN's kernel."""

import keras
import numpy as np
import pytest

pytestmark = [
    pytest.mark.backends,
    pytest.mark.skipif(keras.backend.backend() != "jax", reason="of the JAX backend"),
]

BATCH, LENGTH, HEADS, HEAD_SIZE = 3, 64, 2, 64
LENGTHS = np.array([LENGTH, 9, 2], "int32")


def vectors(seed, length=LENGTH):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(BATCH, length, HEADS, HEAD_SIZE)).astype("float32")


def bias():
    """Keep the last positions of some sequences from being attended to."""
    is_padding = np.arange(LENGTH) >= LENGTHS[:, None]
    return np.where(is_padding, -10000.0, 0.0).astype("float32")[:, None, None]


def expected(q, k, v):
    scores = np.einsum("bqnd,bsnd->bnqs", q, k) / HEAD_SIZE**0.5 + bias()
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.einsum("bnqs,bsnd->bqnd", weights, v)


@pytest.mark.parametrize("num_queries", [LENGTH, 5])
def test_padding_is_not_attended_to(num_queries):
    from albert_core.backends.jax.attention import attend

    q, k, v = vectors(0, num_queries), vectors(1), vectors(2)
    np.testing.assert_allclose(attend(q, k, v, bias()), expected(q, k, v), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("has_lengths", [False, True])
def test_the_fused_kernel_computes_the_same(has_lengths):
    import jax
    import jax.numpy as jnp

    from albert_core.backends.jax import attention

    if not attention._takes_heads(HEAD_SIZE, attention._compute_capability()):
        pytest.skip("needs an NVIDIA GPU, Ampere or later")
    narrow = [jnp.asarray(vectors(seed), jnp.bfloat16) for seed in range(3)]
    narrow_bias = jnp.asarray(bias(), jnp.bfloat16)

    lengths = jnp.asarray(LENGTHS) if has_lengths else None

    def loss(q, k, v):
        attended = attention.attend(q, k, v, narrow_bias, lengths)
        return jnp.sum(jnp.square(attended.astype(jnp.float32)))

    text = jax.jit(loss).lower(*narrow).as_text()
    assert "fmha" in text or "cudnn" in text.lower()
    fused = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))(*narrow)
    wide = [x.astype(jnp.float32) for x in narrow]
    plain = jax.value_and_grad(loss, argnums=(0, 1, 2))(*wide)
    for one, other in zip(jax.tree.leaves(fused), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(np.asarray(one, "float32"), other, rtol=3e-2, atol=6e-2)


def test_masks_that_are_no_prefix_give_nan(monkeypatch):
    import jax.numpy as jnp

    from albert_core.backends.jax import attention

    masks = np.array([[1, 1, 1, 0], [1, 0, 1, 1], [0, 0, 0, 0]])
    x = jnp.ones((3, 4, 2), jnp.bfloat16)
    monkeypatch.setattr(attention, "_compute_capability", lambda: 8.0)
    lengths, marked = attention.get_prefix_lengths(masks, x, HEAD_SIZE)
    assert np.asarray(lengths)[[0, 2]].tolist() == [3, 1]  # never 0
    assert marked.dtype == x.dtype
    assert np.isnan(np.asarray(marked, "float32")).all((1, 2)).tolist() == [False, True, False]
    for unused in (x.astype(jnp.float32), x[:, :3]):
        lengths, same = attention.get_prefix_lengths(masks[:, : unused.shape[1]], unused, HEAD_SIZE)
        assert lengths is None
        assert same is unused


def test_heads_that_cudnn_refuses_are_left_to_xla(monkeypatch):
    """The GPU is claimed: where cuDNN is chosen for it, this machine, which has none, fails."""
    import jax.numpy as jnp

    from albert_core.backends.jax import attention

    monkeypatch.setattr(attention, "_compute_capability", lambda: 8.0)
    narrow_bias = jnp.asarray(bias(), jnp.bfloat16)
    for head_size in (20, 136):
        x = jnp.ones((BATCH, LENGTH, HEADS, head_size), jnp.bfloat16)
        lengths, same = attention.get_prefix_lengths(narrow_bias[:, 0, 0] == 0, x, head_size)
        assert lengths is None
        assert same is x
        np.testing.assert_allclose(attention.attend(x, x, x, narrow_bias), x)


@pytest.mark.parametrize(
    ("compute_capability", "largest"), [(7.5, 0), (8.0, 128), (8.9, 128), (9.0, 256), (12.0, 128)]
)
def test_heads_are_taken_that_jax_lets_cudnn_have(monkeypatch, compute_capability, largest):
    import jax
    import jax.numpy as jnp
    from jax._src.cudnn import fused_attention_stablehlo as cudnn

    from albert_core.backends.jax.attention import _takes_heads

    monkeypatch.setattr(
        cudnn, "check_compute_capability", lambda least: compute_capability >= float(least)
    )
    sizes = range(4, 300, 4)
    taken = [size for size in sizes if _takes_heads(size, compute_capability)]
    assert taken == list(range(8, largest + 1, 8))
    for size in taken:
        heads = jax.ShapeDtypeStruct((BATCH, LENGTH, HEADS, size), jnp.bfloat16)
        layout = cudnn.AttentionLayout.BTNH.value
        cudnn.check_is_flash_attention(
            *3 * [heads], layout, cudnn_version=91_100, has_bias=True, is_training=True
        )


@pytest.mark.parametrize("may_scan", [False, True])
def test_what_is_saved_does_not_change_the_gradient(may_scan):
    import jax
    import jax.numpy as jnp

    from albert_core.backends.jax.layer_loop import repeat_layer, save_for_backward

    kernel = jnp.asarray(np.random.default_rng(3).normal(size=(4, 4)), jnp.float32)

    def looped(kernel, x, rematerialize):
        return jnp.sum(
            repeat_layer(
                lambda x, bias: jnp.tanh(save_for_backward(x @ kernel) + bias),
                x,
                [jnp.full((4,), 0.1)],
                3,
                may_scan=may_scan,
                rematerialize=rematerialize,
            )
        )

    def written_out(kernel, x):
        for _ in range(3):
            x = jnp.tanh(x @ kernel + 0.1)
        return jnp.sum(x)

    x = jnp.ones((2, 4))
    plain = jax.jit(jax.grad(written_out))(kernel, x)
    num_products = {}
    for rematerialize in (False, True):
        traced = jax.jit(jax.grad(looped), static_argnums=2).trace(kernel, x, rematerialize)
        lowered = traced.lower()
        num_products[rematerialize] = lowered.as_text().count("dot_general")
        np.testing.assert_allclose(lowered.compile()(kernel, x), plain, rtol=1e-5, atol=1e-6)
    # The product before the tanh is saved, or else computed again.
    assert num_products[True] > num_products[False]
