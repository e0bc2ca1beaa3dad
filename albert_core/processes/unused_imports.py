"""Imports that Keras and TensorFlow make for features this program does not use, left out.

Keras imports matplotlib for galleries of images and scikit-learn for wrappers in its style; a
callback of Keras and TensorFlow Lite's converter import JAX, under TensorFlow, too. All do without
where these are not installed. They are installed here, since other parts of the program use them,
and would cost every process that trains or predicts about 2.5 seconds of a core: 40 % of its
imports.
"""

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence

# For each package: who imports it without need.
_UNUSED = {
    "matplotlib": ("keras.",),
    "sklearn": ("keras.",),
    "jax": ("tensorflow.lite.", "keras.src.callbacks."),
}


class _UnusedImportFinder(importlib.abc.MetaPathFinder):
    """A finder that hides packages from modules that need them for optional features alone."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Raise ModuleNotFoundError for an import that is not needed; else return None.

        It is not needed where `_UNUSED` lists the package with the beginning of the importing
        module's name; the same package is found for any other module. By None Python asks the other
        finders.
        """
        importers = _UNUSED.get(fullname)
        if importers and _get_importer().startswith(importers):
            raise ModuleNotFoundError(f"left out: {fullname}", name=fullname)
        return None


def _get_importer() -> str:
    """Return the name of the module whose import statement is being run; "" when there is none."""
    frame: types.FrameType | None = sys._getframe(2)
    while frame and frame.f_globals.get("__name__", "").startswith("importlib."):
        frame = frame.f_back
    return frame.f_globals.get("__name__", "") if frame else ""


def skip_unused_imports() -> None:
    """Let Keras and TensorFlow, when they are imported from now on, do without what is not needed.

    For the processes of this program's commands and steps. Importing the library does not call it:
    a notebook may want what is left out, such as `keras.wrappers`. A second call does nothing.
    """
    if not any(isinstance(finder, _UnusedImportFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _UnusedImportFinder())
