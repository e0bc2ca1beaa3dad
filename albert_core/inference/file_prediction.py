"""Predictions and vectors for a whole file, a part of it in memory at a time."""

import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from albert_core.artifacts.output_folder import refuse_unwritable_file
from albert_core.errors import InputError
from albert_core.finetuning.prediction import DEFAULT_BATCH_SIZE
from albert_core.inference.file_examples import FileExample, read_file_examples
from albert_core.inference.file_formats import (
    STANDARD_INPUT,
    STANDARD_OUTPUT,
    ResultFormat,
    RowFormat,
    find_result_format,
    find_row_format,
    find_vector_format,
)
from albert_core.inference.loaded_model import LoadedModel
from albert_core.inference.predictions import InvalidExample
from albert_core.inference.result_files import open_results
from albert_core.inference.row_files import RowFile, open_rows
from albert_core.inference.sentence_vectors import Pooling
from albert_core.inference.signature import TaskSignature
from albert_core.inference.vector_files import open_vectors
from albert_core.progress import ReportProgress, quiet, report_message
from albert_core.storage import exists, is_remote
from albert_core.tasks import Task

# Examples of similar length are run together, for which there must be some to choose from.
_BATCHES_IN_MEMORY = 16
_REPORT_EVERY_S = 5.0


class RowCounts(NamedTuple):
    """How many rows of a file were predicted for.

    Attributes:
        num_rows: All rows.
        num_invalid: Those without a prediction.
    """

    num_rows: int
    num_invalid: int


def predict_file(
    model: LoadedModel,
    path: str,
    output: str,
    *,
    row_format: RowFormat | None = None,
    result_format: ResultFormat | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    progress: ReportProgress = quiet,
) -> RowCounts:
    """Predict for every row of a file, write the predictions in their order, and count the rows.

    The output appears whole at the end, and replaces a file that is there; after an error that file
    is as it was. Standard output gets it part by part. A row for which there can be no prediction,
    such as a text without a mask, has what is wrong with it in its place.

    Args:
        model: The model.
        path: File of examples, local, gs:// or s3://, or `-` for standard input.
        output: File of predictions, another one, local in a folder that exists, gs:// or s3://; or
            `-` for standard output.
        row_format: Format of the file, if not by its ending.
        result_format: Format of the output, if not by its ending.
        batch_size: Examples in a batch.
        progress: Called every few seconds with how much has been read.

    Raises:
        InputError: The model cannot predict, a file cannot be read or written, or a row has not the
            fields that the model reads; names the line.
        ServiceError: The storage of a file in the cloud failed.
    """
    row_format = find_row_format(path, row_format)
    result_format = find_result_format(output, result_format)
    refuse_unusable_files(path, output)
    predictor = model.predictor(batch_size=batch_size)
    num_rows = num_invalid = 0
    with (
        open_rows(path, row_format, word_column=_word_column(model.task)) as file,
        open_results(output, result_format, labels=model.signature.labels) as writer,
    ):
        examples = read_file_examples(file.rows, model.signature, model.task)
        for part in _parts(examples, file, batch_size, progress):
            predictions = predictor.predict([example.fields for example in part])
            writer.write([example.id for example in part], predictions)
            num_rows += len(part)
            num_invalid += sum(isinstance(prediction, InvalidExample) for prediction in predictions)
    return RowCounts(num_rows, num_invalid)


def _word_column(task: Task | None) -> int:
    """Return the number of the column of words in a task's files of columns; 0 if unknown.

    The first CoNLL file of train, dev and test decides whose first column is given by number.
    """
    if task is None:
        return 0
    for source in (*task.train, *task.dev, *task.test):
        (column, *_) = source.texts or task.texts or (0,)
        if task.source_format(source) == "conll" and isinstance(column, int):
            return column
    return 0


def embed_file(
    model: LoadedModel,
    path: str,
    output: str,
    *,
    pooling: Pooling = "mean",
    row_format: RowFormat | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    progress: ReportProgress = quiet,
) -> int:
    """Write the vector of every text of a file, in their order, and return their number.

    The output appears whole at the end, and replaces a file that is there; after an error that file
    is as it was.

    Args:
        model: The model; one of any kind.
        path: File with a column `text`, and `text_b` for pairs, local, gs:// or s3://, or `-` for
            standard input.
        output: File of vectors, another one, local in a folder that exists, gs:// or s3://; `.npy`,
            or `.parquet`, which has the rows' ids, too.
        pooling: `mean` over all tokens, the output at [CLS] (`cls`), or that of the `pooler`.
        row_format: Format of the file, if not by its ending.
        batch_size: Texts in a batch.
        progress: Called every few seconds with how much has been read.

    Raises:
        InputError: The model has no such vectors, a file cannot be read or written, or a row has no
            text; names the line.
        ServiceError: The storage of a file in the cloud failed.
    """
    row_format, vector_format = find_row_format(path, row_format), find_vector_format(output)
    refuse_unusable_files(path, output)
    signature = TaskSignature(kind="encoder")
    num_rows = 0
    with (
        open_rows(path, row_format) as file,
        open_vectors(output, vector_format, size=model.config.hidden_size) as writer,
    ):
        examples = read_file_examples(file.rows, signature, model.task)
        for part in _parts(examples, file, batch_size, progress):
            texts = [_text_or_pair(example) for example in part]
            vectors: np.ndarray = model.encode(texts, pooling=pooling, batch_size=batch_size)
            writer.write([example.id for example in part], vectors)
            num_rows += len(part)
    return num_rows


def _text_or_pair(example: FileExample) -> str | tuple[str, str]:
    text, second = example.fields["text"], example.fields.get("text_b")
    return text if second is None else (text, second)


def _parts(
    examples: Iterator[FileExample], file: RowFile, batch_size: int, progress: ReportProgress
) -> Iterator[Sequence[FileExample]]:
    """Yield examples in lists of 16 batches, the last maybe shorter, and report how much is read.

    Examples are read when the next list is asked for. Reports, with rows a second, come after a
    list has been used and over 5 seconds after the last; without a share of the whole where its
    size is not known.
    """
    started = reported = time.monotonic()
    num_rows = 0
    while part := list(itertools.islice(examples, batch_size * _BATCHES_IN_MEMORY)):
        yield part
        num_rows += len(part)
        now = time.monotonic()
        if now - reported > _REPORT_EVERY_S:
            reported = now
            speed = f"{num_rows:,} rows, {num_rows / (now - started):,.0f} a second"
            share = f"{min(1.0, file.done() / file.total):.0%}, " if file.total else ""
            report_message(progress, share + speed)


def refuse_unusable_files(path: str, output: str) -> None:
    """Refuse files that cannot be read or written, before a model is loaded for them.

    Raises:
        InputError: There is no such input, no folder for the output, the output is the input, or no
            file can be written there.
        ServiceError: The storage of an input in the cloud failed, or it must not be read.
    """
    if path != STANDARD_INPUT and not exists(path):
        raise InputError(
            f"{path}: no such file, expected one with examples, or - for standard input"
        )
    if output != STANDARD_OUTPUT and not is_remote(output) and not Path(output).parent.is_dir():
        raise InputError(f"output {output}: no folder {Path(output).parent}; make it first")
    if output != STANDARD_OUTPUT and not is_remote(output):
        refuse_unwritable_file(Path(output))
    if path == output != STANDARD_INPUT or _is_same_local_file(path, output):
        raise InputError(f"output {output}: is the file that is read; expected another")


def _is_same_local_file(path: str, other: str) -> bool:
    return Path(path).is_file() and Path(other).is_file() and Path(path).samefile(other)
