"""Preflight lets a run have heads that its export formats can hold, and refuses others."""

import dataclasses
from pathlib import Path

import pytest

from albert_core.corpus import CorpusConfig
from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.presets import ModelConfig
from albert_core.records.config import RecordsConfig
from components.export.config import ExportConfig
from pipeline.config import RunConfig
from pipeline.local.inputs import LocalInputs
from pipeline.preflight import pipeline_arguments
from tests.helpers.tiny_run import write_corpus, write_tasks


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    write_corpus(tmp_path / "corpus", num_documents=30)
    write_tasks(tmp_path / "glue")
    return RunConfig(
        corpus=CorpusConfig(files=(str(tmp_path / "corpus"),)),
        records=RecordsConfig(sequence_length=24),
        model=ModelConfig(preset="tiny"),
        finetuning=FinetuningConfig(sequence_length=24),
        data_dir=str(tmp_path / "glue"),
        tasks=("cola", "topic"),
        random_weights_baseline=True,
    )


def poolings_of(config: RunConfig) -> list[str]:
    arguments = pipeline_arguments(config, LocalInputs(), work_root="work")
    return [job["finetuning"]["pooling"] for job in arguments["jobs"]]


def test_a_default_follows_the_export_formats_and_is_told(config, capsys):
    assert poolings_of(config) == ["mean"] * 4  # also from random weights
    graphs = ExportConfig(formats=("saved_model", "onnx", "litert", "keras"))
    assert poolings_of(dataclasses.replace(config, export=graphs)) == ["mean"] * 4
    assert capsys.readouterr().err == ""
    mixed = ExportConfig(formats=("onnx", "huggingface", "tf1"))
    assert poolings_of(dataclasses.replace(config, export=mixed)) == ["pooler"] * 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "finetuning.pooling: pooler for cola, topic, since of export.formats huggingface, tf1 can"
    )


def test_what_is_asked_for_and_cannot_be_exported_is_refused(config):
    asked = dataclasses.replace(
        config,
        finetuning=FinetuningConfig(sequence_length=24, per_task={"topic": {"pooling": "mean"}}),
        export=ExportConfig(formats=("onnx", "huggingface")),
    )
    with pytest.raises(InputError, match=r"got huggingface with finetuning.pooling mean of topic"):
        poolings_of(asked)
