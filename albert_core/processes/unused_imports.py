"""Imports that Keras, TensorFlow and Beam make for features this program does not use, left out.

Keras imports matplotlib for galleries of images and scikit-learn for wrappers in its style; a
callback of Keras and TensorFlow Lite's converter import JAX, under TensorFlow, too. All do without
where these are not installed. They are installed here, since other parts of the program use them,
and would cost every process that trains or predicts about 2.5 seconds of a core: 40 % of its
imports. Beam imports the clients of clouds, which take a third of the imports of its workers.
"""

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Mapping, Sequence

# For each package: who imports it without need.
_UNUSED = {
    "matplotlib": ("keras.",),
    "sklearn": ("keras.",),
    "jax": ("tensorflow.lite.", "keras.src.callbacks."),
}
_CLOUDS = {
    name: ("apache_beam.",)
    for name in (
        "apache_beam.io.gcp.gcsfilesystem",  # warns where it finds no client
        "boto3",
        "google.cloud.bigquery",
        "google.cloud.dataflow",
        "google.cloud.pubsub",
        "google.cloud.storage",
    )
}


class _UnusedImportFinder(importlib.abc.MetaPathFinder):
    """A finder that hides packages from modules that need them for optional features alone."""

    def __init__(self, unused: Mapping[str, tuple[str, ...]]) -> None:
        """Keep for each package the beginnings of the names of modules that do not see it."""
        self.unused = unused

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Raise ModuleNotFoundError for an import that is not needed; else return None.

        It is not needed where `unused` lists the package with the beginning of the importing
        module's name; the same package is found for any other module. By None Python asks the other
        finders.
        """
        importers = self.unused.get(fullname)
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
    _hide(_UNUSED)


def skip_cloud_clients_of_beam() -> None:
    """Let Beam, when it is imported from now on, do without the clients of Google's cloud and S3.

    For Beam's workers on this machine: only what starts them needs such a client of Beam's, and
    this program's own modules, for which nothing changes, read the corpus. A second call does
    nothing.
    """
    _hide(_CLOUDS)


def _hide(unused: Mapping[str, tuple[str, ...]]) -> None:
    """Have Python ask a finder for these packages first, unless it does."""
    finders = [finder for finder in sys.meta_path if isinstance(finder, _UnusedImportFinder)]
    if not any(finder.unused is unused for finder in finders):
        sys.meta_path.insert(0, _UnusedImportFinder(unused))
