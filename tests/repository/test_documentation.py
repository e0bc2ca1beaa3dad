"""What README, docs and component READMEs show works: commands, YAML, links."""

import functools
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from albert_core.settings import parse_settings
from albert_core.tasks.declarations import read_task_file
from pipeline.cli import main as cli
from pipeline.cli.commands import CommandEntry, CommandGroup
from pipeline.config import RunConfig
from pipeline.remote.platforms.kubeflow.config import KubeflowConfig
from pipeline.remote.platforms.kubeflow.rules import KubeflowRules
from pipeline.remote.platforms.vertex.config import VertexConfig
from pipeline.remote.resources import read_resources
from tests.helpers.documented import DOCUMENTS, ROOT, Command, documented_commands, yaml_blocks

ALBERT = [command for command in documented_commands() if command.words[0] == "albert"]
MAKE = [command for command in documented_commands() if command.words[0] == "make"]
PYTHON = [command for command in documented_commands() if command.words[0] == "python"]
YAML = list(yaml_blocks())
# A key of a block tells whose settings it shows.
SETTINGS_BY_KEY = {"project": VertexConfig, "host": KubeflowConfig}


@pytest.fixture
def called(tmp_path, monkeypatch) -> list[str]:
    """Commands are parsed in a folder with the files they name, and recorded instead of called."""
    calls: list[str] = []

    def record(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def recorder(**settings: object) -> None:
            calls.append(command.__name__)

        return recorder

    def record_all(commands: dict) -> dict:
        return {
            name: CommandGroup(command.summary, record_all(command.commands))
            if isinstance(command, CommandGroup)
            else CommandEntry(command.summary, lambda command=command: record(command.load()))
            for name, command in commands.items()
        }

    monkeypatch.setattr(cli, "COMMANDS", record_all(cli.COMMANDS))
    monkeypatch.chdir(tmp_path)
    Path("pipeline").mkdir()
    Path("pipeline/configs").symlink_to(ROOT / "pipeline" / "configs")
    for name in ("CONFIG.yaml", "mine.yaml", "base.yaml"):
        Path(name).write_text("title: mine\n", encoding="utf-8")
    for name, key in (("vertex.yaml", "project"), ("kubeflow.yaml", "host")):
        block = next(text for _, text in YAML if key in yaml.safe_load(text))
        Path(name).write_text(block, encoding="utf-8")
    return calls


@pytest.mark.parametrize("command", [c for c in ALBERT if c.is_whole], ids=str)
def test_a_command_in_a_block_can_be_given_as_it_stands(command: Command, called, capsys):
    status = cli.main(list(command.words[1:]))
    assert (status, len(called)) == (0, 1), capsys.readouterr().err


@pytest.mark.parametrize("command", [c for c in ALBERT if not c.is_whole], ids=str)
def test_a_command_in_a_sentence_and_its_options_exist(command: Command, capsys):
    name, *rest = command.words[1:]
    if name.startswith("--"):
        assert cli.main([name, *rest]) == 0
        return
    entry = cli.COMMANDS[name]
    if isinstance(entry, CommandGroup):
        subcommand = next((word for word in rest if word in entry.commands), None)
        path = [name, subcommand] if subcommand else [name]
    else:
        path = [name]
    status = cli.main([*path, "--help-all"])
    text = capsys.readouterr().out
    options = [word.partition("=")[0] for word in rest if word.startswith("--")]
    assert status == 0
    assert [option for option in options if option not in text and option != "--corpus"] == []


@pytest.fixture(scope="module")
def targets() -> set[str]:
    """All targets, also those of which the Makefile has only a pattern."""
    command = ["make", "--print-data-base", "--question", "--no-builtin-rules", "help"]
    rules = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    return set(re.findall(r"^([a-z-]+):", rules, re.MULTILINE))


@pytest.mark.parametrize("command", MAKE, ids=str)
def test_a_target_of_make_exists(command: Command, targets: set[str]):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    words = [word.partition("=") for word in command.words[1:]]
    assert {name for name, equals, _ in words if not equals} <= targets
    for variable in (name for name, equals, _ in words if equals):
        assert f"$({variable})" in makefile or f",{variable}," in makefile


@pytest.mark.parametrize("command", PYTHON, ids=str)
def test_a_script_exists_and_knows_its_options(command: Command):
    _, name, *rest = command.words
    path = f"{rest[0].replace('.', '/')}.py" if name == "-m" else name
    script = (ROOT / path).read_text(encoding="utf-8")
    for option in (word for word in command.words if word.startswith("--")):
        assert f'"{option}"' in script


@pytest.mark.parametrize(("document", "text"), YAML)
def test_a_block_of_yaml_is_accepted(document: str, text: str, tmp_path):
    values = yaml.safe_load(text)
    path = tmp_path / "block.yaml"
    path.write_text(text, encoding="utf-8")
    if not values.keys().isdisjoint({"parallel_tasks", "all_steps"}):
        resources = read_resources(KubeflowRules(), str(path))
        assert resources.parallel_tasks == values.get("parallel_tasks", resources.parallel_tasks)
        return
    if "name" in values:
        assert read_task_file(str(path)).name == values["name"]
        return
    settings = next((SETTINGS_BY_KEY[key] for key in values if key in SETTINGS_BY_KEY), RunConfig)
    assert isinstance(parse_settings(settings, values, source=document), settings)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_link_to_a_file_of_the_repository_leads_there(path: Path):
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_that_is_named_exists(path: Path):
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"`((?:albert_core|components|pipeline|tests|docs|docker)/[\w/.*]+)`", text)
    assert [name for name in named if not list(ROOT.glob(name.rstrip("/")))] == []
