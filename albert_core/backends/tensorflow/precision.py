"""How exactly TensorFlow multiplies matrices of float32."""

import tensorflow as tf


def multiply_in_float32() -> None:
    """Let TensorFlow multiply matrices of float32 in float32 on every device, in the whole process.

    Left alone it rounds their factors: to TF32 on NVIDIA GPUs from Ampere on, to bfloat16 on TPUs.
    Products of other types, and those on CPUs, are as they are without it.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
