"""Models that the original's scripts or transformers fine-tuned are scored, exported, served."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from albert_core.artifacts.manifest import read_manifest
from albert_core.checkpoints import Checkpoint, save_folder, save_huggingface, save_release
from albert_core.checkpoints.side_files import write_side_files
from albert_core.inference import load
from albert_core.tasks import TASKS
from pipeline.cli.main import main
from pipeline.serving import server
from tests.helpers.checkpoint_samples import classifier, edit_json, span
from tests.helpers.model_cards import facts_in
from tests.helpers.served_models import MODEL_CONFIG
from tests.helpers.tiny_tasks import squad_file

RTE = TASKS["rte"]
ROWS = [
    ("A slow train carried apples.", "Apples were carried.", "entailment"),
    ("The river froze.", "Nobody crossed it.", "not_entailment"),
    ("Bread at dawn.", "The baker sold bread.", "entailment"),
    ("Dogs sleep.", "Two dogs sleep on the train.", "not_entailment"),
]


@pytest.fixture(scope="module")
def model(tokenizer) -> Checkpoint:
    return classifier(2, MODEL_CONFIG, tokenizer=tokenizer)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory) -> Path:
    """The model in the folders that each program leaves, and RTE's files below `glue`."""
    folder = tmp_path_factory.mktemp("elsewhere")
    ours = dataclasses.replace(model, task=dataclasses.asdict(RTE))
    save_folder(ours, folder / "ours")
    write_side_files(ours, folder / "ours")
    # transformers names the outputs, here in the other order.
    head = {
        name: np.ascontiguousarray(model.weights[name][::-1])
        for name in ("output_weights", "output_bias")
    }
    swapped = dataclasses.replace(
        model, weights={**model.weights, **head}, labels=("not_entailment", "entailment")
    )
    save_huggingface(swapped, folder / "transformers")
    # run_classifier leaves checkpoints alone.
    save_release(model, folder / "release")
    (folder / "original").mkdir()
    for path in (folder / "release").glob("model.ckpt-best.*"):
        shutil.copy(path, folder / "original")
    (folder / "glue" / "RTE").mkdir(parents=True)
    lines = ["index\tsentence1\tsentence2\tlabel"]
    lines += ["\t".join((str(index), *row)) for index, row in enumerate(ROWS)]
    for split in ("train", "dev"):
        (folder / "glue" / "RTE" / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    return folder


def beside(folder: Path) -> list[str]:
    """Return the options that name what the original's folder lacks."""
    release = folder / "release"
    return [
        *("--albert_config", str(release / "albert_config.json")),
        *("--vocab", str(release / "30k-clean.model")),
    ]


@pytest.fixture(scope="module")
def expected(folder) -> list[str]:
    predictions = load(folder / "ours").predict([row[:2] for row in ROWS])
    return [prediction.label for prediction in predictions]


@pytest.mark.parametrize("kind", ["ours", "transformers", "original"])
def test_each_is_scored_with_the_right_labels(folder, expected, kind, tmp_path, capsys):
    path = {"original": "original/model.ckpt-best"}.get(kind, kind)
    options = ["--data_dir", str(folder / "glue"), "--finetuned_dirs", str(folder / path)]
    options += ["--task", "rte"] if kind != "ours" else []
    options += beside(folder) if kind == "original" else []
    assert main(["evaluate", *options, "--output", str(tmp_path / "out")]) == 0
    rows = (tmp_path / "out" / "predictions_dev.tsv").read_text().splitlines()
    assert rows[0] == "id\tprediction\tentailment\tnot_entailment"
    assert [row.split("\t")[1] for row in rows[1:]] == expected
    right = np.mean([label == row[2] for label, row in zip(expected, ROWS, strict=True)])
    manifest = read_manifest(tmp_path / "out", step="evaluate")
    assert manifest.metrics["accuracy"] == pytest.approx(right, abs=1e-4)
    assert manifest.config == {"task": "rte", "initialization": "pretrained"}
    assert "rte" in capsys.readouterr().out


def test_training_files_are_needed_for_the_baselines_alone(folder, tmp_path, capsys):
    (tmp_path / "RTE").mkdir()
    shutil.copy(folder / "glue" / "RTE" / "dev.tsv", tmp_path / "RTE")
    options = ["--data_dir", str(tmp_path), "--finetuned_dirs", str(folder / "ours")]
    assert main(["evaluate", *options, "--output", str(tmp_path / "out")]) == 0
    assert "no training files: no score of simpler baselines" in capsys.readouterr().err
    assert not (tmp_path / "out" / "baselines_dev.json").exists()
    assert len((tmp_path / "out" / "predictions_dev.tsv").read_text().splitlines()) == 5


def test_a_model_that_declares_no_task_is_refused_with_the_option(folder, tmp_path, capsys):
    options = ["--data_dir", str(folder / "glue"), "--output", str(tmp_path / "out")]
    tuned = ["--finetuned_dirs", str(folder / "transformers")]
    assert main(["evaluate", *options, *tuned]) == 2
    assert "no task.json beside it, so it declares no task; name its task with --task" in (
        capsys.readouterr().err
    )


def test_a_task_of_other_labels_is_refused(folder, tmp_path, capsys):
    (folder / "glue" / "MNLI").mkdir(exist_ok=True)
    for name in ("train", "dev_matched"):
        (folder / "glue" / "MNLI" / f"{name}.tsv").write_text("x\n")
    options = ["--data_dir", str(folder / "glue"), "--output", str(tmp_path / "out")]
    tuned = ["--finetuned_dirs", str(folder / "transformers"), "--task", "mnli"]
    assert main(["evaluate", *options, *tuned]) == 2
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "albert: error" in one]
    assert "2 outputs, expected 3 for task mnli" in line


