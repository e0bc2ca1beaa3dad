"""The demo's data set: a corpus and three tasks from the documentation of installed packages.

No sentence and no family of near-copies is on both sides of the split. Two rules see to it:

1. A sentence that repeats an earlier one (see `Sentence.key`) is dropped; the first document, by
   package, path and line, keeps it. That removes boilerplate ("A name for the operation.") and
   exact copies of docstrings, and a sentence left over is on one side only. It costs little text:
   dropping every copy would lose the prose of wrappers and of the functions they wrap alike.
2. Documents that shared a long sentence before rule 1, such as a function and its `compat.v1`
   wrapper, are a family and go to the same side, for what is left of them differs in a few words.
   Sentences in more than MAX_FAMILY_DOCUMENTS documents are boilerplate and make no family; with
   them one family would hold a tenth of all documents.
"""

import importlib.metadata
import platform
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from albert_core.artifacts.manifest import Manifest, Metrics
from albert_core.artifacts.step import run_step
from albert_core.errors import InputError
from albert_core.progress import ReportProgress, quiet, report_message
from components.demo_data.docstrings import PACKAGES, DocstringProse, read_documents
from components.demo_data.examples import write_examples
from components.demo_data.names import name_sentences, write_name_task
from components.demo_data.prose import Sentence
from components.demo_data.tasks import (
    NEXT_LABELS,
    TaskDeclaration,
    document_digest,
    next_rows,
    package_rows,
    write_rows,
)

DEV_FRACTION = 0.1
MIN_FAMILY_WORDS = 8
MAX_FAMILY_DOCUMENTS = 10
MIN_DOCUMENT_SENTENCES = 2
PART_BYTES = 2_000_000

MIN_PACKAGE_TRAIN_ROWS = 2  # one for each shard of the examples in the form of Hugging Face's hub
MAX_PACKAGE_TRAIN_ROWS = 1_000
MAX_PACKAGE_DEV_ROWS = 200
MAX_NEXT_TRAIN_ROWS = 2_000
MAX_NEXT_DEV_ROWS = 1_200
MAX_NAME_TRAIN_SENTENCES = 1_500
MAX_NAME_DEV_SENTENCES = 300


