"""The steps of a run, of which cards are made."""

import shutil
from pathlib import Path

import pytest

from albert_core.pretraining.phases import PhaseConfig
from components.evaluate.step import evaluate
from components.export.lineage import Lineage, find_lineage
from components.finetune.step import finetune
from tests.helpers.eager import functions_run_eagerly
from tests.helpers.model_cards import TASK
from tests.helpers.tiny_pretraining import train
from tests.helpers.tiny_tasks import tiny_finetuning, write_tiny_tasks

PHASES = (
    PhaseConfig(sequence_length=24, num_train_steps=4, num_hidden_layers=1),
    PhaseConfig(sequence_length=48, num_train_steps=4, batch_size=8),
)
PRETRAINING = {
    "phases": PHASES,
    "num_warmup_steps": 1,
    "evaluation_interval_steps": 4,
    "ema_decay": 0.9,
    "residual_init_scale": 0.5,
}
TUNING = {
    "num_seeds": 2,
    "num_train_steps": 4,
    "num_probe_examples": 0,
    "sequence_length": 16,
    "optimizer": "muon",
    "bias_correction": True,
}


@pytest.fixture(scope="session")
def run(material, tmp_path_factory) -> Path:
    """The steps of a run in folders of their names: two phases, two seeds, random weights."""
    folder = tmp_path_factory.mktemp("run")
    for step in (material.vocab, material.short, material.long):
        shutil.copytree(step, folder / step.name)
    records = [material.short, material.long]
    data = write_tiny_tasks(folder / "data") / "topic"
    with functions_run_eagerly():
        train(material, folder / "model", records=records, **PRETRAINING)
        for name, initialization in (("tuned", "pretrained"), ("random", "random")):
            finetune(
                task=TASK,
                data=data,
                pretrained=folder / "model",
                initialization=initialization,
                config=tiny_finetuning(**TUNING),
                output=folder / name,
            )
            evaluate(model=folder / name, data=data, output=folder / f"{name} scores")
    return folder


@pytest.fixture(scope="session")
def lineage(run) -> Lineage:
    return find_lineage(run / "tuned", run)
