"""A command line one can live with: switches, dashes, suggestions, and a version."""

import functools
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from albert_core.settings import parse_settings
from albert_core.settings.suggestions import did_you_mean, nearest_names
from pipeline.cli import parsing, run_commands
from pipeline.cli.commands import COMMANDS, CommandEntry, CommandGroup
from pipeline.cli.main import main
from pipeline.cli.parsing import CommandParser
from pipeline.config import RunConfig

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", autouse=True)
def parsers_are_made_once():
    """No command line here has --config, which would change the defaults of a parser."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "CommandParser", functools.cache(CommandParser))
        yield


@pytest.fixture
def run_parser():
    return parsing.CommandParser(run_commands.run)


def settings_of(parser, *arguments):
    return parser.get_settings(parser.parse(parser.spell_out(["--output", "out", *arguments])))


def refusal(capsys, *arguments):
    assert main(list(arguments)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("albert: error: ")


def all_entries():
    for name, entry in COMMANDS.items():
        if isinstance(entry, CommandGroup):
            yield from ((f"{name} {one}", of) for one, of in entry.commands.items())
        else:
            yield name, entry


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"albert {importlib.metadata.version('albert-pipeline')}\n"


def test_the_package_can_be_run_as_a_module_and_lists_commands_without_importing_them():
    code = (
        "import runpy, sys\n"
        "sys.argv = ['albert', '--help']\n"
        "try:\n    runpy.run_module('pipeline', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print(*({'numpy', 'jsonargparse', 'rich', 'docstring_parser'} & sys.modules.keys()))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    *listing, heavy = result.stdout.split("\n")[:-1]
    assert heavy == ""
    assert all(any(line.split()[:1] == [name] for line in listing) for name in COMMANDS)
    assert max(map(len, listing)) <= 80


def test_every_command_has_a_short_summary_and_can_be_loaded():
    entries = list(all_entries())
    assert len(entries) == 25
    for name, entry in entries:
        assert isinstance(entry, CommandEntry)
        assert 0 < len(entry.summary) <= 54, name  # beside the name in 80 columns
        assert callable(entry.load())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--pretraining.jit-compile", "--finetuning.recipe=original", "--data-dir", "d"],
        ["--pretraining.jit_compile=true", "--finetuning.recipe", "original", "--data_dir=d"],
        ["--pretraining.jit_compile", "true", "--finetuning.recipe=original", "--data_dir", "d"],
    ],
)
def test_dashes_and_underscores_are_the_same_and_switches_need_no_value(run_parser, arguments):
    settings = settings_of(run_parser, *arguments)
    assert settings["pretraining"].jit_compile is True
    assert settings["finetuning"].recipe == "original"
    assert settings["data_dir"] == "d"


def test_values_keep_their_dashes(run_parser):
    settings = settings_of(run_parser, "--title", "my-run", "--tasks", "sst-2,mnli")
    assert (settings["title"], settings["tasks"]) == ("my-run", ("sst-2", "mnli"))


@pytest.mark.parametrize(("value", "expected"), [("false", False), ("null", None)])
def test_a_switch_takes_a_value_too(run_parser, value, expected):
    settings = settings_of(run_parser, "--pretraining.jit_compile", value)
    assert settings["pretraining"].jit_compile is expected


def test_every_switch_of_every_command_may_stand_alone():
    num_switches = 0
    for _, entry in all_entries():
        parser = parsing.CommandParser(entry.load())
        for action in parser.parser._actions:
            if getattr(action, "_typehint", None) in (bool, bool | None):
                (name,) = action.option_strings
                assert parser.spell_out([name.replace("_", "-")]) == [name, "true"]
                assert parser.spell_out([name, "false"]) == [name, "false"]
                num_switches += 1
    assert num_switches > 100


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["rn"], "got 'rn', expected one of run, demo-data, "),
        (["rn"], "; did you mean run?"),
        ([], "albert --help says what they do"),
        (["schedule", "creat"], "; did you mean create?"),
        (["schedule"], "expected one of create, list, pause, resume, delete"),
        (["run", "--outputt", "x"], "--outputt: no such option; did you mean --output?"),
        (["run", "--dat-dir", "x"], "--dat-dir: no such option; did you mean --data_dir?"),
        (["run", "--zzz", "x"], "--zzz: no such option; --help-all lists all"),
        (
            ["run", "--num_train_stepz", "5"],
            "did you mean --finetuning.num_train_steps or --pretraining.num_train_steps?",
        ),
        (["run", "--pretrainin.seed", "5"], "did you mean --pretraining.seed or "),
        (
            ["run", "--output", "x", "--pretraining", "{batch_siz: 3}"],
            "--pretraining: it has no setting batch_siz; did you mean pretraining.batch_size?",
        ),
        (
            ["run", "--output", "x", "--pretraining.optimizer", "lam"],
            "--pretraining.optimizer: got lam, expected one of lamb, adamw, muon; "
            "did you mean lamb?",
        ),
        (
            ["predict", "model", "file", "--format", "jsnl"],
            "--format: got jsnl, expected one of lines, tsv, csv, jsonl, parquet, conll; "
            "did you mean jsonl?",
        ),
        (["export", "m", "--to", "onx", "--output", "o"], "did you mean onnx?"),
        (
            ["run", "--output", "x", "--pretraining.seed", "x"],
            "--pretraining.seed: got x, expected a whole number",
        ),
        (
            ["run", "--output", "x", "--pretraining.jit_compile", "maybe"],
            "--pretraining.jit_compile: got maybe, expected a truth value (true or false) or null",
        ),
        (
            ["predict", "x", "y", "--batch_size", "many"],
            "--batch_size: got many, expected a whole number, or one of auto",
        ),
        (["run", "--output", "x", "--model.preset", "bas_v2"], "; did you mean base_v2?"),
        (["run", "x"], "got 'x', expected an option"),
        (["run"], "--output: required, but not given"),
        (["run", "--output"], "--output: got nothing, expected a value"),
        (["run", "--help", "pretrainig"], "; did you mean pretraining?"),
    ],
)
def test_a_mistake_gets_one_line_with_what_may_be_meant(capsys, arguments, expected):
    assert expected in refusal(capsys, *arguments)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"pretraining": {"batch_siz": 3}}, "did you mean pretraining.batch_size?"),
        ({"pretrainin": {"batch_size": 3}}, "did you mean pretraining.batch_size"),
        ({"vocabulary": {"sizes": 3}}, "did you mean vocab.size"),
        ({"corpus": {"format": "jsnl"}}, "got jsnl, expected one of sentences, "),
        (
            {"pretraining": {"phases": [{"sequence_length": 8, "batch_sise": 1}]}},
            "does not accept option 'batch_sise'; did you mean ",
        ),
    ],
)
def test_a_mistake_in_a_file_gets_the_same(values, expected):
    with pytest.raises(ValueError, match=r"mine\.yaml: ") as caught:
        parse_settings(RunConfig, values, source="mine.yaml")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_suggestions_prefer_the_same_setting_of_another_section():
    known = ["a.size", "b.size", "b.sizes", "vocab.memory_gb"]
    assert nearest_names("b.siz", known) == ["b.size"]
    assert nearest_names("size", known) == ["a.size", "b.size"]
    assert nearest_names("memory_bg", known) == ["vocab.memory_gb"]
    assert nearest_names("quite_another", known) == []
    assert did_you_mean("size", known, prefix="--") == "; did you mean --a.size or --b.size?"
    assert did_you_mean("B.SIZ", known) == "; did you mean b.size?"
    assert did_you_mean("quite_another", known) == ""
