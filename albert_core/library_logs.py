"""What TensorFlow, XLA and others write to standard error and logs, left to what somebody needs."""

import logging
import os

from albert_core.machine import nvidia_gpu_names

# TensorFlow's and XLA's code in C++ reads it when it is loaded: 2 leaves errors, 3 what ends the
# process. Whatever fails a step is an exception in Python, and shown as one, in any case.
_LEVEL_VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
_ERRORS, _FATAL_ERRORS = "2", "3"
_LOGGERS = ("absl", "tensorflow", "tf2onnx", "jax", "apache_beam")


def quiet_libraries() -> None:
    """Let libraries that are loaded from now on log errors alone, in this process and its children.

    For the processes of this program's commands and steps. Without an NVIDIA GPU, TensorFlow's code
    in C++ is left to log what ends the process: its errors there are that it finds no driver. A
    level that the environment sets stays, so that whoever looks for something sees everything.
    """
    level = _ERRORS if nvidia_gpu_names() else _FATAL_ERRORS
    os.environ.setdefault(_LEVEL_VARIABLE, level)
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
