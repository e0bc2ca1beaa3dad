"""The commands of the component READMEs, typed one after the other, make a model from text."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from albert_core.artifacts.manifest import read_manifest
from pipeline.cli.main import main
from tests.helpers.documented import documented_commands
from tests.helpers.tiny_run import TINY_CONFIG, write_corpus, write_tasks

# In the order of the pipeline; the first command of each README works on what the ones before made.
STEPS = ("vocab", "records", "pretrain", "finetune", "evaluate", "export", "report")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with what the commands name: a small demo.yaml in place of the real one."""
    folder = tmp_path_factory.mktemp("documented")
    write_corpus(folder / "corpus")
    write_tasks(folder / "data")
    task = Path(shutil.move(folder / "data" / "topic", folder / "data" / "docs-next"))
    declaration = (task / "task.yaml").read_text(encoding="utf-8")
    renamed = declaration.replace("name: topic", "name: docs-next")
    (task / "task.yaml").write_text(renamed, encoding="utf-8")
    config = {
        **TINY_CONFIG,
        "corpus": {"files": ["corpus"]},
        "data_dir": "data",
        "tasks": ["docs-next"],
    }
    config["pretraining"] = {**TINY_CONFIG["pretraining"], "num_train_steps": 50}
    path = folder / "pipeline" / "configs" / "demo.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder


def first_command(document: str, name: str) -> list[str]:
    return next(
        list(command.words[1:])
        for command in documented_commands()
        if command.document == document and command.words[:2] == ("albert", name)
    )


@pytest.mark.slow
def test_the_steps_one_by_one(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for step in STEPS:
        assert main(first_command(f"components/{step}/README.md", step)) == 0
    steps = folder / "runs" / "steps"
    assert sorted(path.name for path in steps.iterdir()) == sorted(STEPS)
    scores = read_manifest(steps / "evaluate", step="evaluate").metrics
    summary = json.loads((steps / "report" / "summary.json").read_text(encoding="utf-8"))
    (task,) = summary["tasks"]
    assert task["score"] == scores["accuracy"]
    assert task["without_model_score"] == scores["without_model_score"]
    assert task["model_path"] == "runs/steps/finetune"
    assert task["training_log"]
    assert task["analysis"]["num_mistakes"] == round((1 - task["score"]) * task["num_dev"])
    assert summary["verdict"]["question"] == "Is the model better than simpler ways?"
    assert "What pretraining brings to fine-tuning was not measured" in summary["verdict"]["answer"]
    assert summary["pretraining_log"]
    assert main(first_command("components/export/README.md", "card")) == 0
    assert "apache-2.0" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_an_old_checkpoint_becomes_a_folder_of_transformers(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    pretrained = folder / "runs" / "steps" / "pretrain"
    assert main(["convert", str(pretrained), "albert_base", "--to", "tf1"]) == 0
    convert = first_command("README.md", "convert")
    for command in (convert, ["info", convert[2]]):
        assert main(command) == 0
    assert "Hugging Face" in capsys.readouterr().out
