"""The table of export formats.

Settings, export step, proof, model card, `albert info` and server read what they know of a format
from here, so that a new format is a module that writes and opens it and an entry in this table.
Importing the table imports none of these modules, neither Keras nor TensorFlow.
"""

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from albert_core.errors import InputError
from albert_core.pooling import POOLINGS, HeadPooling

if TYPE_CHECKING:
    from albert_core.checkpoints import Checkpoint
    from albert_core.model_function import ModelFunction

ExportFormat = Literal[
    "saved_model",
    "onnx",
    "onnx_int8",
    "litert",
    "keras_archive",
    "huggingface",
    "tf1",
    "keras",
]

_ORIGINAL_POOLINGS = frozenset(name for name, spec in POOLINGS.items() if spec.is_in_original)

# What the files of a format hold beside the parameters, however many these are: names; a graph
# with every layer written out; in SavedModels several graphs, and the tables that normalise text.
_WEIGHTS_OVERHEAD, _GRAPH_OVERHEAD, _SAVED_MODEL_OVERHEAD = 1 << 16, 1 << 20, 4 << 20

# onnxruntime compiles nothing, and multiples of 8 cost a fifth of short texts.
_ONNX_LENGTH_MULTIPLE = 1
# Measured with sequences of 16 tokens: 27 to 44 for models of 256 to 768 wide, float32 and int8.
_ONNX_BATCH_COST_TOKENS = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bounds:
    """How far an exported model may be from the model it was made of.

    Attributes:
        difference: Largest absolute difference of an output.
        score_change: Largest absolute change of the task's metric, from 0 to 1; on a small dev set
            one example may change. For a quantized model, the largest decrease.
        overhead_bytes: Bytes the files may hold beside the parameters, such as the graph.
        is_quantized: Whether weights are rounded: then probabilities are compared, not logits.
        size_ratio: Most bytes of the files for each byte of the parameters, overhead aside.
    """

    difference: float = 1e-4
    score_change: float = 0.001
    overhead_bytes: int = _GRAPH_OVERHEAD
    is_quantized: bool = False
    size_ratio: float = 1.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class FormatSpec:
    """An export format.

    Attributes:
        title: What it is, in a few words.
        description: What it is for.
        write: Writes a checkpoint's model into an existing, empty folder.
        open: Opens such a folder in the format's own runtime.
        open_encoder: Opens its encoder alone, from the encoder's inputs to `sequence_output` and
            `pooled_output`; None where the files have only the whole model.
        files: Files by which a folder of this format is known, the model's first; empty for
            folders that `albert_core.checkpoints.detect` knows. Formats of one runtime may share
            them.
        settings_folder: Folder in it with configuration, vocabulary, task and settings.
        has_graph: Whether the files hold the computation beside the weights. Such a format does
            not store configuration, vocabulary, task and settings itself.
        unsupported_heads: Heads that the format cannot express, by the names in
            `albert_core.checkpoints.names.HEADS`.
        poolings: What a classifier that it can express reads of the encoder's outputs.
        bounds: Limits of the proof.
        packages: Packages it needs beside those of training, by the names they are imported by.
        hub_library: Name of the library that reads it, as the Hugging Face hub spells it.
        length_multiple: Multiple to which its runtime wants lengths of batches rounded up.
        batch_cost_tokens: As in `LoadedModel`.
    """

    title: str
    description: str
    write: "Callable[[Checkpoint, Path], None]"
    open: "Callable[[Path], ModelFunction]"
    open_encoder: "Callable[[Path], ModelFunction] | None" = None
    files: tuple[str, ...] = ()
    settings_folder: str = "."
    has_graph: bool = True
    unsupported_heads: frozenset[str] = frozenset()
    poolings: frozenset[HeadPooling] = frozenset(POOLINGS)
    bounds: Bounds = Bounds()
    packages: tuple[str, ...] = ()
    hub_library: str | None = None
    length_multiple: int = 8
    batch_cost_tokens: int | None = None


