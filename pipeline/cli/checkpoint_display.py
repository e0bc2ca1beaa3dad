"""What `albert convert` and `albert info` print."""

from collections.abc import Iterator, Mapping
from typing import Any

import rich.console
import rich.markup
import rich.table

from albert_core.artifacts.manifest import Manifest
from albert_core.checkpoints import Conversion, Description
from albert_core.checkpoints.description import ModelSummary
from albert_core.checkpoints.purpose import Purpose
from albert_core.exports.description import ExportDescription
from albert_core.exports.formats import FORMATS
from albert_core.pooling import POOLINGS, HeadPooling
from components.number_formats import format_bytes, format_number

_SHOWN_FILES = 12

_KINDS = {
    "tf1": "TensorFlow 1 checkpoint of the original",
    "hub": "SavedModel, or TF-Hub module of the original",
    "huggingface": "Hugging Face folder",
    "keras": "model folder",
    "training": "checkpoint of a training",
    "artifact": "results of a step",
}
_HEADS = {
    "masked_lm": "masked LM",
    "sentence_order": "sentence order",
    "classifier": "classifier",
    "span": "answer span",
    "token_classifier": "classifier of tokens",
    "span_beam": "answer span with beam (SQuAD 2)",
}

DisplayRow = tuple[str, str]


def print_conversion(conversion: Conversion) -> None:
    """Print source, destination and heads of a conversion, differences of outputs, and notes."""
    rows = [
        ("source", f"{conversion.source} ({_KINDS[conversion.kind]})"),
        ("destination", f"{conversion.destination} ({_KINDS[conversion.format]})"),
        ("heads", _heads(conversion.heads)),
    ]
    rows += [
        (f"difference of {name}", f"{value:.3g}") for name, value in conversion.differences.items()
    ]
    rows += [("note", note) for note in conversion.notes]
    _print(rows)


def print_description(description: Description) -> None:
    """Print what a path is and holds: its step, model and vocabulary where it has them; files."""
    rows = [("path", description.path), ("kind", _KINDS[description.kind])]
    if description.manifest:
        rows += _manifest_rows(description.manifest)
    if description.model:
        rows += _model_rows(description.model)
    rows += _purpose_rows(description.purpose)
    if description.vocabulary:
        rows.append(("vocabulary", description.vocabulary))
    _print([*rows, *_file_rows(description.files)])


def print_export(export: ExportDescription) -> None:
    """Print what an export is and holds, and how far it was from its model."""
    spec = FORMATS[export.format]
    rows = [
        ("path", export.path),
        ("kind", f"export: {spec.title}, {spec.description}"),
        ("size", export.size or "none of the presets"),
        ("architecture", _changed_settings(export.config.to_dict())),
    ]
    rows += [*_pooling_rows(export.pooling), *_purpose_rows(export.purpose)]
    if export.vocabulary:
        rows.append(("vocabulary", export.vocabulary))
    rows += [
        (f"difference of {name}", f"{value:.3g}") for name, value in export.differences.items()
    ]
    _print([*rows, *_file_rows(export.files)])


def _model_rows(model: ModelSummary) -> Iterator[DisplayRow]:
    """Yield the rows about a model's weights; size and architecture only if its config is known."""
    if model.config:
        yield "size", model.size or "none of the presets"
        yield "architecture", _changed_settings(model.config.to_dict())
    yield "parameters", f"{model.num_parameters:,} in {model.num_variables} variables"
    if model.num_unused:
        yield "not used", f"{model.num_unused} variables of groups that no layer uses"
    yield "type", ", ".join(model.dtypes)
    yield "heads", _heads(model.heads)
    yield from _pooling_rows(model.pooling)
    if model.num_slots:
        yield "optimizer", f"{model.num_slots} slots"
    if model.global_step is not None:
        yield "global step", f"{model.global_step:,}"


def _pooling_rows(pooling: HeadPooling) -> Iterator[DisplayRow]:
    """Yield a row about what a classifier reads, if that is not as in the original."""
    if not POOLINGS[pooling].is_in_original:
        yield "head reads", POOLINGS[pooling].title


def _purpose_rows(purpose: Purpose) -> Iterator[DisplayRow]:
    """Yield the rows about what a model was fine-tuned for; none about what is not known."""
    kind = purpose.kind.replace("_", " ")
    if purpose.task or kind:
        yield "task", f"{purpose.task} ({kind or 'kind unknown'})" if purpose.task else kind
    if purpose.labels:
        yield "labels", ", ".join(purpose.labels)
    if purpose.sequence_length:
        yield "longest input", f"{purpose.sequence_length:,} tokens in fine-tuning"


def _manifest_rows(manifest: Manifest) -> Iterator[DisplayRow]:
    """Yield the rows about the step that made an artifact: time, metrics and settings."""
    yield "step", f"albert {manifest.step}, {manifest.seconds:,.1f} s"
    yield "metrics", ", ".join(f"{name} {_format_value(v)}" for name, v in manifest.metrics.items())
    yield "settings", ", ".join(_flatten(manifest.config))


def _file_rows(files: Mapping[str, int]) -> Iterator[DisplayRow]:
    """Yield number and total size of files, the first twelve with sizes, and how many are left."""
    yield "files", f"{len(files):,}, {format_bytes(sum(files.values()))}"
    for name, size in list(files.items())[:_SHOWN_FILES]:
        yield f"  {name}", format_bytes(size)
    if len(files) > _SHOWN_FILES:
        yield "  ...", f"{len(files) - _SHOWN_FILES:,} more"


def _changed_settings(values: Mapping[str, Any]) -> str:
    """Return settings as `name value, name value`, without those that are zero, false or empty.

    Defaults that are not zero are shown, too.
    """
    return ", ".join(f"{name} {_format_value(value)}" for name, value in values.items() if value)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield nested settings as `name value`, with dotted names; an empty mapping yields nothing."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name} {_format_value(value)}"


def _format_value(value: Any) -> str:
    """Return a value as text: numbers rounded for reading, all else by `str`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return format_number(value)


def _heads(heads: tuple[str, ...]) -> str:
    """Return the titles of heads as text; says so if there are none."""
    return ", ".join(_HEADS[head] for head in heads) or "none: the encoder alone"


def _print(rows: list[DisplayRow]) -> None:
    """Print rows as two columns, wrapped on a terminal; elsewhere one line for each row."""
    console = rich.console.Console(highlight=False)
    if not console.is_terminal:
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            print(f"{name:<{width}}  {value}")
        return
    table = rich.table.Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(rich.markup.escape(name), rich.markup.escape(value))
    console.print(table)
