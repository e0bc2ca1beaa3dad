"""The commands that use a model on a file: predict and embed."""

import os
import sys

from albert_core.inference.batch_size import BatchSize
from albert_core.inference.file_formats import (
    STANDARD_OUTPUT,
    ResultFormat,
    RowFormat,
)
from albert_core.inference.sentence_vectors import Pooling
from albert_core.places.models import find_model
from albert_core.progress import report_message, to_stderr
from albert_core.tasks import named_task
from albert_core.training.devices import Precision, StrategyName


def predict(
    model: str,
    file: str,
    *,
    output: str = STANDARD_OUTPUT,
    format: RowFormat | None = None,
    output_format: ResultFormat | None = None,
    task: str = "",
    albert_config: str | None = None,
    vocab: str | None = None,
    lower_case: bool | None = None,
    strip_accents: bool | None = None,
    precision: Precision = "auto",
    batch_size: BatchSize = "auto",
    strategy: StrategyName = "auto",
    model_parallel_size: int = 1,
) -> None:
    """Predict for every row of a file: labels with probabilities, scores, choices or answers.

    Args:
        model: An export, a checkpoint of any kind, a run's folder or a place in it.
        file: Examples, a row each: .tsv or .csv with a line of names, .jsonl, .parquet, plain
            lines of text (.txt), or words in columns (.conll), all but Parquet also compressed
            (.gz, .bz2, .xz, .zst); - for standard input. Columns are named text, text_b, question,
            context and choices, as the model's kind has them, or as in the task's own files.
        output: File of predictions (.jsonl, .tsv, .csv, .parquet), which appears when all is done,
            in place of a file that was there; standard output without it.
        format: Format of the file, if not by its ending; plain lines from standard input.
        output_format: Format of the output, if not by its ending; JSON lines on standard output.
        task: Task of a fine-tuned checkpoint that declares none, or another: a known task, or the
            path of a task.yaml.
        albert_config: The albert_config.json of a TensorFlow 1 checkpoint without one beside it.
        vocab: Vocabulary of a checkpoint, if not the one beside it.
        lower_case: Whether that vocabulary is for lower-cased text, if nothing beside it says so.
        strip_accents: Whether it is for text without accents, if nothing beside it says so.
        precision: Precision that a checkpoint computes in; auto takes the faster one on the device.
        batch_size: Examples that are run together; auto is 64 on a CPU and for exports, and as many
            as half of the memory of the GPUs holds.
        strategy: How devices share the batches of a checkpoint, as in training; auto takes all.
        model_parallel_size: Devices that hold one copy of its weights together.
    """
    from albert_core.inference import load
    from albert_core.inference.batch_size import resolve_batch_size, sequences_per_example
    from albert_core.inference.file_prediction import predict_file, refuse_unusable_files

    refuse_unusable_files(file, output)
    progress = to_stderr("predict")
    loaded = load(
        model,
        task=named_task(task) if task else None,
        config=albert_config,
        vocab=vocab,
        lower_case=lower_case,
        strip_accents=strip_accents,
        precision=precision,
        many_at_a_time=True,
        strategy=strategy,
        model_parallel_size=model_parallel_size,
    )
    if loaded.compute:
        report_message(progress, f"computing in {loaded.compute}")
    try:
        counts = predict_file(
            loaded,
            file,
            output,
            row_format=format,
            result_format=output_format,
            batch_size=resolve_batch_size(
                batch_size, loaded, num_sequences=sequences_per_example(loaded)
            ),
            progress=progress,
        )
    except BrokenPipeError:
        # Whoever read the predictions wants no more, as `head` does; nor does Python's own end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    invalid = f", {counts.num_invalid:,} without a prediction" if counts.num_invalid else ""
    report_message(progress, f"{counts.num_rows:,} rows{invalid}")


def embed(
    model: str,
    file: str,
    *,
    output: str,
    pooling: Pooling = "mean",
    format: RowFormat | None = None,
    albert_config: str | None = None,
    vocab: str | None = None,
    lower_case: bool | None = None,
    strip_accents: bool | None = None,
    precision: Precision = "auto",
    batch_size: BatchSize = "auto",
) -> None:
    """Write a vector for every text of a file.

    Args:
        model: A checkpoint of any kind, an export with the encoder, a run's folder (its pretrained
            model) or a place in it.
        file: Texts, a row each, as for `albert predict`: in a column text, and text_b for pairs.
        output: File of vectors: .npy, or .parquet with the ids, too; appears when all is done, in
            place of a file that was there.
        pooling: The mean of the last layer over all tokens, its first token (cls), or the pooler.
        format: Format of the file, if not by its ending; plain lines from standard input.
        albert_config: The albert_config.json of a TensorFlow 1 checkpoint without one beside it.
        vocab: Vocabulary of a checkpoint, if not the one beside it.
        lower_case: Whether that vocabulary is for lower-cased text, if nothing beside it says so.
        strip_accents: Whether it is for text without accents, if nothing beside it says so.
        precision: Precision that a checkpoint computes in; auto takes float32 on a CPU, as vectors
            are compared, and the faster one on accelerators.
        batch_size: Texts that are run together; auto is 64 on a CPU and for exports, and as many as
            half of the memory of a GPU holds.
    """
    from albert_core.inference import load
    from albert_core.inference.batch_size import resolve_batch_size
    from albert_core.inference.file_prediction import embed_file, refuse_unusable_files

    refuse_unusable_files(file, output)
    progress = to_stderr("embed")
    path = find_model(model, prefer="pretrained")
    loaded = load(
        path,
        config=albert_config,
        vocab=vocab,
        lower_case=lower_case,
        strip_accents=strip_accents,
        precision=precision,
    )
    if loaded.compute:
        report_message(progress, f"computing in {loaded.compute}")
    num_rows = embed_file(
        loaded,
        file,
        output,
        pooling=pooling,
        row_format=format,
        batch_size=resolve_batch_size(batch_size, loaded),
        progress=progress,
    )
    report_message(
        progress, f"{num_rows:,} vectors of {loaded.config.hidden_size} numbers in {output}"
    )
