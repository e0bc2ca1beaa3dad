"""Preflight warns of tasks on positions that were never trained, and says what to do."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from albert_core.artifacts.manifest import Manifest
from albert_core.checkpoints import Checkpoint, save_folder
from albert_core.corpus import CorpusConfig
from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.presets import ModelConfig, preset
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.phases import PhaseConfig
from albert_core.records.config import RecordsConfig
from components.checkpoint.config import CheckpointConfig
from pipeline.config import RunConfig
from pipeline.local.inputs import LocalInputs
from pipeline.preflight import pipeline_arguments
from tests.helpers.tiny_run import write_corpus, write_tasks

WARNING = "warning: finetuning.sequence_length for"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_corpus(folder / "corpus", num_documents=30)
    write_tasks(folder / "glue")
    return folder


@pytest.fixture
def config(folder) -> RunConfig:
    return RunConfig(
        corpus=CorpusConfig(files=(str(folder / "corpus"),)),
        records=RecordsConfig(sequence_length=24),
        model=ModelConfig(preset="tiny"),
        finetuning=FinetuningConfig(
            sequence_length=24, per_task={"topic": {"sequence_length": 48}}
        ),
        data_dir=str(folder / "glue"),
        tasks=("cola", "topic"),
        random_weights_baseline=True,
    )


def warnings_of(config: RunConfig, capsys: pytest.CaptureFixture[str]) -> list[str]:
    pipeline_arguments(config, LocalInputs(), work_root="work")
    return capsys.readouterr().err.splitlines()


def test_a_run_from_text_names_the_tasks_that_are_longer_than_its_records(config, capsys):
    (line,) = warnings_of(config, capsys)
    assert line.startswith(f"{WARNING} topic: got 48, but the model was pretrained on at most 24 ")


def test_a_phase_of_that_length_is_enough(config, capsys):
    phases = (
        PhaseConfig(sequence_length=24, num_train_steps=5_000),
        PhaseConfig(sequence_length=48, num_train_steps=5_000),
    )
    longer = dataclasses.replace(config, pretraining=PretrainingConfig(phases=phases))
    assert warnings_of(longer, capsys) == []


@pytest.mark.parametrize(("num_positions", "num_warnings"), [(None, 0), (40, 1)])
def test_so_are_offsets_that_reach_so_far(config, capsys, num_positions, num_warnings):
    pretraining = PretrainingConfig(
        position_offset_probability=0.5, num_trained_positions=num_positions
    )
    offset = dataclasses.replace(config, pretraining=pretraining)
    assert len(warnings_of(offset, capsys)) == num_warnings


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (
            {"position_offset_probability": 1, "num_trained_positions": 24},
            "which does nothing: all",
        ),
        ({"num_train_tokens": 4096 * 3200}, "num_warmup_steps: got 3125, expected from 0 to"),
    ],
)
def test_pretraining_that_does_not_fit_its_records_is_refused(config, settings, named):
    wrong = dataclasses.replace(config, pretraining=PretrainingConfig(**settings))
    with pytest.raises(InputError, match=named):
        pipeline_arguments(wrong, LocalInputs(), work_root="work")


def test_what_another_program_has_trained_is_not_known(config, capsys, tmp_path):
    foreign = dataclasses.replace(
        config, pretraining=PretrainingConfig(init_checkpoint=str(tmp_path / "model.ckpt-best"))
    )
    assert warnings_of(foreign, capsys) == []


@pytest.mark.parametrize(
    ("metrics", "num_warnings"), [({"trained_sequence_length": 24}, 1), ({}, 0)]
)
def test_a_run_from_a_checkpoint_asks_its_manifest(
    config, folder, tokenizer, tmp_path, capsys, metrics, num_warnings
):
    checkpoint = Checkpoint(
        config=preset("tiny", vocab_size=len(tokenizer)),
        weights={"bert/pooler/dense/bias": np.zeros(3, np.float32)},
        source="memory",
        tokenizer=tokenizer,
    )
    save_folder(checkpoint, tmp_path / "model")
    Manifest(
        step="checkpoint",
        fingerprint="f",
        code_version="v",
        config={},
        inputs={},
        files={},
        metrics=metrics,
        seconds=1.0,
    ).write(tmp_path / "model")
    run = RunConfig(
        checkpoint=CheckpointConfig(path=str(tmp_path / "model")),
        finetuning=config.finetuning,
        data_dir=config.data_dir,
        tasks=config.tasks,
    )
    lines = warnings_of(run, capsys)
    assert [line.startswith(f"{WARNING} topic: got 48") for line in lines] == [True] * num_warnings