def test_corrected_labels_are_scored_and_exported_anew(folder, tmp_path):
    theirs = shutil.copytree(folder / "transformers", tmp_path / "theirs")
    scoring = ["evaluate", "--task", "rte", "--data_dir", str(folder / "glue")]
    scoring += ["--finetuned_dirs", str(theirs), "--output", str(tmp_path / "scores")]
    exporting = ["export", str(theirs), "--to", "keras", "--output", str(tmp_path / "exports")]
    assert main(scoring) == main(exporting) == 0
    before = read_manifest(tmp_path / "scores", step="evaluate").metrics["accuracy"]
    names = load(tmp_path / "exports" / "keras").signature.labels
    edit_json(theirs / "config.json", id2label=dict(enumerate(names[::-1])), label2id=None)
    # As for any other model: what lies there is kept, and refused for other work.
    assert main(scoring) == main(exporting) == 2
    for name in ("scores", "exports"):
        shutil.rmtree(tmp_path / name)
    assert main(scoring) == main(exporting) == 0
    after = read_manifest(tmp_path / "scores", step="evaluate").metrics["accuracy"]
    assert after == pytest.approx(1 - before)
    assert load(tmp_path / "exports" / "keras").signature.labels == names[::-1]


def test_a_checkpoint_of_the_original_is_exported_as_its_task(folder, expected, tmp_path):
    options = ["--task", "rte", *beside(folder), "--to", "keras", "--output", str(tmp_path / "out")]
    assert main(["export", str(folder / "original"), *options]) == 0
    exported = load(tmp_path / "out" / "keras")
    assert exported.signature.labels == RTE.labels
    assert [one.label for one in exported.predict([row[:2] for row in ROWS])] == expected
    told = facts_in((tmp_path / "out" / "keras" / "README.md").read_text(), "Model")
    assert (told["Task"], told["Hidden size"]) == ("rte", str(MODEL_CONFIG.hidden_size))
    assert told["Vocabulary"] == "SentencePiece, 120 tokens, lower case"
    assert json.loads((tmp_path / "out" / "keras" / "task.json").read_text())["name"] == "rte"