def _import_when_called(address: str, **options: Any) -> Callable[..., Any]:
    """Return a function that imports another one when it is first called, and calls that.

    It takes positional arguments only.

    Args:
        address: Module and function, such as `albert_core.exports.onnx:write_onnx`.
        options: Keyword arguments for each call of it.
    """

    def call(*arguments: Any) -> Any:
        module, _, name = address.partition(":")
        return getattr(importlib.import_module(module), name)(*arguments, **options)

    return call


def _weights_format(
    name: Literal["huggingface", "tf1", "keras"],
    *,
    title: str,
    description: str,
    unsupported_heads: frozenset[str] = frozenset(),
    poolings: frozenset[HeadPooling] = frozenset(POOLINGS),
    hub_library: str | None = None,
    overhead_bytes: int = _WEIGHTS_OVERHEAD,
) -> FormatSpec:
    """Return a format that `albert convert` writes, too, and proves the same to 1e-6.

    It has no graph that runs the model and needs no further packages; the arguments are attributes
    of `FormatSpec`, the last one of its bounds.
    """
    return FormatSpec(
        title=title,
        description=description,
        write=_import_when_called("albert_core.exports.weights:write_weights_format", to=name),
        open=_import_when_called("albert_core.exports.weights:open_weights_format"),
        has_graph=False,
        unsupported_heads=unsupported_heads,
        poolings=poolings,
        bounds=Bounds(overhead_bytes=overhead_bytes),
        hub_library=hub_library,
    )


FORMATS: Mapping[ExportFormat, FormatSpec] = {
    "saved_model": FormatSpec(
        title="TensorFlow SavedModel",
        description="for TensorFlow, TF Serving and TF-Hub; takes strings, too",
        write=_import_when_called("albert_core.exports.saved_model:write_saved_model"),
        open=_import_when_called("albert_core.exports.saved_model:open_saved_model"),
        open_encoder=_import_when_called(
            "albert_core.exports.saved_model:open_saved_model_encoder"
        ),
        # TF-Hub modules of the original have no such settings; they are read as checkpoints.
        files=("saved_model.pb", "assets/tokenizer_settings.json"),
        settings_folder="assets",
        bounds=Bounds(overhead_bytes=_SAVED_MODEL_OVERHEAD),
        packages=("tensorflow_text",),
    ),
    "onnx": FormatSpec(
        title="ONNX",
        description="for ONNX Runtime",
        write=_import_when_called("albert_core.exports.onnx:write_onnx"),
        open=_import_when_called("albert_core.exports.onnx:open_onnx"),
        files=("model.onnx",),
        packages=("onnx", "onnxruntime", "tf2onnx"),
        length_multiple=_ONNX_LENGTH_MULTIPLE,
        batch_cost_tokens=_ONNX_BATCH_COST_TOKENS,
    ),
    "onnx_int8": FormatSpec(
        title="ONNX with weights of 8 bits",
        description="for ONNX Runtime, a third of the size",
        write=_import_when_called("albert_core.exports.onnx:write_onnx", quantized=True),
        open=_import_when_called("albert_core.exports.onnx:open_onnx"),
        files=("model.onnx",),
        bounds=Bounds(difference=0.35, score_change=0.02, is_quantized=True),
        packages=("onnx", "onnxruntime", "tf2onnx"),
        length_multiple=_ONNX_LENGTH_MULTIPLE,
        batch_cost_tokens=_ONNX_BATCH_COST_TOKENS,
    ),
    "litert": FormatSpec(
        title="LiteRT (TensorFlow Lite)",
        description="for phones",
        write=_import_when_called("albert_core.exports.litert:write_litert"),
        open=_import_when_called("albert_core.exports.litert:open_litert"),
        files=("model.tflite",),
        packages=("ai_edge_litert",),
    ),
    "keras_archive": FormatSpec(
        title="Keras archive",
        description="for Keras, one .keras file",
        write=_import_when_called("albert_core.exports.keras_archive:write_keras_archive"),
        open=_import_when_called("albert_core.exports.keras_archive:open_keras_archive"),
        open_encoder=_import_when_called(
            "albert_core.exports.keras_archive:open_keras_archive_encoder"
        ),
        files=("model.keras",),
        hub_library="keras",
    ),
    "huggingface": _weights_format(
        "huggingface",
        title="Hugging Face folder",
        description="for transformers",
        unsupported_heads=frozenset({"span_beam"}),
        poolings=_ORIGINAL_POOLINGS,
        hub_library="transformers",
    ),
    "tf1": _weights_format(
        "tf1",
        title="TensorFlow 1 checkpoint",
        description="for the original's scripts",
        unsupported_heads=frozenset({"token_classifier"}),
        poolings=_ORIGINAL_POOLINGS,
        overhead_bytes=_GRAPH_OVERHEAD,  # some 2 kB for each variable
    ),
    "keras": _weights_format("keras", title="model folder", description="for this program"),
}

