"""Options as people type them: files of sections, lists with commas, old names."""

import json
import os

import pytest

from albert_core.errors import InputError
from albert_core.object_storage.settings import USER_PROJECT_VARIABLE
from albert_core.presets import ModelConfig
from albert_core.settings import parse_settings
from pipeline.cli import model_commands, run_commands, step_commands
from pipeline.cli.commands import COMMANDS, CommandGroup
from pipeline.cli.main import main
from pipeline.cli.parsing import CommandParser
from pipeline.config import RunConfig
from pipeline.config_files import read_config


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def run_parser():
    return CommandParser(run_commands.run)


def all_commands():
    for name, command in COMMANDS.items():
        if isinstance(command, CommandGroup):
            yield from ((one, entry.load()) for one, entry in command.commands.items())
        else:
            yield name, command.load()


def parse(parser, *arguments):
    spelled = parser.spell_out(list(arguments))
    return parser.get_settings(parser.parser.parse_args(spelled))


def refusal(capsys, *arguments):
    assert main(list(arguments)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_every_section_of_every_command_takes_a_file_by_its_bare_name(folder):
    (folder / "section.yaml").write_text("{}")
    num_sections = 0
    for _, command in all_commands():
        parser = CommandParser(command)
        # `--corpus` names text files, `--checkpoint` a model.
        for section in parser.sections - {"corpus", "checkpoint"}:
            assert parser.spell_out([f"--{section}", "section.yaml"]) == [f"--{section}", "{}"]
            num_sections += 1
    assert num_sections > 50


@pytest.mark.parametrize("form", [["--export.card", "card.yaml"], ["--export.card=card.yaml"]])
def test_the_settings_of_a_file_reach_the_command(folder, run_parser, form):
    (folder / "card.yaml").write_text("name: tiny\nlanguages: [en, it]\n")
    options = ("--export.card.license", "mit", "--export.formats", "huggingface")
    settings = parse(run_parser, "--output", "out", *form, *options)
    card = settings["export"].card
    assert (card.name, card.languages, card.license) == ("tiny", ("en", "it"), "mit")


def test_a_section_takes_its_settings_in_place_of_a_file(run_parser):
    settings = parse(run_parser, "--output", "out", "--model", "{preset: tiny}")
    assert settings["model"] == ModelConfig(preset="tiny")


def test_every_command_may_say_who_pays_for_buckets(run_parser, monkeypatch):
    monkeypatch.setenv(USER_PROJECT_VARIABLE, "")
    for _, command in all_commands():
        assert "--storage.user_project" in CommandParser(command).parser.format_help()
    parse(CommandParser(step_commands.vocab), "--output=x", "--storage.user_project=my-project-1")
    assert os.environ[USER_PROJECT_VARIABLE] == "my-project-1"
    settings = parse(run_parser, "--output", "out", "--storage", "{user_project: my-project-2}")
    assert settings["storage"].user_project == "my-project-2"
    assert os.environ[USER_PROJECT_VARIABLE] == "my-project-2"


def test_the_file_of_a_section_may_use_old_names(folder, run_parser, capsys):
    (folder / "records.yaml").write_text("held_out_share: 0.25\n")
    settings = parse(run_parser, "--output", "out", "--records", "records.yaml")
    assert settings["records"].held_out_fraction == 0.25


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "--card card.yaml: no such file"),
        ("[a]", "--card card.yaml: got a list, expected settings by name"),
        ("{", "--card card.yaml: not YAML"),
        ("nam: x", "card.nam"),
    ],
)
def test_an_unusable_file_of_a_section_is_refused_in_one_line(folder, capsys, content, reason):
    if content:
        (folder / "card.yaml").write_text(content)
    assert reason in refusal(capsys, "card", "model", "--card", "card.yaml", "--output", "out.md")


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"vocab": "spiece.model"}, "vocab"),
        ({"export": {"card": "./card.yaml"}}, r"export\.card"),
        ({"pretraining": {"phases": ["long.yaml"]}}, r"pretraining\.phases\[0\]"),
    ],
)
def test_text_in_place_of_a_section_of_a_configuration_is_refused_and_not_read(
    folder, values, name
):
    (folder / "card.yaml").write_text("name: tiny\n")
    with pytest.raises(InputError, match=f"run.yaml: {name}: got '.*', expected settings by name$"):
        parse_settings(RunConfig, values, source="--config run.yaml")


def test_lists_are_typed_with_commas(run_parser):
    settings = parse(
        run_parser,
        *("--output", "out", "--tasks", "cola,rte", "--corpus", "a.txt,b.txt"),
        "--finetuning.grid_learning_rates=1e-5,2e-5",
    )
    assert settings["tasks"] == ("cola", "rte")
    assert settings["corpus"].files == ("a.txt", "b.txt")
    assert settings["finetuning"].grid_learning_rates == (1e-5, 2e-5)
    exported = parse(
        CommandParser(model_commands.export), "model", "--to", "onnx,litert", "--output", "out"
    )
    assert exported["to"] == ("onnx", "litert")


