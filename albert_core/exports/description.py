"""Describe the folder of an export by its side files, without the format's runtime."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from albert_core.checkpoints.description import list_sizes, size_name
from albert_core.checkpoints.purpose import Purpose, read_purpose
from albert_core.checkpoints.side_files import read_pooling
from albert_core.checkpoints.vocabulary import summarize_vocabulary
from albert_core.config import CONFIG_NAME, AlbertConfig
from albert_core.exports.formats import FORMATS, ExportFormat, find_export_format
from albert_core.pooling import HeadPooling
from albert_core.settings.json_values import read_json_object

PARITY_NAME = "parity.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportDescription:
    """The contents of an export, as `albert info` prints them.

    Attributes:
        path: The folder.
        format: Its format.
        config: The architecture.
        size: Name of the preset with that architecture; empty if none has it.
        purpose: What the model was fine-tuned for; all empty if nothing says.
        pooling: What its classifier reads of the encoder's outputs; `pooler` without one.
        vocabulary: Kind, size and case of the vocabulary as text, or why it cannot be used
            (`summarize_vocabulary`); empty if there is none.
        differences: Largest difference of each output from the Keras model's, as measured when the
            model was exported; empty if there is no parity.json.
        files: Size in bytes by path in the folder, sorted.
    """

    path: str
    format: ExportFormat
    config: AlbertConfig
    size: str
    purpose: Purpose
    pooling: HeadPooling
    vocabulary: str
    differences: Mapping[str, float]
    files: Mapping[str, int]


def describe_export(folder: Path) -> ExportDescription | None:
    """Describe an export with a graph; None for any other folder.

    If formats share their files, it is the one that parity.json names; without that file, the first
    one in `FORMATS`.

    Raises:
        InputError: The architecture's file is missing, or a file in it cannot be read. For a
            vocabulary that cannot be used there is no error.
    """
    export_format = find_export_format(folder)
    if export_format is None:
        return None
    parity = read_json_object(folder / PARITY_NAME) if (folder / PARITY_NAME).is_file() else {}
    # Formats may share their files; the proof knows which of them it was.
    if parity.get("format") in FORMATS:
        export_format = parity["format"]
    settings = folder / FORMATS[export_format].settings_folder
    config = AlbertConfig.from_json_file(settings / CONFIG_NAME)
    return ExportDescription(
        path=str(folder),
        format=export_format,
        config=config,
        size=size_name(config),
        purpose=read_purpose(settings),
        pooling=read_pooling(settings),
        vocabulary=summarize_vocabulary(settings),
        differences=parity.get("differences") or {},
        files=list_sizes(folder),
    )
