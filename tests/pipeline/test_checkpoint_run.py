"""A run from a checkpoint before it starts: options, recipes, and what is refused and why."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml

from albert_core.checkpoints import Checkpoint, save_folder
from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.presets import preset
from albert_core.tasks import TASKS, expand_groups
from components.checkpoint import step
from components.checkpoint.config import CheckpointConfig
from components.finetune.job import parse_job
from pipeline.cli import run_commands
from pipeline.cli.parsing import CommandParser
from pipeline.config import RunConfig, with_recipes
from pipeline.config_files import read_config
from pipeline.local.containers import input_folders
from pipeline.local.inputs import LocalInputs
from pipeline.preflight import pipeline_arguments
from tests.helpers.tiny_run import write_tasks


@pytest.fixture(scope="module")
def checkpoint(tokenizer, tmp_path_factory) -> Path:
    """A model folder that reads up to 96 tokens; preflight does not look at its weights."""
    folder = tmp_path_factory.mktemp("checkpoint") / "model"
    config = preset("tiny", vocab_size=len(tokenizer), max_position_embeddings=96)
    weights = {"bert/pooler/dense/bias": np.zeros(3, np.float32)}
    saved = Checkpoint(config=config, weights=weights, source="memory", tokenizer=tokenizer)
    save_folder(saved, folder)
    return folder


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("data") / "glue")


def parse(*arguments: str, config: Path | None = None) -> dict:
    """Return the settings of `albert run` with some options, as `main` parses them."""
    parser = CommandParser(run_commands.run)
    options = [*arguments, "--output", "out"]
    if config:
        options += ["--config", str(config)]
    spelled = parser.spell_out(options)
    parser.take_defaults(spelled)
    return parser.get_settings(parser.parser.parse_args(spelled))


def test_the_checkpoint_and_its_files_have_short_options():
    settings = parse(
        *("--checkpoint", "base/model.ckpt-best", "--albert_config", "config.json"),
        *("--vocab", "cased.model", "--lower_case", "false", "--strip_accents", "true"),
    )
    assert settings["checkpoint"] == CheckpointConfig(
        path="base/model.ckpt-best",
        albert_config="config.json",
        vocab="cased.model",
        lower_case=False,
        strip_accents=True,
    )


def test_the_files_of_a_checkpoint_are_compared_with_their_manifest_once(
    checkpoint, tmp_path, monkeypatch
):
    compared, compare = [], step.input_folder

    def count(address: str) -> Path:
        compared.append(address)
        return compare(address)

    monkeypatch.setattr(step, "input_folder", count)
    config = CheckpointConfig(path=str(checkpoint))
    LocalInputs().find_checkpoint(RunConfig(checkpoint=config))
    assert compared == [str(checkpoint)]
    step.import_checkpoint(config=config, output=tmp_path / "out")
    assert compared == [str(checkpoint)] * 2


def test_vocab_still_takes_the_settings_of_the_section(tmp_path):
    (tmp_path / "vocab.yaml").write_text("size: 500\n")
    assert parse("--vocab", str(tmp_path / "vocab.yaml"))["vocab"].size == 500
    assert parse("--vocab", "{size: 400}")["vocab"].size == 400


@pytest.mark.parametrize("value", ["albert_base", {"path": "albert_base"}])
def test_a_file_may_say_the_same(tmp_path, value):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({"checkpoint": value, "tasks": ["cola"]}))
    assert read_config(path).checkpoint.path == "albert_base"
    assert parse(config=path)["finetuning"].recipe == "original"


def test_tasks_have_their_recipes_unless_something_else_is_given(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("finetuning: {num_seeds: 2, per_task: {rte: {batch_size: 8}}}\n")
    given = ("--finetuning.sequence_length", "128", "--finetuning.num_epochs=4")
    finetuning = parse("--checkpoint", "base", *given, config=path)["finetuning"]
    cola, rte = (finetuning.for_task(TASKS[name]) for name in ("cola", "rte"))
    assert (cola.learning_rate, cola.batch_size, rte.batch_size) == (1e-5, 16, 8)
    assert (cola.sequence_length, cola.num_epochs, cola.num_seeds) == (128, 4.0, 2)
    assert cola.num_train_steps is None
    assert cola.num_warmup_steps is None
    assert cola.warmup_ratio == pytest.approx(320 / 5336)  # of the recipe, for any length
    assert cola.per_task == {}


def test_what_is_set_for_every_task_wins_over_what_is_given_and_leaves_the_rest():
    config = FinetuningConfig(num_epochs=4, batch_size=8, per_task={"*": {"batch_size": 4}})
    finetuning = with_recipes(config, {"num_epochs", "batch_size", "per_task"})
    cola = finetuning.for_task(TASKS["cola"])
    assert (cola.num_epochs, cola.batch_size) == (4.0, 4)


def test_a_recipe_that_is_given_and_a_run_from_text_stay_as_they_are():
    assert parse("--checkpoint", "base", "--finetuning.recipe", "general")["finetuning"] == (
        FinetuningConfig()
    )
    assert parse("--corpus", "a.txt")["finetuning"] == FinetuningConfig()


def test_a_section_given_whole_counts_as_its_settings():
    finetuning = parse("--checkpoint", "base", "--finetuning", "{learning_rate: 0.1}")["finetuning"]
    assert finetuning.for_task(TASKS["cola"]).learning_rate == 0.1


def test_a_short_training_keeps_the_share_of_warm_up():
    finetuning = with_recipes(FinetuningConfig(num_train_steps=30), {"num_train_steps"})
    cola, squad = (finetuning.for_task(TASKS[name]) for name in ("cola", "squad2"))
    assert (cola.num_train_steps, cola.num_warmup_steps) == (30, None)
    assert (squad.num_train_steps, squad.warmup_ratio) == (30, 0.1)


def test_all_glue_stands_for_nine_tasks_each_named_once():
    names = expand_groups(["rte", "all-glue", "squad2"])
    assert names[0] == "rte"
    assert len(names) == len(set(names)) == 10
    assert set(names) == {
        *("cola", "sst-2", "mrpc", "sts-b", "qqp", "mnli", "qnli", "rte", "wnli", "squad2")
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"corpus": {"files": ["a.txt"]}}, "settings of corpus; expected one of both"),
        ({"model": {"preset": "tiny"}, "vocab": {"size": 99}}, "settings of vocab, model"),
        ({"title": "run of {{ds}}"}, "title: got {{ds}}, expected none"),
        ({"checkpoint": {"vocab": "x.model"}}, "checkpoint.vocab: got x.model"),
    ],
)
def test_a_second_start_is_refused(tmp_path, changes, reason):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({"checkpoint": "albert_base", **changes}))
    with pytest.raises(InputError) as error:
        read_config(path)
    assert reason in str(error.value)


def config_of(checkpoint: Path, data_dir: Path, **changes) -> RunConfig:
    return RunConfig(
        checkpoint=CheckpointConfig(path=str(checkpoint)),
        data_dir=str(data_dir),
        **{"tasks": ("cola", "topic"), **changes},
    )


def test_preflight_returns_the_arguments_of_the_shorter_pipeline(
    checkpoint, data_dir, monkeypatch, tmp_path
):
    monkeypatch.chdir(checkpoint.parent)
    config = config_of(
        Path("model"), data_dir, finetuning=FinetuningConfig(sequence_length=96), title="tiny"
    )
    arguments = pipeline_arguments(config, LocalInputs(), work_root=tmp_path)
    assert set(arguments) == {
        *("title", "checkpoint", "checkpoint_fingerprint", "jobs", "export", "work_root"),
    }
    assert arguments["checkpoint"]["path"] == str(checkpoint)  # steps run in other folders
    assert [parse_job(job).task.name for job in arguments["jobs"]] == ["cola", "topic"]
    assert str(checkpoint) in input_folders(arguments)


def test_another_model_or_vocabulary_is_new_work(checkpoint, data_dir, tmp_path):
    config = config_of(checkpoint, data_dir, finetuning=FinetuningConfig(sequence_length=64))
    cased = dataclasses.replace(config.checkpoint, lower_case=False)
    both = [config, dataclasses.replace(config, checkpoint=cased)]
    prints = [
        pipeline_arguments(one, LocalInputs(), work_root=tmp_path)["checkpoint_fingerprint"]
        for one in both
    ]
    assert len(set(prints)) == 2


def test_sequences_longer_than_the_checkpoint_reads_are_refused(checkpoint, data_dir, tmp_path):
    config = config_of(checkpoint, data_dir, finetuning=FinetuningConfig(recipe="original"))
    with pytest.raises(InputError, match="for cola: got 512, expected at most the 96 positions"):
        pipeline_arguments(config, LocalInputs(), work_root=tmp_path)


def test_all_tasks_whose_files_are_missing_are_named_at_once(checkpoint, data_dir, tmp_path):
    config = config_of(checkpoint, data_dir, tasks=("all-glue", "squad2", "race"))
    with pytest.raises(InputError) as error:
        pipeline_arguments(config, LocalInputs(), work_root=tmp_path)
    message = str(error.value)
    missing = {"sst-2", "mrpc", "sts-b", "qqp", "mnli", "qnli", "rte", "wnli", "squad2", "race"}
    assert {name for name in TASKS if f"task {name}: no " in message} == missing


def test_a_missing_folder_of_tasks_is_told_once(checkpoint, tmp_path):
    config = RunConfig(checkpoint=CheckpointConfig(path=str(checkpoint)), tasks=("all-glue",))
    with pytest.raises(InputError) as error:
        pipeline_arguments(config, LocalInputs(), work_root=tmp_path)
    assert str(error.value) == "data_dir: got nothing; expected the folder of the tasks' folders"


def test_a_checkpoint_without_a_vocabulary_is_refused_with_the_option(
    checkpoint, data_dir, tmp_path
):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("albert_config.json", "model.safetensors"):
        (bare / name).write_bytes((checkpoint / name).read_bytes())
    with pytest.raises(InputError, match="no vocabulary beside it; name"):
        pipeline_arguments(config_of(bare, data_dir), LocalInputs(), work_root=tmp_path)