@pytest.mark.parametrize(
    ("value", "files"),
    [
        ("[a.txt]", ("a.txt",)),
        ('["a.txt"]', ("a.txt",)),
        ('["a.txt", "b.txt"]', ("a.txt", "b.txt")),
        ("[gs://bucket/a.txt]", ("gs://bucket/a.txt",)),
        ("[]", ()),
        # Nothing of these names: not well-formed lists, or none of plain values.
        ("[ab].txt", ("[ab].txt",)),
        ("[a].txt,[b]", ("[a].txt", "[b]")),
        ("[a: b]", ("[a: b]",)),
        # A file of this name.
        ("[named]", ("[named]",)),
        ("one, two.txt,a.txt", ("one, two.txt", "a.txt")),
        # A file `q`, which `[q]` names as a list and as a glob, and `[qy]` as a glob alone.
        ("[q]", ("q",)),
        ("[qy]", ("[qy]",)),
        ("[zy]", ("zy",)),
        ('["q", "y"]', ("q", "y")),
        # YAML reads a number, and true; of both there is a file of one of the characters.
        ("[2020]", ("[2020]",)),
        ("[yes]", ("[yes]",)),
    ],
)
def test_a_list_of_addresses_is_in_yaml_or_separated_by_commas(folder, run_parser, value, files):
    for name in ("[named]", "one, two.txt", "q", "2", "s"):
        (folder / name).write_text("text")
    settings = parse(run_parser, "--output", "out", "--corpus.files", value)
    assert settings["corpus"].files == files


def test_options_of_the_beam_runner_may_hold_commas(run_parser):
    options = json.dumps(["--experiments=a,b"])
    settings = parse(run_parser, "--output", "out", "--beam.options", options)
    assert settings["beam"].options == ("--experiments=a,b",)


def test_a_merge_of_a_mapping_of_one_key_keeps_the_names(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("finetuning: {per_task: {a: &a {seed: 3}, b: {<<: *a, batch_size: 16}}}\n")
    per_task = read_config(path).finetuning.per_task
    assert per_task == {"a": {"seed": 3}, "b": {"seed": 3, "batch_size": 16}}


def test_a_section_on_the_command_line_is_read_as_its_file_is(run_parser, capsys):
    settings = parse(run_parser, "--output", "out", "--finetuning", "{warmup_share: 0.2}")
    assert settings["finetuning"].warmup_ratio == 0.2
    assert "warmup_share" in capsys.readouterr().err


def test_a_name_and_a_value_without_a_space_between_them_are_told(folder, capsys):
    message = "got 'size:1' without a value, expected a space behind the colon: size: 1"
    line = refusal(capsys, "vocab", "--corpus", "a", "--output", "out", "--vocab", "{size:1}")
    assert f"--vocab: {message}" in line
    (folder / "run.yaml").write_text("vocab: {size:1}\n")
    assert message in refusal(capsys, "run", "--config", "run.yaml", "--output", "out")


def test_a_mapping_of_the_configuration_file_is_one_default(folder, run_parser):
    (folder / "run.yaml").write_text("finetuning: {per_task: {cola: {num_epochs: 3}}}\n")
    parser = CommandParser(step_commands.finetune)
    options = ["--config", "run.yaml", "--task", "cola", "--data_dir", "d", "--output", "o"]
    parser.take_defaults(options)
    settings = parse(parser, *options, "--pretrained_dir", "p")
    assert settings["finetuning"].per_task == {"cola": {"num_epochs": 3}}
    assert settings["vocab"] is None  # a path here, not the section of that name


def test_commands_about_a_path_take_no_configuration_of_a_run():
    without = {name for name, command in all_commands() if not CommandParser(command).takes_config}
    assert without == {
        *(
            "demo-data",
            "completion",
            "export",
            "card",
            "convert",
            "info",
            "probe",
            "serve",
            "predict",
            "embed",
        ),
        *("list", "pause", "resume", "delete"),
    }


@pytest.mark.parametrize(
    "twice",
    [
        ["--tasks", "cola", "--tasks=rte"],
        ["--corpus", "a.txt", "--corpus.files", "b.txt"],
        ["--model", "{preset: tiny}", "--model", "{preset: small}"],
        ["--config", "a.yaml", "--config=b.yaml"],
    ],
    ids=lambda options: options[0],
)
def test_of_lists_and_files_that_are_given_twice_none_is_lost(run_parser, twice):
    with pytest.raises(InputError, match=r"^--[\w.]+: got it twice, expected it once"):
        run_parser.spell_out(["--output", "out", *twice])
    assert run_parser.spell_out(["--title", "a", "--title", "b"])[-1] == "b"


def test_a_key_that_is_twice_in_a_section_is_refused(folder, run_parser):
    for form in (["--vocab", "{size: 50, size: 60}"], ["--vocab={size: 50, size: 60}"]):
        with pytest.raises(InputError, match=r"--vocab: got 'size' in line 1 and again in line 1"):
            run_parser.spell_out(form)
    sets = '{"squad": ["a"], "squad": ["b"]}'
    with pytest.raises(InputError, match=r"--cleaning.evaluation_sets: got 'squad' in line 1"):
        run_parser.spell_out(["--cleaning.evaluation_sets", sets])
    (folder / "vocab.yaml").write_text("size: 50\nkind: wordpiece\nsize: 60\n")
    with pytest.raises(InputError, match=r"--vocab vocab.yaml: got 'size' in line 1 and again in"):
        run_parser.spell_out(["--vocab", "vocab.yaml"])


def test_a_folder_in_place_of_a_file_of_settings_is_refused(folder, capsys):
    line = refusal(capsys, "run", "--config", str(folder), "--output", "out")
    assert f"--config {folder}: got a folder, expected a file" in line
    line = refusal(capsys, "card", "model", "--card", ".", "--output", "out")
    assert "--card .: got a folder, expected a file" in line
