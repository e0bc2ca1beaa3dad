"""Floating-point operations of ALBERT, counted from its sizes, and what a device can do at most.

Only matrix products count, a multiplication and an addition each; the rest is about 1 % more.
"""

import time
from collections.abc import Mapping

from albert_core.config import AlbertConfig

# Dense bfloat16 FLOP/s of one device by what its driver calls it, from the makers' data sheets.
# Their headline is often twice that: it is for matrices half of whose values are zeros.
PEAK_FLOPS: Mapping[str, float] = {
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5p": 459e12,
    # JAX calls a v5p by its generation alone, and a v5e "TPU v5 lite".
    "TPU v5": 459e12,
    "TPU v6 lite": 918e12,
    "NVIDIA A100": 312e12,
    "NVIDIA H100": 989e12,
    "NVIDIA H200": 989e12,
    "NVIDIA L4": 121e12,
    # In float16, because these have no bfloat16.
    "NVIDIA V100": 125e12,
    "Tesla V100": 125e12,
    "Tesla T4": 65e12,
}


def training_flops_per_token(
    config: AlbertConfig, sequence_length: int, num_predictions: int, *, has_pooler: bool = True
) -> float:
    """Return a model's FLOPs for one token of masked LM's training; backward is twice forward.

    Weights that layers share are used, and counted, in each of them: six times the number of
    parameters, the usual estimate, is 7 to 21 times too low for ALBERT.

    Args:
        config: The architecture.
        sequence_length: Length S of a sequence.
        num_predictions: Prediction slots P of a sequence.
        has_pooler: Whether it has a pooler, which the generator of replaced tokens has not.
    """
    c = config
    forward = (
        _layers_flops(c, sequence_length)
        + num_predictions
        / sequence_length
        * (2 * c.hidden_size * c.embedding_size + 2 * c.embedding_size * c.vocab_size)
        + _pooler_flops(c, sequence_length) * has_pooler
    )
    return 3 * forward


def detection_flops_per_token(config: AlbertConfig, sequence_length: int) -> float:
    """Return a model's FLOPs for one token of replaced-token detection, without its generator's.

    As in `training_flops_per_token`; the head is a dense layer and one output, at every position.
    """
    h = config.hidden_size
    head = 2 * h**2 + 2 * h
    return 3 * (
        _layers_flops(config, sequence_length) + _pooler_flops(config, sequence_length) + head
    )


def skipped_flops_per_token(
    config: AlbertConfig, sequence_length: int, num_predictions: int
) -> float:
    """Return the part of `training_flops_per_token` that this implementation saves.

    The last block computes only [CLS] and the predicted tokens; keys and values of all tokens. 0
    where all tokens are predicted.

    Args:
        config: The architecture.
        sequence_length: Length S of a sequence.
        num_predictions: Prediction slots P of a sequence.
    """
    unread = 1 - (1 + num_predictions) / sequence_length
    unskipped_flops = 4 * config.hidden_size**2
    return 3 * max(unread, 0.0) * (_block_flops(config, sequence_length) - unskipped_flops)


def encoder_flops_per_token(
    config: AlbertConfig, sequence_length: int, *, reads_first_token_only: bool
) -> float:
    """Return the FLOPs of a prediction for one token, with the pooler's but not a head's.

    The tokens among which a sequence's FLOPs are divided are all S, padding included.

    Args:
        config: The architecture.
        sequence_length: Length S of a sequence.
        reads_first_token_only: Whether the last block computes [CLS] alone, but keys and values of
            all tokens.
    """
    flops = _layers_flops(config, sequence_length) + _pooler_flops(config, sequence_length)
    if not reads_first_token_only:
        return flops
    unread = 1 - 1 / sequence_length
    return flops - unread * (_block_flops(config, sequence_length) - 4 * config.hidden_size**2)


def _layers_flops(config: AlbertConfig, sequence_length: int) -> float:
    """Forward FLOPs of all blocks and of the embeddings' projection, if any, for one token."""
    e, h = config.embedding_size, config.hidden_size
    num_blocks = config.num_hidden_layers * config.inner_group_num
    return num_blocks * _block_flops(config, sequence_length) + 2 * e * h * (e != h)


def _pooler_flops(config: AlbertConfig, sequence_length: int) -> float:
    """Forward FLOPs of the pooler, which runs once a sequence, for one token."""
    return 2 * config.hidden_size**2 / sequence_length


def _block_flops(config: AlbertConfig, sequence_length: int) -> float:
    """Forward FLOPs of one block for one token: projections, feed-forward, attention."""
    h = config.hidden_size
    return 8 * h**2 + 4 * h * config.intermediate_size + 4 * sequence_length * h


def peak_flops(device_name: str) -> float | None:
    """Return the data sheet's bfloat16 FLOP/s of a device, or None if it is not listed.

    They are float16's where a device has no bfloat16. A listed name stands for all devices whose
    name begins with it; if several fit, the longest one counts.
    """
    # Several can match: "TPU v5" is how "TPU v5 lite" begins.
    names = [name for name in PEAK_FLOPS if device_name.startswith(name)]
    return PEAK_FLOPS[max(names, key=len)] if names else None


def measured_matrix_flops(num_repeats: int = 3, size: int = 2048, num_products: int = 1) -> float:
    """Measure matrix products [size, size] on the default device; return the best rate in FLOP/s.

    For devices without a data sheet, such as CPUs; takes a fraction of a second. The matrices
    are of the type that models made now compute in.

    Args:
        num_repeats: Measurements, of which the fastest counts.
        size: Rows and columns of the matrices.
        num_products: Products in a measurement: on a GPU, with several in a row the time to
            launch and to wait matters less.
    """
    import keras
    from keras import ops

    dtype = keras.config.dtype_policy().compute_dtype
    # Scaled so that products of products neither overflow nor vanish.
    square = ops.cast(keras.random.normal((size, size), seed=1) / size**0.5, dtype)
    best = float("inf")
    for _ in range(num_repeats + 1):  # the first one warms up
        started = time.perf_counter()
        product = square
        for _ in range(num_products):
            product = ops.matmul(product, square)
        # Waits for the device, which computes behind the program; one number costs no transfer.
        ops.convert_to_numpy(ops.cast(product[:1, :1], "float32"))
        best = min(best, (time.perf_counter() - started) / num_products)
    return 2 * size**3 / best
