"""Documentation inside installed Python packages, cleaned down to sentences of prose.

Packages are located but never imported: their source files are parsed. What counts as documentation
is every docstring, the texts NumPy attaches to compiled functions with `add_newdoc`, and Python's
own language reference (`pydoc_data/topics.py`).
"""

import ast
import gc
import importlib.util
import multiprocessing
import re
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from albert_core.errors import InputError
from albert_core.processes.interruptible_calls import call_stoppably
from albert_core.processes.machine import can_share_semaphores, num_usable_cores
from components.demo_data.prose import Sentence, clean_docstring

PACKAGES = ("apache_beam", "keras", "numpy", "python", "tensorflow")

_MAX_PROCESSES = 8
_EXCLUDED_FOLDERS = frozenset(
    ["dist-packages", "idlelib", "kernel_tests", "lib2to3", "site-packages", "test", "tests"]
)
_EXCLUDED_FILES = re.compile(r"test_.*|.*_test\.py|.*_pb2(_grpc)?\.py")
# TensorFlow ships an old copy of Keras; its documentation is Keras documentation.
_KERAS_INSIDE_TENSORFLOW = ("python", "keras")
_TOPICS = "pydoc_data/topics.py"
# The attributes of statements that are lists of statements, or of the handlers of a `try`.
_BLOCKS = ("body", "orelse", "handlers", "finalbody")


class DocstringProse(NamedTuple):
    """The prose of one docstring.

    Attributes:
        package: Name of the package the docstring documents.
        path: Source file relative to the folder of installed packages, with forward slashes, such
            as `numpy/linalg/linalg.py`; a file of the standard library begins with `python/`.
        line: Line of the docstring in that file.
        runs: Runs of sentences; inside a run each sentence follows the one before it in the source.
    """

    package: str
    path: str
    line: int
    runs: tuple[tuple[Sentence, ...], ...]

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """All sentences in order."""
        return tuple(sentence for run in self.runs for sentence in run)


class _Source(NamedTuple):
    """A Python file to read.

    Attributes:
        package: Name of the package that it documents.
        path: Its `DocstringProse.path`.
        file: Where it is.
    """

    package: str
    path: str
    file: Path


def read_documents(
    packages: Sequence[str] = PACKAGES, num_processes: int | None = None
) -> list[DocstringProse]:
    """Return the documents of installed packages, sorted by package, path and line.

    Args:
        packages: Importable package names, or `python` for the standard library. Documents of
            TensorFlow's copy of Keras have the package `keras`.
        num_processes: Processes that parse; by default one a core, at most 8. The result is the
            same for any number. A machine without /dev/shm has only this one.

    Raises:
        InputError: A package is not installed.
        SyntaxError: A file is not Python that this interpreter can parse.
    """
    sources = sorted(source for name in packages for source in _find_sources(name))
    num_processes = num_processes or min(num_usable_cores(), _MAX_PROCESSES)
    if num_processes == 1 or not can_share_semaphores():
        by_source = [_read_source(source) for source in sources]
    else:
        context = multiprocessing.get_context("spawn")

        def read_all() -> list[list[DocstringProse]]:
            # Syntax trees have no cycles; without the collector a third of the time is saved.
            with ProcessPoolExecutor(num_processes, context, initializer=gc.disable) as pool:
                return list(pool.map(_read_source, sources, chunksize=16))

        by_source = call_stoppably(read_all)
    return [document for documents in by_source for document in documents]


def _package_root(name: str) -> Path:
    """Return the folder of a package's sources, without importing it.

    For `python` it is the folder of the standard library.

    Raises:
        InputError: It is not installed, or is a single module.
    """
    if name == "python":
        return Path(sysconfig.get_paths()["stdlib"])
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"demo data package: got {name!r}, expected an installed package with Python sources; "
            f"install it (the extras 'data' and 'train' hold all of {', '.join(PACKAGES)})"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _find_sources(name: str) -> Iterator[_Source]:
    """Yield the Python files of a package, without tests and generated code, in any order.

    Files of TensorFlow's copy of Keras have the package `keras`.

    Raises:
        InputError: The package is not installed.
    """
    root = _package_root(name)
    for file in root.rglob("*.py"):
        relative = file.relative_to(root)
        if _EXCLUDED_FOLDERS.intersection(relative.parts) or _EXCLUDED_FILES.match(file.name):
            continue
        is_keras = name == "tensorflow" and relative.parts[:2] == _KERAS_INSIDE_TENSORFLOW
        path = f"{name}/{relative.as_posix()}"
        yield _Source("keras" if is_keras else name, path, file)


def _read_source(source: _Source) -> list[DocstringProse]:
    """Parse a file and return a document for each docstring with prose, in order of their lines.

    From Python's topics file, the texts of its dictionary are read instead of docstrings. A file
    without triple quotes is not parsed and gives no document.

    Raises:
        SyntaxError: The file cannot be parsed.
    """
    content = source.file.read_bytes()
    is_topics = source.path.endswith(_TOPICS)
    # Parsing is slow, and files without triple quotes hold nothing worth it.
    if not is_topics and b'"""' not in content and b"'''" not in content:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        tree = ast.parse(content)
    texts = sorted(_topic_texts(tree) if is_topics else _docstrings(tree))
    documents = (
        DocstringProse(source.package, source.path, line, clean_docstring(text))
        for line, text in texts
    )
    return [document for document in documents if document.runs]


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the raw text of each docstring of a module, in any order.

    Private and nested functions and classes count, and so do texts given to `add_newdoc`.
    """
    # Statements only: expressions are most of the tree and hold no docstrings.
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        for block in _BLOCKS:
            nodes.extend(getattr(node, block, ()))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text:
                yield node.body[0].lineno, text
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from _attached_texts(node.value)


def _attached_texts(call: ast.Call) -> Iterator[tuple[int, str]]:
    """Yield line and text of each `text` of a call `add_newdoc(place, name, text)`.

    Texts of a single line, and those of calls of anything else, are left out.
    """
    if isinstance(call.func, ast.Name) and call.func.id == "add_newdoc":
        for argument in call.args[2:]:
            yield from _long_strings(argument)


def _topic_texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of the values in the dictionary of `pydoc_data/topics.py`.

    Texts of a single line are left out.
    """
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            yield from _long_strings(statement.value)


def _long_strings(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every string of several lines below a node."""
    for child in ast.walk(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str) and "\n" in child.value:
            yield child.lineno, child.value
