"""Load a model from whatever holds it: a checkpoint of any format, or an export."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from albert_core.artifacts.inputs import input_folder
from albert_core.checkpoints import Checkpoint, build_model, detect
from albert_core.checkpoints.side_files import read_heads, read_pooling, read_side_files
from albert_core.checkpoints.task_head import read_for_task
from albert_core.checkpoints.vocabulary import check_size, find_tokenizer
from albert_core.config import CONFIG_NAME, AlbertConfig
from albert_core.errors import InputError
from albert_core.exports.formats import FORMATS, ExportFormat, find_export_format
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.models import new_task_model
from albert_core.inference.loaded_model import LoadedModel
from albert_core.inference.signature import TaskSignature
from albert_core.inference.task_settings import parse_finetuning, parse_task
from albert_core.model_function import compiled_function, encoder_function
from albert_core.places.models import find_model
from albert_core.pooling import POOLINGS
from albert_core.storage import is_remote
from albert_core.tasks import Task
from albert_core.training.compute import Purpose, possible_settings
from albert_core.training.devices import (
    Devices,
    Precision,
    StrategyName,
    use_devices,
    use_precision,
)

if TYPE_CHECKING:
    import keras

# Operations one by one from Python cost more than in a graph's own runtime (`FormatSpec`).
_KERAS_BATCH_COST_TOKENS = 64


def load(
    path: str | Path,
    *,
    task: Task | None = None,
    config: str | Path | None = None,
    vocab: str | Path | None = None,
    lower_case: bool | None = None,
    strip_accents: bool | None = None,
    precision: Precision = "auto",
    strategy: StrategyName = "single",
    model_parallel_size: int = 1,
    many_at_a_time: bool = False,
) -> LoadedModel:
    """Load a model, to predict with it.

    Loading a checkpoint sets Keras's dtype policy, which is float32 afterwards, and has all of the
    process's products of float32 computed in float32, not in TF32 or bfloat16; with another
    `strategy` than `single` it sets up the process's devices, too.

    Example:
        >>> import albert_core
        >>> model = albert_core.load("runs/steps/finetune")
        >>> prediction, = model.predict(["A function returns a value."])
        >>> prediction.label in model.task.labels
        True
        >>> model.encode(["one text", "another"], pooling="mean").shape[0]
        2

    Args:
        path: What `albert info` knows as a model, local, gs:// or s3://: a model folder of this
            program, a TensorFlow 1 checkpoint of the original or its TF-Hub module, a folder of
            Hugging Face's transformers; or an export of `albert export` in any format, which runs
            in its own runtime. Or a run's folder or a place in it, such as `runs/x/models/cola`,
            that has one such model; for a run's folder that is the fine-tuned one.
        task: Task that a checkpoint answers as, if its files declare none or another, such as one
            that was fine-tuned by the original or by transformers; see `fit_to_task`.
        config: An albert_config.json, for a TensorFlow 1 checkpoint or a TF-Hub module that has
            none.
        vocab: File or folder of a checkpoint's vocabulary, if it is not the one beside it.
        lower_case: Whether that vocabulary lower-cases text, if not as its files say.
        strip_accents: Whether it drops accents, if not as its files say.
        precision: What a checkpoint's layers compute in: `float32`, `bfloat16`, or `auto`: the one
            that is faster on this kind of device; nothing is timed. An export computes as it was
            written.
        strategy: Devices that the batches of a checkpoint are spread over, as in training: `auto`
            is all of them. An export runs as its runtime does.
        model_parallel_size: Devices that hold one copy of a checkpoint's weights together.
        many_at_a_time: Whether it is to predict for many examples at a time, and not as they come,
            nor to make vectors: without it `auto` of `precision` is float32 on a CPU.

    Returns:
        The model with its vocabulary, task and settings, which are read from the folder.

    Raises:
        InputError: There is no model at the path, or there are several below it, which the message
            lists; a file of it is damaged or cannot be used, or a weight is no number; it is not
            one for `task`; the precision is unknown; the devices cannot be used so; or `task`,
            `config`, `vocab`, `lower_case`, `strip_accents`, the precision bfloat16 or several
            devices are given for an export.
        ServiceError: The storage of a model in the cloud failed.
    """
    if precision not in get_args(Precision):
        raise InputError(
            f"precision: got {precision!r}, expected one of {', '.join(get_args(Precision))}"
        )
    folder = input_folder(_follow_links(find_model(path)))
    export_format = find_export_format(folder)
    if export_format is not None:
        _refuse_other_settings(path, precision, task, config, vocab, lower_case, strip_accents)
        _refuse_other_devices(path, strategy, model_parallel_size)
        return _load_export(folder, export_format)
    read_source = functools.partial(
        read_for_task,
        folder,
        task=task,
        config=config,
        vocab=vocab,
        lower_case=lower_case,
        strip_accents=strip_accents,
    )
    purpose: Purpose = "batches" if many_at_a_time else "single_texts"
    with _devices_to_predict_on(strategy, model_parallel_size) as devices:
        return _load_checkpoint(folder, read_source, precision, purpose, devices)


def _refuse_other_settings(path: str | Path, precision: Precision, *settings: Any) -> None:
    """Refuse settings of a checkpoint for an export, which was written with its own.

    Args:
        path: The export, for the message.
        precision: As given.
        *settings: `task`, `config`, `vocab`, `lower_case` and `strip_accents`, as given.

    Raises:
        InputError: The precision is bfloat16, or another setting is given.
    """
    if precision == "bfloat16":
        raise InputError(
            f"precision: got bfloat16 for the export {path}, which computes as it was written; "
            "expected auto, or the checkpoint it was exported from"
        )
    if any(value is not None for value in settings):
        raise InputError(
            "task, config, vocab, lower_case, strip_accents: expected none, since the export "
            f"{path} has its own"
        )


def _refuse_other_devices(path: str | Path, strategy: StrategyName, size: int) -> None:
    """Refuse several devices for an export, at `path`, which runs as its runtime does.

    Raises:
        InputError: The strategy is neither `auto` nor `single`, or `size`, the devices of a copy of
            the weights, is not 1.
    """
    if strategy not in ("auto", "single") or size != 1:
        raise InputError(
            f"strategy, model_parallel_size: got {strategy} and {size} for the export {path}, "
            "which runs as its runtime does; expected auto and 1, or the checkpoint it was "
            "exported from"
        )


@contextlib.contextmanager
def _devices_to_predict_on(strategy: StrategyName, model_parallel_size: int) -> Iterator[Devices]:
    """Let a model made inside predict on the devices of a strategy; yield these devices."""
    if strategy == "single" and model_parallel_size == 1:
        # As Keras has it: no process waits for others, and XLA keeps its flags.
        from albert_core.backends import distribution

        yield distribution.first_device()
        return
    with use_devices(strategy, model_parallel_size=model_parallel_size, prefix="") as devices:
        yield devices


def _follow_links(path: str) -> str:
    """Return a local path without the symbolic links in it; one without any as it is.

    The places of a run are links that a later run replaces, perhaps while a model is read: all its
    files must be of one folder.
    """
    real = path if is_remote(path) else os.path.realpath(path)
    return path if real == os.path.abspath(path) else real


def _load_export(folder: Path, export_format: ExportFormat) -> LoadedModel:
    """Open an export in its own runtime, with the vocabulary, task and settings beside it.

    Where neither task.json nor head.json says what it is for, as in older exports, it is taken for
    a pretrained model with a head for masked words. It may have no vocabulary.

    Raises:
        InputError: A file cannot be used, or the vocabulary's size is not the model's.
    """
    spec = FORMATS[export_format]
    side = folder / spec.settings_folder
    config = AlbertConfig.from_json_file(side / CONFIG_NAME)
    tokenizer = find_tokenizer(side)
    if tokenizer:
        check_size(tokenizer, config, source=str(side))
    files = read_side_files(side)
    task = parse_task(files["task"], source=side)
    heads, num_labels = read_heads(side, default=frozenset({"masked_lm"}))
    pooling = read_pooling(side)
    return LoadedModel(
        name=task.name if task else _model_name(folder),
        format=export_format,
        config=config,
        heads=heads,
        tokenizer=tokenizer,
        task=task,
        settings=parse_finetuning(
            files["finetuning"],
            max_length=config.max_position_embeddings,
            pooling=pooling,
            source=side,
        ),
        signature=TaskSignature.from_task(task)
        if task
        else TaskSignature.from_heads(
            heads,
            num_labels,
            labels=files["labels"],
            problem_type=files["problem_type"],
            is_multiple_choice=files["is_multiple_choice"],
            are_pairs=POOLINGS[pooling].encodes_apart,
        ),
        null_threshold=files["null_threshold"] or 0.0,
        run=spec.open(folder),
        # When vectors are first asked for, and only once: it may load the whole model again.
        # A SavedModel is also a checkpoint.
        read_source=functools.partial(read_for_task, folder)
        if export_format == "saved_model"
        else None,
        open_encoder=functools.cache(functools.partial(spec.open_encoder, folder))
        if spec.open_encoder
        else None,
        length_multiple=spec.length_multiple,
        batch_cost_tokens=spec.batch_cost_tokens,
    )


def _load_checkpoint(
    path: Path,
    read_source: Callable[[], Checkpoint],
    precision: Precision,
    purpose: Purpose,
    devices: Devices,
) -> LoadedModel:
    """Make a Keras model of a checkpoint of any kind, with its vocabulary, task and settings.

    Without a task its heads say what it predicts. It may have no vocabulary.

    Args:
        path: The checkpoint.
        read_source: Reads it.
        precision: What it computes in; `auto` as is likely to be the fastest. That of new models
            of this process is float32 afterwards.
        purpose: Whether it predicts for many texts at a time, or for few, or makes vectors.
        devices: The devices that compute; if there are several, a note of the model says so.

    Raises:
        InputError: A file cannot be used, a weight is no number, or the weights do not fit the
            task.
    """
    from albert_core.backends import JITS_VARYING_LENGTHS, LENGTH_MULTIPLE
    from albert_core.inference.spread_encoder import spread_encoder_function

    checkpoint = read_source()
    _refuse_other_than_numbers(checkpoint)
    task = parse_task(checkpoint.task, source=path)
    settings = parse_finetuning(
        checkpoint.finetuning,
        max_length=checkpoint.config.max_position_embeddings,
        pooling=checkpoint.pooling,
        source=path,
    )
    compute, *_ = possible_settings(
        devices,
        checkpoint.config.hidden_size,
        precision=precision,
        jit_compile=JITS_VARYING_LENGTHS,
        purpose=purpose,
    )
    with use_precision(compute.precision):
        model = _keras_model(checkpoint, task, settings)
    run_encoder = encoder_function(model)
    if devices.num_devices > 1:
        run_encoder = spread_encoder_function(model)
    return LoadedModel(
        name=task.name if task else _model_name(path),
        format=detect(path),
        config=checkpoint.config,
        heads=checkpoint.heads,
        tokenizer=checkpoint.tokenizer,
        task=task,
        settings=settings,
        signature=TaskSignature.from_task(task)
        if task
        else TaskSignature.from_heads(
            checkpoint.heads,
            checkpoint.num_labels,
            labels=checkpoint.labels,
            problem_type=checkpoint.problem_type,
            is_multiple_choice=checkpoint.is_multiple_choice,
            are_pairs=POOLINGS[checkpoint.pooling].encodes_apart,
        ),
        null_threshold=checkpoint.null_threshold or 0.0,
        notes=(
            *checkpoint.notes,
            *([f"predicting: {devices}"] if devices.num_devices > 1 else []),
        ),
        run=compiled_function(model),
        read_source=read_source,
        open_encoder=lambda: run_encoder,
        length_multiple=LENGTH_MULTIPLE,
        batch_cost_tokens=_KERAS_BATCH_COST_TOKENS
        if devices.name == "CPU" and not JITS_VARYING_LENGTHS
        else None,
        compute=compute,
        num_data_parallel=devices.num_data_parallel,
    )


def _refuse_other_than_numbers(checkpoint: Checkpoint) -> None:
    """Refuse weights that are NaN or infinite, of which any text gets the first label.

    Raises:
        InputError: There are such weights; names the first variable.
    """
    for name, array in checkpoint.weights.items():
        if not np.isfinite(array).all():
            raise InputError(
                f"weights {checkpoint.source}: {name} holds NaN or infinite values, expected "
                "numbers; the file is damaged, or its training has diverged: take an earlier "
                "checkpoint"
            )


def _keras_model(
    checkpoint: Checkpoint, task: Task | None, settings: FinetuningConfig
) -> "keras.Model":
    """Return the Keras model of a checkpoint with its weights, compiled for prediction.

    That of a task is as its settings have it: they say how many starts and ends are searched.
    Without a task, and for questions with a head for spans alone, whether or not they may have no
    answer, it has the heads of the checkpoint. A task's model gets a pooler of zeros where the
    checkpoint has none.

    Raises:
        InputError: The weights are not those of the task's model.
    """
    from albert_core.backends import JITS_VARYING_LENGTHS
    from albert_core.model import load_weights

    finds_spans = "span" in checkpoint.heads
    if task is None or (task.kind == "question_answering" and finds_spans):
        model = build_model(checkpoint)
    else:
        # Not `build_model`: the weights do not tell how many starts and ends are searched.
        model = new_task_model(task, settings, checkpoint.config)
        load_weights(model, checkpoint.with_pooler().weights, source=checkpoint.source)
    model.compile(jit_compile=JITS_VARYING_LENGTHS)
    return model


def _model_name(path: Path) -> str:
    """Return the name of a model's folder; for a folder named as an export's format its parent's.

    Links in the path are followed.
    """
    path = path.resolve()
    return path.parent.name if path.name in FORMATS else path.name