QUANTIZED: tuple[ExportFormat, ...] = tuple(
    name for name, spec in FORMATS.items() if spec.bounds.is_quantized
)


def common_poolings(formats: Iterable[ExportFormat]) -> frozenset[HeadPooling]:
    """Return the poolings of a classifier that all of some formats can express; all without any."""
    return frozenset(POOLINGS).intersection(*(FORMATS[name].poolings for name in formats))


def find_export_format(folder: Path) -> ExportFormat | None:
    """Return the format of an export with a graph; None for any other folder.

    Only the names of files are looked at. If formats share their files, such as `onnx` and
    `onnx_int8`, it is the first in the table.
    """
    for name, spec in FORMATS.items():
        if spec.files and all((folder / file).is_file() for file in spec.files):
            return name
    return None


def write_format(checkpoint: "Checkpoint", folder: Path, *, to: ExportFormat) -> None:
    """Write a model into a new folder, with configuration, vocabulary and side files.

    These are the task, the settings of fine-tuning and what the head's outputs stand for. Formats
    of weights alone are read back and compared; whether the others are the same model is not
    checked. After an error the folder stays.

    Args:
        checkpoint: The model.
        folder: Folder to make, with its parents.
        to: The format.

    Raises:
        FileExistsError: The folder exists, even if it is empty.
        InputError: The format cannot express the model.
        StepFailedError: A format of weights was read back as another model.
    """
    from albert_core.checkpoints.side_files import write_side_files
    from albert_core.config import CONFIG_NAME

    folder.mkdir(parents=True)
    spec = FORMATS[to]
    spec.write(checkpoint, folder)
    if spec.has_graph:
        checkpoint.config.to_json_file(folder / CONFIG_NAME)
        if checkpoint.tokenizer:
            checkpoint.tokenizer.save(folder)
        write_side_files(checkpoint, folder)


def refuse_other_classifiers(checkpoint: "Checkpoint", formats: Iterable[ExportFormat]) -> None:
    """Refuse formats that cannot express a checkpoint's classifier.

    Raises:
        InputError: The checkpoint has a classifier of tokens, or one that reads something else than
            the pooler, and a format cannot express that; the first such format is named.
    """
    from albert_core.checkpoints.checkpoint import refuse_other_pooling, refuse_token_classifier

    for name in formats:
        if "token_classifier" in FORMATS[name].unsupported_heads:
            refuse_token_classifier(checkpoint, name)
        if checkpoint.pooling not in FORMATS[name].poolings:
            refuse_other_pooling(checkpoint, name)


def refuse_missing_packages(formats: Collection[ExportFormat]) -> None:
    """Refuse formats whose converter or runtime is not installed; imports none of them.

    Raises:
        InputError: A package is missing; all of the first such format are named.
    """
    for name in formats:
        packages = FORMATS[name].packages
        if missing := [p for p in packages if importlib.util.find_spec(p) is None]:
            raise InputError(
                f"format {name}: needs {', '.join(missing)}, which is not installed; install "
                "'albert-pipeline[export]', from a checkout `make setup`"
            )