def make_demo_data(
    *,
    output: str | Path,
    packages: Sequence[str] = PACKAGES,
    seed: int = 12345,
    work_root: str | Path | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Write the demo's corpus and tasks and publish them to `output`, unless they are there.

    Needs no network: the text is the documentation of installed packages.

    Args:
        output: Folder to make.
        packages: Importable package names, or `python` for the standard library. Those of the demo
            by default; fewer make a smaller data set of the same form.
        seed: Decides the split into train and dev and the draws of the tasks.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Called with messages about the work.

    Returns:
        The manifest, with what `write_data_set` returns as metrics.

    Raises:
        InputError: A package is not installed, the packages hold too little documentation, or
            `output` holds something else.
        StepFailedError: Another process has taken over this work.
        ServiceError: The storage failed.
    """

    def write_data(results: Path, _: Path) -> Metrics:
        report_message(progress, f"reading the documentation of {', '.join(packages)}")
        return write_data_set(results, packages=packages, seed=seed)

    return run_step(
        "demo-data",
        config={"seed": seed},
        inputs={package: _version(package) for package in packages},
        output=output,
        work_root=work_root,
        body=write_data,
    )


def _version(package: str) -> str:
    """Return the version of an installed distribution; Python's own where there is none.

    Python's own is meant for the standard library, but is returned for any package without
    metadata.
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return platform.python_version()


def write_data_set(
    output: Path, *, packages: Sequence[str], seed: int, num_processes: int | None = None
) -> dict[str, float | int]:
    """Write a corpus and three tasks from the documentation of any installed packages.

    The corpus is the train documents; the dev documents are in the tasks' dev sets alone. Examples
    of other formats, see `write_examples`, are made of both. The files depend on the packages'
    versions and the seed, and on nothing else.

    Args:
        output: Folder that receives `corpus/`, `tasks/` and `examples/`; made if missing.
        packages: Importable package names, or `python` for the standard library.
        seed: Decides the split into train and dev and the draws of the tasks.
        num_processes: Processes that parse the packages; by default one a core, at most 8.

    Returns:
        `num_documents`, `num_sentences`, `corpus_bytes` of the corpus, `num_dev_documents`, and
        `<task>_train_rows` and `<task>_dev_rows` of each task.

    Raises:
        InputError: A package is not installed; all together have too few training passages or no
            dev passage; or one has dev passages alone. Nothing is written then.
    """
    train, dev = split_documents(read_documents(packages, num_processes), seed)
    train_rows, dev_rows = _package_rows(train, dev, seed)
    _refuse_too_little(packages, train_rows, dev_rows)
    metrics = write_corpus(output / "corpus", train)
    metrics["num_dev_documents"] = len(dev)
    labels = _packages(train)
    package_task = TaskDeclaration(name="docs-package", texts=[0], label=1, labels=labels)
    metrics |= _write_task(
        output / "tasks" / "docs-package", package_task, ("sentence", "label"), train_rows, dev_rows
    )
    metrics |= _write_next_task(output / "tasks" / "docs-next", train, dev, seed)
    sentences = (
        name_sentences(side, max_sentences=most, seed=seed)
        for side, most in ((train, MAX_NAME_TRAIN_SENTENCES), (dev, MAX_NAME_DEV_SENTENCES))
    )
    metrics |= write_name_task(output / "tasks" / "docs-names", *sentences)
    write_examples(output / "examples", train, train_rows, dev_rows, labels)
    return metrics


def split_documents(
    documents: Sequence[DocstringProse], seed: int
) -> tuple[list[DocstringProse], list[DocstringProse]]:
    """Split documents into train and dev, so that no near-copies are on both sides.

    Documents that share a long sentence are a family (see `_families`) and go to the same side;
    about DEV_FRACTION of the families go to dev. In each document, sentences that occurred before,
    in it or in an earlier document, are dropped; then documents with fewer than
    MIN_DOCUMENT_SENTENCES sentences left are dropped. The top of this module gives the reasons.

    Args:
        documents: Documents in an order that decides which of equal sentences is kept: the first.
        seed: Decides the side of each family.

    Returns:
        The train documents and the dev documents, each in the order of `documents`.
    """
    families = _families(documents)
    # A family goes where the smallest hash of its documents says: a draw that depends neither on
    # the order of the documents nor on other families.
    smallest: dict[int, bytes] = {}
    for family, document in zip(families, documents, strict=True):
        digest = document_digest(document, seed)
        smallest[family] = min(smallest.get(family, digest), digest)
    train: list[DocstringProse] = []
    dev: list[DocstringProse] = []
    for family, document in zip(families, _without_repetitions(documents), strict=True):
        if len(document.sentences) >= MIN_DOCUMENT_SENTENCES:
            is_dev = int.from_bytes(smallest[family][-8:]) < DEV_FRACTION * 2**64
            (dev if is_dev else train).append(document)
    return train, dev


def _families(documents: Sequence[DocstringProse]) -> list[int]:
    """Return the number of each document's family: the smallest index of a document in it.

    Two documents are in the same family if they share a sentence of MIN_FAMILY_WORDS words or more
    that is in at most MAX_FAMILY_DOCUMENTS documents, or if a chain of such pairs links them
    (union-find).
    """
    owners: dict[str, set[int]] = defaultdict(set)
    for number, document in enumerate(documents):
        for sentence in document.sentences:
            if len(sentence.key.split()) >= MIN_FAMILY_WORDS:
                owners[sentence.key].add(number)
    parents = list(range(len(documents)))
    for sharing in owners.values():
        if 2 <= len(sharing) <= MAX_FAMILY_DOCUMENTS:
            roots = [_root(parents, number) for number in sharing]
            for root in roots:
                parents[root] = min(roots)
    return [_root(parents, number) for number in range(len(documents))]


def _root(parents: list[int], number: int) -> int:
    """Return the root of a document's tree; shortens the path to it in `parents`, in place."""
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def _without_repetitions(documents: Sequence[DocstringProse]) -> Iterator[DocstringProse]:
    """Yield each document without the sentences that occurred before, in it or an earlier one.

    Sentences are the same if their `key` is: they differ at most in case, punctuation, digits or
    quoted code. The run of a dropped sentence is split there. A document of which nothing is left
    is yielded without runs.
    """
    seen: set[str] = set()

    def is_new(sentence: Sentence) -> bool:
        """Return whether a sentence comes for the first time, and remember it."""
        if sentence.key in seen:
            return False
        seen.add(sentence.key)
        return True

    for document in documents:
        runs = [
            tuple(run)
            for old_run in document.runs
            for is_kept, run in groupby(old_run, key=is_new)
            if is_kept
        ]
        yield document._replace(runs=tuple(runs))


def write_corpus(folder: Path, documents: Sequence[DocstringProse]) -> dict[str, float | int]:
    """Write `part-*.txt`, one sentence a line and a blank line between documents.

    Args:
        folder: Receives the files; parts of an earlier run are removed.
        documents: What to write, in this order.

    Returns:
        `num_documents`, `num_sentences` and `corpus_bytes`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old_part in folder.glob("part-*.txt"):
        old_part.unlink()
    corpus_bytes = 0
    for number, part in enumerate(_corpus_parts(documents)):
        (folder / f"part-{number:05d}.txt").write_bytes(part)
        corpus_bytes += len(part)
    return {
        "num_documents": len(documents),
        "num_sentences": sum(len(document.sentences) for document in documents),
        "corpus_bytes": corpus_bytes,
    }


def _corpus_parts(documents: Sequence[DocstringProse]) -> Iterator[bytes]:
    """Yield the contents of the part files: PART_BYTES each or a little more, the last maybe less.

    A part ends with the document that fills it.
    """
    texts: list[bytes] = []
    size = 0
    for document in documents:
        text = "\n".join(sentence.text for sentence in document.sentences)
        texts.append(f"{text}\n".encode())
        size += len(texts[-1]) + 1
        if size >= PART_BYTES:
            yield b"\n".join(texts)
            texts, size = [], 0
    if texts:
        yield b"\n".join(texts)


def _refuse_too_little(
    packages: Sequence[str],
    train_rows: Sequence[tuple[str, str]],
    dev_rows: Sequence[tuple[str, str]],
) -> None:
    """Refuse rows of which no data set can be made.

    Raises:
        InputError: There are fewer than two training rows or no dev row, or a package has dev rows
            alone.
    """
    without_train = sorted({label for _, label in dev_rows} - {label for _, label in train_rows})
    if len(train_rows) >= MIN_PACKAGE_TRAIN_ROWS and dev_rows and not without_train:
        return
    alone = f"; {', '.join(without_train)} gave dev passages alone" if without_train else ""
    raise InputError(
        f"demo data packages: got {len(train_rows)} train and {len(dev_rows)} dev passages from "
        f"{', '.join(packages)}{alone}; expected {MIN_PACKAGE_TRAIN_ROWS} or more to train on, and "
        "some for dev; use packages with more documentation"
    )


def _packages(documents: Sequence[DocstringProse]) -> list[str]:
    """Return the packages that documents are of, sorted, each once."""
    return sorted({document.package for document in documents})


def _package_rows(
    train: Sequence[DocstringProse], dev: Sequence[DocstringProse], seed: int
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return training and dev rows (passage, package) of the task of telling packages apart.

    Each package has equally many rows, at most MAX_PACKAGE_TRAIN_ROWS and MAX_PACKAGE_DEV_ROWS (see
    `package_rows`). A package without training rows may have dev rows.
    """
    return (
        package_rows(train, max_rows_per_package=MAX_PACKAGE_TRAIN_ROWS, seed=seed),
        package_rows(dev, max_rows_per_package=MAX_PACKAGE_DEV_ROWS, seed=seed),
    )


def _write_next_task(
    folder: Path, train: Sequence[DocstringProse], dev: Sequence[DocstringProse], seed: int
) -> dict[str, int]:
    """Write the task of telling whether two sentences are in order; return its numbers of rows.

    The folder's name is the task's; rows are at most MAX_NEXT_TRAIN_ROWS and MAX_NEXT_DEV_ROWS.
    """
    task = TaskDeclaration(name=folder.name, texts=[1, 2], label=3, labels=list(NEXT_LABELS))
    header = ("index", "sentence1", "sentence2", "label")
    train_rows, dev_rows = (
        [(str(index), *row) for index, row in enumerate(next_rows(side, max_rows=rows, seed=seed))]
        for side, rows in ((train, MAX_NEXT_TRAIN_ROWS), (dev, MAX_NEXT_DEV_ROWS))
    )
    return _write_task(folder, task, header, train_rows, dev_rows)


def _write_task(
    folder: Path,
    task: TaskDeclaration,
    header: Sequence[str],
    train_rows: Sequence[Sequence[str]],
    dev_rows: Sequence[Sequence[str]],
) -> dict[str, int]:
    """Write the files and the declaration of a task into a folder, made if missing.

    Returns:
        `<task>_train_rows` and `<task>_dev_rows`, with underscores in the task's name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / task.train, header, train_rows)
    write_rows(folder / task.dev, header, dev_rows)
    task.write(folder)
    prefix = task.name.replace("-", "_")
    return {f"{prefix}_train_rows": len(train_rows), f"{prefix}_dev_rows": len(dev_rows)}
