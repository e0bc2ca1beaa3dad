"""Load a model from whatever holds it: a checkpoint of any format, or an export."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from albert_core.artifacts.inputs import input_folder
from albert_core.checkpoints import Checkpoint, build_model, detect, read_checkpoint
from albert_core.checkpoints.checkpoint import read_finetuning, read_task
from albert_core.checkpoints.names import HEADS
from albert_core.checkpoints.vocabulary import check_size, find_tokenizer
from albert_core.config import CONFIG_NAME, AlbertConfig
from albert_core.errors import InputError
from albert_core.exports.formats import FORMATS, ExportFormat, find_export_format
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.models import new_task_model
from albert_core.inference.loaded_model import LoadedModel
from albert_core.inference.signature import TaskSignature
from albert_core.inference.task_settings import parse_finetuning, parse_task, read_null_threshold
from albert_core.model_function import compiled_function, encoder_function
from albert_core.places.models import find_model
from albert_core.tasks import Task

if TYPE_CHECKING:
    import keras

_EXPORT_LENGTH_MULTIPLE = 8


def load(
    path: str | Path, *, vocab: str | Path | None = None, lower_case: bool | None = None
) -> LoadedModel:
    """Load a model, to predict with it.

    Example:
        >>> import albert_core
        >>> model = albert_core.load("runs/steps/finetune")
        >>> prediction, = model.predict(["A function returns a value."])
        >>> prediction.label in model.task.labels
        True
        >>> model.encode(["one text", "another"], pooling="mean").shape[0]
        2

    Args:
        path: What `albert info` knows as a model, local or gs://: a model folder of this program,
            a TensorFlow 1 checkpoint of the original or its TF-Hub module, a folder of Hugging
            Face's transformers; or an export of `albert export` in any format, which runs in its
            own runtime. Or a run's folder or a place in it, such as `runs/x/models/cola`, that has
            one such model; of a run's folder that is the fine-tuned one.
        vocab: Vocabulary of a checkpoint, if not the one beside it.
        lower_case: Whether that vocabulary lower-cases text, if not as its files say.

    Returns:
        The model with its vocabulary, task and settings, which are read from the folder.

    Raises:
        InputError: There is no model at the path, or there are several below it, which the message
            lists; a file of it cannot be used; or `vocab` or `lower_case` is given for an export.
    """
    folder = input_folder(find_model(path))
    export_format = find_export_format(folder)
    if export_format is None:
        return _load_checkpoint(folder, vocab, lower_case)
    if vocab is not None or lower_case is not None:
        raise InputError(f"vocab, lower_case: expected none, since {path} has its own")
    return _load_export(folder, export_format)


def _load_export(folder: Path, export_format: ExportFormat) -> LoadedModel:
    """Open an export in its own runtime, with the vocabulary, task and settings beside it.

    An export without a task is taken for a pretrained model with a head for masked words. It may
    have no vocabulary.

    Raises:
        InputError: A file cannot be used, or the vocabulary's size is not the model's.
    """
    spec = FORMATS[export_format]
    side = folder / spec.settings_folder
    config = AlbertConfig.from_json_file(side / CONFIG_NAME)
    tokenizer = find_tokenizer(side)
    if tokenizer:
        check_size(tokenizer, config, source=str(side))
    task = parse_task(read_task(side), source=side)
    return LoadedModel(
        name=task.name if task else _model_name(folder),
        format=export_format,
        config=config,
        tokenizer=tokenizer,
        task=task,
        settings=parse_finetuning(
            read_finetuning(side), max_length=config.max_position_embeddings, source=side
        ),
        # The files do not say which heads a model without a task has.
        signature=TaskSignature.from_task(task)
        if task
        else TaskSignature.from_heads(frozenset({"masked_lm"}), 0),
        null_threshold=read_null_threshold(side),
        run=spec.open(folder),
        # When vectors are first asked for, and only once: it may load the whole model again.
        # A SavedModel is also a checkpoint.
        read_source=functools.partial(read_checkpoint, folder)
        if export_format == "saved_model"
        else None,
        open_encoder=functools.cache(functools.partial(spec.open_encoder, folder))
        if spec.open_encoder
        else None,
        length_multiple=_EXPORT_LENGTH_MULTIPLE,
    )


def _load_checkpoint(path: Path, vocab: str | Path | None, lower_case: bool | None) -> LoadedModel:
    """Read a checkpoint of any kind into a Keras model, with its vocabulary, task and settings.

    Without a task its heads say what it predicts. It may have no vocabulary.

    Args:
        path: The checkpoint.
        vocab: Vocabulary to take instead of the one beside it.
        lower_case: Whether the vocabulary lower-cases text; None: as its files say.

    Raises:
        InputError: A file cannot be used.
    """
    from albert_core.backends import LENGTH_MULTIPLE

    read_source = functools.partial(read_checkpoint, path, vocab=vocab, lower_case=lower_case)
    checkpoint = read_source()
    task = parse_task(checkpoint.task, source=path)
    settings = parse_finetuning(
        checkpoint.finetuning, max_length=checkpoint.config.max_position_embeddings, source=path
    )
    model = _keras_model(checkpoint, task, settings)
    return LoadedModel(
        name=task.name if task else _model_name(path),
        format=detect(path),
        config=checkpoint.config,
        tokenizer=checkpoint.tokenizer,
        task=task,
        settings=settings,
        signature=TaskSignature.from_task(task)
        if task
        else TaskSignature.from_heads(checkpoint.heads, _num_labels(checkpoint)),
        null_threshold=read_null_threshold(path),
        run=compiled_function(model),
        read_source=read_source,
        open_encoder=lambda: encoder_function(model),
        length_multiple=LENGTH_MULTIPLE,
    )


def _keras_model(
    checkpoint: Checkpoint, task: Task | None, settings: FinetuningConfig
) -> "keras.Model":
    """Return the Keras model of a checkpoint with its weights, compiled for prediction.

    That of a task is as its settings have it: they say how many starts and ends are searched.
    Without a task it has the heads of the checkpoint.

    Raises:
        InputError: The weights are not those of the task's model.
    """
    from albert_core.backends import JITS_VARYING_LENGTHS
    from albert_core.model import load_weights

    if task is None:
        model = build_model(checkpoint)
    else:
        # Not `build_model`: the weights do not tell how many starts and ends are searched.
        model = new_task_model(task, settings, checkpoint.config)
        load_weights(model, checkpoint.with_pooler().weights, source=checkpoint.source)
    model.compile(jit_compile=JITS_VARYING_LENGTHS)
    return model


def _model_name(path: Path) -> str:
    """Return the name of a model's folder; for a folder named as its format that of its parent."""
    path = path.resolve()
    return path.parent.name if path.name in FORMATS else path.name


def _num_labels(checkpoint: Checkpoint) -> int:
    """Return the number of outputs of a checkpoint's classifier; 0 if it has none."""
    if "classifier" not in checkpoint.heads:
        return 0
    return next(len(checkpoint.weights[n]) for n in HEADS["classifier"] if n in checkpoint.weights)
