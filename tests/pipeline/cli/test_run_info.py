"""`albert info` of a run's folder, and the commands that a run ends with."""

import json
import shlex
from pathlib import Path

import pytest

from albert_core.places.links import update_places
from pipeline.cli.commands import COMMANDS
from pipeline.cli.main import main
from pipeline.cli.run_display import print_next_commands
from tests.helpers.run_folders import FIRST, FakeRun

TASK = {
    "name": "cola",
    "texts": ["sentence", "other"],
    "labels": ["0", "1"],
    "metrics": ["accuracy"],
}


@pytest.fixture
def run(tmp_path: Path) -> FakeRun:
    run = FakeRun(tmp_path / "run")
    start, cola = run.write_start(FIRST), run.write_task(FIRST, 0, "cola")
    random = run.write_task(FIRST, 1, "cola", initialization="random", score=0.6)
    report = run.write_report(FIRST, [*start, *cola, *random])
    (cola[0] / "task.json").write_text(json.dumps(TASK), encoding="utf-8")
    update_places(run.folder, report=report)
    return run


def write_events(run: FakeRun, *events: tuple[str, str]) -> None:
    lines = [
        json.dumps({"step": step, "event": event, "message": "out of disk"}) + "\n"
        for step, event in events
    ]
    (run.folder / "events.jsonl").write_text("".join(lines), encoding="utf-8")


def printed(capsys: pytest.CaptureFixture[str], path: Path) -> str:
    assert main(["info", str(path)]) == 0
    return capsys.readouterr().out


def next_commands(text: str) -> list[list[str]]:
    """Return the words of the commands under `Next:`; of a pipe those of its last command."""
    _, _, lines = text.partition("Next:\n")
    return [shlex.split(line.rpartition(" | ")[2]) for line in lines.splitlines() if line.strip()]


def test_a_finished_run_shows_steps_scores_models_and_what_to_type(
    run: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, run.folder)
    assert text.startswith(f"{run.folder}: fake, finished\n")
    rows = [line.split() for line in text.splitlines()]
    assert ["vocab", "1.5", "done"] in rows
    assert ["pretrain", "1.5", "done", "loss", "5"] in rows
    assert ["cola", "accuracy", "70.0", "60.0", "to", "80.0", "60.0", "50.0"] in rows
    assert [str(run.folder / "models" / "cola")] in rows
    assert [words[:2] for words in next_commands(text)] == [
        ["albert", "embed"],
        ["albert", "predict"],
        ["albert", "serve"],
    ]


def test_a_run_that_failed_says_where_and_how_to_go_on(
    run: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    write_events(run, ("vocab", "finished"), ("pretrain", "started"), ("pretrain", "failed"))
    text = printed(capsys, run.folder)
    assert "failed (pretrain: out of disk; log: " in text
    assert ["pretrain", "failed"] in [line.split() for line in text.splitlines()]
    config = str(run.folder / "config.yaml")
    assert ["albert", "run", "--config", config, "--output", str(run.folder)] in next_commands(text)


def test_a_run_that_was_killed_is_told_from_a_finished_one(
    run: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    write_events(run, ("finetune rte", "started"))
    text = printed(capsys, run.folder)
    assert "fake, interrupted\n" in text
    assert ["finetune", "rte", "not", "finished"] in [line.split() for line in text.splitlines()]


def test_a_run_ends_with_three_commands_that_exist(
    run: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    print_next_commands(str(run.folder))
    text = capsys.readouterr().out
    commands = next_commands(text)
    assert [words[1] for words in commands] == ["info", "predict", "serve"]
    assert all(words[1] in COMMANDS for words in commands)
    (echo,) = (line for line in text.splitlines() if " | " in line)
    example = json.loads(shlex.split(echo)[1])
    assert example.keys() == {"text", "text_b"}


def test_a_place_of_a_run_is_described_as_what_it_is(
    run: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, run.folder / "vocab")
    assert "albert vocab, 1.5 s" in text
    assert main(["info", str(run.folder / "models" / "rte")]) == 2
    assert "no such model in this run, which has " in capsys.readouterr().err
