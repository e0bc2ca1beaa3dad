"""A pretraining of more than a day on this machine is started only by those who mean it."""

import dataclasses
import sys
import types

import pytest

from albert_core.estimation import this_machine
from albert_core.presets import ModelConfig
from albert_core.pretraining.config import PretrainingConfig
from components import tracked_step
from components.pretrain import step
from components.pretrain.command import pretrain_command
from pipeline.cli.main import main
from pipeline.config_files import read_config
from pipeline.local import run as local_run
from pipeline.local.run_folder import has_begun, lock_run_folder
from tests.helpers.tiny_run import write_tiny_run


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    machine = this_machine.Machine(description="2 cores", flops=340e9)
    monkeypatch.setattr(this_machine, "this_machine", lambda: machine)


def refusal(capsys, *arguments):
    assert main(list(arguments)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "months on this machine (2 cores)" in line or "years on this machine" in line
    assert "--yes" in line


def test_a_pretraining_of_months_is_refused_and_leaves_nothing(material, tmp_path, capsys):
    inputs = ["--vocab_dir", str(material.vocab), "--records_dir", str(material.short)]
    refusal(capsys, "pretrain", *inputs, "--output", str(tmp_path / "model"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("is_confirmed", "has_checkpoint", "is_refused"),
    [(False, False, True), (False, True, False), (True, False, False)],
)
def test_a_confirmation_or_a_checkpoint_lets_it_go_on(
    material, tmp_path, monkeypatch, is_confirmed, has_checkpoint, is_refused
):
    program = types.ModuleType("program")
    program.run_pretraining = lambda **_: {"global_step": 1}
    monkeypatch.setitem(sys.modules, "albert_core.pretraining.program", program)
    monkeypatch.setattr(tracked_step, "run_step", lambda _, *, body, **__: body(tmp_path, tmp_path))
    if has_checkpoint:
        (tmp_path / "state").touch()

    def pretrain():
        return step.pretrain(
            records=material.short,
            vocab=material.vocab,
            model=ModelConfig(),
            config=PretrainingConfig(),
            output=tmp_path / "model",
            is_confirmed=is_confirmed,
        )

    if is_refused:
        with pytest.raises(ValueError, match="--yes"):
            pretrain()
    else:
        assert pretrain() == {"global_step": 1}


def test_jobs_of_a_platform_are_confirmed():
    command = pretrain_command(
        records=["r"],
        vocab="v",
        model=ModelConfig(),
        config=PretrainingConfig(),
        output="o",
        work_root="w",
    )
    assert command[-1] == "--yes"


class ReachedError(Exception):
    """The run would have begun."""


@pytest.fixture
def run_command(tmp_path, monkeypatch):
    def begin(*_):
        raise ReachedError

    monkeypatch.setattr(local_run, "build_pipeline", begin)
    tiny = write_tiny_run(tmp_path)
    large = ["--pretraining.num_train_steps", "4000000000", "--records.sequence_length", "512"]
    return ["run", "--config", str(tiny), "--output", str(tmp_path / "out"), *large]


def test_a_run_of_months_is_refused_and_leaves_nothing(run_command, tmp_path, capsys):
    refusal(capsys, *run_command)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ReachedError):
        main([*run_command, "--yes"])


def test_a_run_that_has_begun_with_these_settings_is_not_asked_for_again(
    run_command, tmp_path, capsys
):
    config = read_config(tmp_path / "tiny.yaml")
    large = dataclasses.replace(
        config,
        pretraining=dataclasses.replace(config.pretraining, num_train_steps=4_000_000_000),
        records=dataclasses.replace(config.records, sequence_length=512),
    )
    folder = tmp_path / "out"
    assert not has_begun(folder, large)
    with lock_run_folder(folder, large, "id", reconfigure=False):
        pass
    assert has_begun(folder, large)
    assert not has_begun(folder, config)
    with pytest.raises(ReachedError):
        main(run_command)
    refusal(capsys, *run_command, "--pretraining.num_train_steps", "5000000000", "--reconfigure")
