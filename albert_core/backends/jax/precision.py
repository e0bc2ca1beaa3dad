"""How exactly JAX multiplies matrices of float32."""

import jax


def multiply_in_float32() -> None:
    """Let JAX multiply matrices of float32 in float32 on every device, in the whole process.

    Left alone it rounds their factors: to TF32 on NVIDIA GPUs from Ampere on, to bfloat16 on TPUs.
    A precision that the user has set, by JAX_DEFAULT_MATMUL_PRECISION or in `jax.config`, stays.
    Products of other types, and those on CPUs, are as they are without it.
    """
    if jax.config.values["jax_default_matmul_precision"] is None:
        jax.config.update("jax_default_matmul_precision", "highest")
