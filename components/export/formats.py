"""The formats there are: how each is written and opened, and how far it may be from its model."""

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from albert_core.errors import InputError
from components.export.config import QUANTIZED, ExportConfig, ExportFormat

if TYPE_CHECKING:
    from albert_core.checkpoints import Checkpoint, Target
    from albert_core.exports.parity import Bounds
    from albert_core.model_function import ModelFunction

_SAME_DIFFERENCE, _SAME_SCORE = 1e-4, 0.001
_INT8_DIFFERENCE = 0.35

# What files hold beside parameters, however many these are: names, a graph with every layer
# written out, and in SavedModels several graphs with the tables that normalise text.
_HEADER_BYTES, _GRAPH_BYTES, _MODULE_BYTES = 1 << 16, 1 << 20, 4 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """A format.

    Attributes:
        write: Writes a model into an existing, empty folder.
        open: Opens what was written, in its own runtime.
        holds_graph: Whether the files hold the computation, too, not weights alone: then
            vocabulary, settings and task are put beside them.
        overhead_bytes: What the files may hold beside the parameters.
        packages: What it needs to be installed beside what training does.
    """

    write: "Callable[[Checkpoint, Path], None]"
    open: "Callable[[Path], ModelFunction]"
    holds_graph: bool = True
    overhead_bytes: int = _GRAPH_BYTES
    packages: tuple[str, ...] = ()


def _weights(kind: "Target") -> Format:
    """Return a format of weights, which `albert convert` proves the same to 1e-6, too."""

    def write(checkpoint: "Checkpoint", folder: Path) -> None:
        from albert_core.checkpoints.conversion import write_proven

        write_proven(checkpoint, folder, to=kind)

    def open_weights(folder: Path) -> "ModelFunction":
        from albert_core.checkpoints import read_checkpoint
        from albert_core.checkpoints.checkpoint import reference_function

        return reference_function(read_checkpoint(folder))

    return Format(write=write, open=open_weights, holds_graph=False, overhead_bytes=_HEADER_BYTES)


def _graph(room: str, *packages: str, overhead_bytes: int = _GRAPH_BYTES, **options: Any) -> Format:
    """Return a format of the module of that name in `albert_core.exports`.

    Args:
        room: The module; it has `write_<room>` and `open_<room>`.
        packages: What it needs.
        overhead_bytes: What its files may hold beside the parameters.
        options: For the writer.
    """

    def function(verb: str) -> Callable[..., Any]:
        module = importlib.import_module(f"albert_core.exports.{room}")
        return getattr(module, f"{verb}_{room}")

    return Format(
        write=lambda checkpoint, folder: function("write")(checkpoint, folder, **options),
        open=lambda folder: function("open")(folder),
        overhead_bytes=overhead_bytes,
        packages=packages,
    )


FORMATS: Mapping[ExportFormat, Format] = {
    "huggingface": _weights("huggingface"),
    "tf1": _weights("tf1"),
    "keras": _weights("keras"),
    "saved_model": _graph("saved_model", "tensorflow_text", overhead_bytes=_MODULE_BYTES),
    "onnx": _graph("onnx", "onnx", "onnxruntime", "tf2onnx"),
    "onnx_int8": _graph("onnx", "onnx", "onnxruntime", "tf2onnx", quantized=True),
    "litert": _graph("litert", "ai_edge_litert"),
    "keras_archive": _graph("keras_archive"),
}


def bounds_of(name: ExportFormat, config: ExportConfig) -> "Bounds":
    """Return how far a model in a format may be from the one it was made of."""
    from albert_core.exports.parity import Bounds

    is_quantized = name in QUANTIZED
    return Bounds(
        difference=_INT8_DIFFERENCE if is_quantized else _SAME_DIFFERENCE,
        score_change=config.allowed_score_loss if is_quantized else _SAME_SCORE,
        is_quantized=is_quantized,
        overhead_bytes=FORMATS[name].overhead_bytes,
    )


def write_format(checkpoint: "Checkpoint", folder: Path, *, to: ExportFormat) -> None:
    """Write a model into a new folder, with all that whoever runs it needs to know.

    Args:
        checkpoint: The model.
        folder: Folder to make.
        to: The format.

    Raises:
        InputError: The model cannot be expressed so.
        StepFailedError: What was written is not the same model.
    """
    from albert_core.checkpoints.checkpoint import FINETUNING_NAME, TASK_NAME
    from albert_core.config import CONFIG_NAME
    from albert_core.files import write_json

    folder.mkdir(parents=True)
    FORMATS[to].write(checkpoint, folder)
    if not FORMATS[to].holds_graph:
        return
    checkpoint.config.to_json_file(folder / CONFIG_NAME)
    if checkpoint.tokenizer:
        checkpoint.tokenizer.save(folder)
    for file, values in {
        TASK_NAME: checkpoint.task,
        FINETUNING_NAME: checkpoint.finetuning,
    }.items():
        if values:
            write_json(folder / file, values)


def refuse_missing_packages(formats: Collection[ExportFormat]) -> None:
    """Refuse formats that nothing here can write or run.

    Raises:
        InputError: A package is not installed.
    """
    for name in formats:
        missing = [p for p in FORMATS[name].packages if importlib.util.find_spec(p) is None]
        if missing:
            raise InputError(
                f"format {name}: needs {', '.join(missing)}, which is not installed; install "
                "'albert-pipeline[export]'"
            )
