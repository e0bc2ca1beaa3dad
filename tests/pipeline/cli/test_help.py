"""Help in layers, settings as a file, and completions."""

import shutil
import subprocess

import pytest
import yaml

from albert_core.settings import parse_settings
from pipeline.cli import completion_command
from pipeline.cli.commands import COMMANDS, CommandGroup
from pipeline.cli.main import main
from pipeline.config import RunConfig
from pipeline.config_files import read_config

TWO_SCREENS = 90


@pytest.fixture(autouse=True)
def terminal(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


def output_of(capsys, *arguments):
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def command_names():
    for name, entry in COMMANDS.items():
        yield from (
            ([name, one] for one in entry.commands) if isinstance(entry, CommandGroup) else [[name]]
        )


@pytest.mark.parametrize("words", list(command_names()), ids=" ".join)
def test_the_help_of_every_command_fits_two_screens(capsys, words):
    lines = output_of(capsys, *words, "--help").splitlines()
    assert len(lines) <= TWO_SCREENS
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"usage: albert {' '.join(words)} ")


def test_the_first_layer_of_a_run_names_what_is_needed_and_every_section(capsys):
    text = output_of(capsys, "run", "--help")
    assert "usage: albert run --output OUTPUT [options]" in text
    assert "short: --corpus FILES)" in text
    assert "--pretraining." not in text
    assert output_of(capsys, "--help", "run") == text
    listed = {line.split()[0] for line in text.splitlines() if line.startswith("  ")}
    sections = {"checkpoint", "corpus", "vocab", "pretraining", "finetuning", "export", "storage"}
    assert sections <= listed


def test_a_section_has_its_settings_with_types_defaults_and_inner_sections(capsys):
    text = output_of(capsys, "run", "--help", "pretraining")
    assert "--pretraining.num_train_steps INTEGER" in text
    assert "(default: 125000)" in text
    assert "--pretraining.optimizer {lamb,adamw,muon}" in text
    assert "pretraining.safeguards" in text
    assert "--pretraining.safeguards.action" not in text
    assert "--finetuning" not in text
    inner = output_of(capsys, "run", "--help", "pretraining.safeguards")
    assert "--pretraining.safeguards.action {stop,roll_back}" in inner


def test_one_setting_can_be_asked_for_with_and_without_its_section(capsys):
    text = output_of(capsys, "run", "--help", "batch-size")
    assert "--pretraining.batch_size INTEGER" in text
    assert "--finetuning.batch_size INTEGER" in text
    text = output_of(capsys, "run", "--help", "pretraining.phases")
    assert "num_hidden_layers INTEGER" in text


def test_the_help_before_an_argument_is_that_of_the_command(capsys, tmp_path):
    (tmp_path / "mine").mkdir()
    text = output_of(capsys, "serve", "--help")
    for argument in ("runs/one/models/cola", "mine"):
        assert output_of(capsys, "serve", "--help", argument) == text
    assert output_of(capsys, "serve", "--help", "model").startswith("  model TEXT")
    assert main(["serve", "--help", "prot"]) == 2
    assert "--help prot: albert serve has no such section or setting" in capsys.readouterr().err


def test_everything_is_there_with_help_all(capsys):
    text = output_of(capsys, "run", "--help-all")
    for name in ("--output", "--pretraining.safeguards.action", "--storage.user_project"):
        assert f"  {name} " in text


def test_printed_settings_are_a_file_that_gives_them_again(capsys, tmp_path):
    (tmp_path / "run.yaml").write_text("title: mine\nfinetuning: {per_task: {cola: {seed: 3}}}\n")
    options = ["--config", "run.yaml", "--pretraining.phases", "[{sequence_length: 64}]"]
    text = output_of(capsys, "run", *options, "--tasks", "cola,rte", "--print-config")
    (tmp_path / "printed.yaml").write_text(text)
    expected = parse_settings(
        RunConfig,
        {
            "title": "mine",
            "finetuning": {"per_task": {"cola": {"seed": 3}}},
            "pretraining": {"phases": [{"sequence_length": 64}]},
            "tasks": ["cola", "rte"],
        },
        source="test",
    )
    assert read_config("printed.yaml") == expected
    assert "  # Sequences in a step, over all devices.\n  batch_size: 4096\n" in text
    assert "# Name of the run in its report. (default: albert)\ntitle: mine\n" in text


def test_printed_settings_of_a_step_are_those_it_takes(capsys):
    text = output_of(capsys, "pretrain", "--config", "base_v2", "--print_config")
    assert list(yaml.safe_load(text)) == ["model", "pretraining", "tracking"]
    assert main(["info", "x", "--print_config"]) == 2
    assert "no such option" in capsys.readouterr().err


@pytest.fixture(scope="module")
def few_commands():
    """Three commands, whose parsers are made in a moment."""
    return {name: COMMANDS[name] for name in ("run", "schedule", "completion")}


COMPLETIONS = [
    (["r"], ["run"]),
    (["run", "--ou"], ["--output"]),
    (["run", "--pretraining"], ["--pretraining"]),
    (["run", "--pretraining.opt"], ["--pretraining.optimizer"]),
    (["run", "--pretraining.optimizer", "l"], ["lamb"]),
    (["run", "--runner", "=", "d"], ["docker"]),
    (["run", "--help", "voc"], ["vocab"]),
    (["run", "--output", "x"], []),
    (["schedule", "c"], ["create"]),
    (["schedule", "create", "--cr"], ["--cron"]),
    (["completion", "z"], ["zsh"]),
]


def test_bash_completes_commands_options_and_values(few_commands, tmp_path):
    if not (bash := shutil.which("bash")):
        pytest.skip("bash is not installed")
    (tmp_path / "albert").write_text(completion_command.completion_script(few_commands, "bash"))
    lines = ["source ./albert"]
    for words, _ in COMPLETIONS:
        quoted = " ".join(f"'{word}'" for word in ["albert", *words])
        lines.append(f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _albert_words")
        lines.append('echo "${COMPREPLY[*]}"')
    result = subprocess.run(
        [bash, "--norc", "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert result.stderr == ""
    assert [line.split() for line in result.stdout.splitlines()] == [of for _, of in COMPLETIONS]


def test_zsh_takes_the_completions(few_commands, tmp_path):
    if not (zsh := shutil.which("zsh")):
        pytest.skip("zsh is not installed")
    (tmp_path / "_albert").write_text(completion_command.completion_script(few_commands, "zsh"))
    code = (
        "fpath=(. $fpath); autoload -U compinit; compinit -u -d ./dump\n"
        "source ./_albert; echo $_comps[albert]\n"
    )
    result = subprocess.run([zsh, "-f", "-c", code], capture_output=True, text=True, check=True)
    assert "_albert_words" in result.stdout
    assert result.stderr == ""


def test_the_completions_of_both_shells_know_every_command():
    assert {"bash", "zsh"} == set(completion_command.Shell.__args__)
    text = completion_command._BEGIN.replace("COMMANDS", " ".join(COMMANDS))
    assert "run demo-data vocab" in text
