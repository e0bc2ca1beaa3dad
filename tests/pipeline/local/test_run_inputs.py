"""The models that a run starts from are found by its steps, in whichever folder these run."""

from pathlib import Path

import pytest

from albert_core.corpus import CorpusConfig
from albert_core.presets import ModelConfig
from albert_core.pretraining.config import PretrainingConfig
from albert_core.records.config import RecordsConfig
from albert_core.tokenization.config import VocabConfig
from components.vocab.step import train_vocab
from pipeline.config import RunConfig
from pipeline.local.containers import input_folders
from pipeline.local.inputs import LocalInputs
from pipeline.preflight import pipeline_arguments
from tests.helpers.tiny_run import write_corpus, write_tasks


@pytest.fixture
def config(tmp_path, monkeypatch) -> RunConfig:
    """A run whose vocabulary and initial model are named from the current folder."""
    corpus = CorpusConfig(files=(str(write_corpus(tmp_path / "corpus", num_documents=30)),))
    train_vocab(corpus=corpus, config=VocabConfig(size=60), output=tmp_path / "vocab")
    (tmp_path / "model").mkdir()
    write_tasks(tmp_path / "glue")
    monkeypatch.chdir(tmp_path)
    return RunConfig(
        corpus=corpus,
        vocab=VocabConfig(size=60, source="vocab"),
        records=RecordsConfig(sequence_length=24),
        model=ModelConfig(preset="tiny"),
        pretraining=PretrainingConfig(init_checkpoint="model/model.ckpt-best"),
        data_dir=str(tmp_path / "glue"),
        tasks=("cola",),
    )


def starts(config: RunConfig, inputs: LocalInputs) -> tuple[list[str], list[str]]:
    """Return the addresses as the steps get them, and the folders that containers see."""
    arguments = pipeline_arguments(config, inputs, work_root="/work")
    names = [arguments["vocab"]["source"], arguments["pretraining"]["init_checkpoint"]]
    return names, input_folders(arguments)


def test_containers_get_absolute_addresses_below_folders_that_they_see(config, tmp_path):
    names, folders = starts(config, LocalInputs(in_containers=True))
    assert names == [str(tmp_path / "vocab"), str(tmp_path / "model" / "model.ckpt-best")]
    assert {str(tmp_path / "vocab"), str(tmp_path / "model")} <= set(folders)


def test_processes_get_them_as_they_are_given_since_their_work_is_named_by_them(config):
    names, _ = starts(config, LocalInputs())
    assert names == ["vocab", str(Path("model", "model.ckpt-best"))]


def test_what_is_not_set_and_what_is_absolute_stays(config, tmp_path):
    settings = {
        "vocab": VocabConfig(size=60, source=str(tmp_path / "vocab")),
        "pretraining": PretrainingConfig(),
    }
    names, _ = starts(RunConfig(**{**vars(config), **settings}), LocalInputs(in_containers=True))
    assert names == [str(tmp_path / "vocab"), ""]