def test_a_card_tells_how_the_vocabulary_was_read_for_the_export(folder, tmp_path):
    options = ["--lower_case", "false", "--strip_accents", "false", "--to", "huggingface"]
    exporting = ["export", str(folder / "transformers"), "--task", "rte", *options]
    assert main([*exporting, "--output", str(tmp_path / "out")]) == 0
    card = (tmp_path / "out" / "huggingface" / "README.md").read_text()
    assert facts_in(card, "Model")["Vocabulary"] == "SentencePiece, 120 tokens, cased, accents kept"


def test_the_server_answers_as_the_task(folder, expected, monkeypatch):
    served = []
    monkeypatch.setattr(
        server,
        "run_server",
        lambda model, config, *, reading: served.append(load(model, **reading)),
    )
    assert main(["serve", str(folder / "original"), "--task", "rte", *beside(folder)]) == 0
    assert [one.label for one in served[0].predict([row[:2] for row in ROWS])] == expected


def test_a_file_is_predicted_as_the_task(folder, expected, tmp_path):
    rows = [json.dumps({"text": first, "text_b": second}) for first, second, _ in ROWS]
    (tmp_path / "in.jsonl").write_text("\n".join(rows) + "\n")
    options = ["--task", "rte", *beside(folder), "--output", str(tmp_path / "out.jsonl")]
    assert main(["predict", str(folder / "original"), str(tmp_path / "in.jsonl"), *options]) == 0
    found = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert [row["label"] for row in found] == expected


def test_fine_tuning_takes_the_files_that_do_not_lie_beside_a_checkpoint(folder, tmp_path):
    options = [
        *("--task", "rte", "--data_dir", str(folder / "glue"), *beside(folder)),
        *("--pretrained_dir", str(folder / "original"), "--output", str(tmp_path / "out")),
        *("--finetuning.num_train_steps", "1", "--finetuning.num_evaluations", "1"),
        *("--finetuning.sequence_length", "24", "--finetuning.batch_size", "2"),
    ]
    assert main(["finetune", *options]) == 0
    assert load(tmp_path / "out").task == RTE


def test_a_model_for_spans_of_transformers_is_one_for_squad2(tokenizer, tmp_path):
    """It has no head for answerability: there is no answer where [CLS] scores above all spans."""
    save_huggingface(span(MODEL_CONFIG, tokenizer=tokenizer), tmp_path / "theirs")
    qas = [
        {"id": "a", "question": "Who?", "answers": [{"text": "Dogs", "answer_start": 0}]},
        {"id": "b", "question": "What froze?", "answers": [], "is_impossible": True},
    ]
    data = squad_file([{"context": "Dogs sleep on the train.", "qas": qas}])
    (tmp_path / "squad").mkdir()
    for split in ("train", "dev"):
        (tmp_path / "squad" / f"{split}-v2.0.json").write_text(json.dumps(data))
    options = ["--task", "squad2", "--data_dir", str(tmp_path)]
    exported = tmp_path / "exports"
    formats = ["--to", "keras,onnx", "--output", str(exported)]
    assert main(["export", str(tmp_path / "theirs"), *options, *formats]) == 0
    evaluated = {}
    for name, folder in (("theirs", tmp_path / "theirs"), ("ours", exported / "keras")):
        output = ["--finetuned_dirs", str(folder), "--output", str(tmp_path / f"{name} scores")]
        assert main(["evaluate", *options, *output]) == 0
        files = ("predictions_dev.json", "null_odds_dev.json", "nbest_predictions_dev.json")
        evaluated[name] = [
            json.loads((tmp_path / f"{name} scores" / file).read_text()) for file in files
        ]
    assert evaluated["ours"] == evaluated["theirs"]
    _, null_odds, n_best = evaluated["theirs"]
    model = load(tmp_path / "theirs", task=TASKS["squad2"])
    examples = [(one["question"], "Dogs sleep on the train.") for one in qas]
    for served in (model, load(exported / "onnx")):
        for one, found in zip(qas, served.predict(examples), strict=True):
            assert found.null_odds == pytest.approx(null_odds[one["id"]], abs=1e-5)
            best = n_best[one["id"]][0]["text"]
            assert found.answer == ("" if found.null_odds >= 0 else best)
