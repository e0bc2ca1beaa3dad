"""What TensorFlow, XLA and others write to standard error and logs, left to what somebody needs."""

import contextlib
import faulthandler
import importlib.abc
import importlib.machinery
import logging
import os
import re
import sys
import types
from collections.abc import Iterator, Sequence

from albert_core.processes import standard_error
from albert_core.processes.machine import nvidia_gpu_names

# TensorFlow's and XLA's code in C++ reads it when it is loaded: 2 leaves errors, 3 what ends the
# process. Whatever fails a step is an exception in Python, and shown as one, in any case.
_LEVEL_VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
_ERRORS, _FATAL_ERRORS = "2", "3"
_WITH_WARNINGS = ("0", "1")
# Theirs in Python. Not those of JAX and Beam, whose few warnings are of interest: that a GPU is
# left unused, that an option for a cluster is dropped.
_LOGGERS = ("absl", "tensorflow", "tf2onnx")
# These write while they are loaded, before they look at the level.
_NOISY_PACKAGES = {"ai_edge_litert", "jaxlib", "keras", "tensorflow", "tensorflow_text"}
_SEVERITIES = "IWEF"
_LOG_LINE = re.compile(rf"([{_SEVERITIES}])\d{{4}} \d\d:\d\d:")
_PREAMBLE = "WARNING: All log messages before absl::InitializeLog() is called"


def quiet_libraries() -> None:
    """Let TensorFlow and XLA, once they are loaded, log errors alone, in this process and children.

    Sets TF_CPP_MIN_LOG_LEVEL in the environment, for children too: 2 (errors), or without an NVIDIA
    GPU 3 (what ends the process), since TensorFlow's errors there are that it finds no driver. A
    level that the environment has stays. Unless it shows warnings (0 or 1), the Python loggers of
    absl, tensorflow and tf2onnx are set to errors, in this process alone. What noisy packages write
    to standard error while they are loaded is filtered by the level. A second call does nothing
    more. For the processes of this program's commands and steps.
    """
    level = _ERRORS if nvidia_gpu_names() else _FATAL_ERRORS
    level = os.environ.setdefault(_LEVEL_VARIABLE, level)
    if level not in _WITH_WARNINGS:
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
    if not any(isinstance(finder, _NoisyPackageFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _NoisyPackageFinder())


class _NoisyPackageFinder(importlib.abc.MetaPathFinder):
    """A finder that loads packages as usual, and filters what they log meanwhile."""

    def __init__(self) -> None:
        self._is_loading = False

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the other finders' spec of a noisy package, with its loader wrapped; else None."""
        if fullname not in _NOISY_PACKAGES:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            self._wrap(spec.loader)
        return spec

    def _wrap(self, loader: importlib.abc.Loader) -> None:
        """Replace a loader's `exec_module` by one that holds back standard error meanwhile.

        If such packages import each other, only the outermost import does.
        """
        execute = loader.exec_module

        def execute_quietly(module: types.ModuleType) -> None:
            if self._is_loading:  # one of them imports another
                execute(module)
                return
            self._is_loading = True
            try:
                with _without_log_lines():
                    execute(module)
            finally:
                self._is_loading = False

        # On the loader itself, which keeps whatever else it can do.
        loader.exec_module = execute_quietly  # type: ignore[method-assign]


@contextlib.contextmanager
def _without_log_lines() -> Iterator[None]:
    """Hold back standard error while the body runs; then write it, without lines below the level.

    By descriptor, since libraries in C++ write there. Should they end the process meanwhile, Python
    tells on the real standard error what it was doing. It is written after an error of the body,
    too. Without a standard error the body just runs.
    """
    import tempfile

    try:
        os.fstat(2)
    except OSError:  # there is none
        yield
        return
    tells_of_crashes = not faulthandler.is_enabled()
    with tempfile.TemporaryFile() as held_back:
        try:
            with standard_error.sent_to(held_back.fileno()) as real:
                if tells_of_crashes:
                    faulthandler.enable(real)
                try:
                    yield
                finally:
                    if sys.stderr is not None:
                        sys.stderr.flush()
                    if tells_of_crashes:
                        faulthandler.disable()
        finally:
            held_back.seek(0)
            lines = held_back.read().decode(errors="replace").splitlines(keepends=True)
            shown = "".join(line for line in lines if not _is_below_level(line))
            with contextlib.suppress(OSError):  # nobody reads it any more
                os.write(2, shown.encode())


def _is_below_level(line: str) -> bool:
    """Return whether a line is a log line in C++ that TF_CPP_MIN_LOG_LEVEL leaves out.

    The preamble of such lines is left out from level 1 on; other lines never. A level that is no
    number counts as 0.
    """
    level = os.environ.get(_LEVEL_VARIABLE, "0")
    least = int(level) if level.isdigit() else 0
    if match := _LOG_LINE.match(line):
        return _SEVERITIES.index(match[1]) < least
    return least > 0 and line.startswith(_PREAMBLE)
