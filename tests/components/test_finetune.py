"""Fine-tuning and evaluation of every kind of task, on a small model from no pretraining."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import safetensors.numpy

from albert_core.artifacts.manifest import Manifest, read_manifest
from albert_core.backends import JITS_VARYING_LENGTHS
from albert_core.checkpoints import convert, read_checkpoint
from albert_core.errors import InputError, StepFailedError
from albert_core.finetuning import models, trials
from albert_core.finetuning.probe_results import read_probe
from albert_core.tasks import Source
from albert_core.training.compute import ComputeSettings
from components.evaluate.step import evaluate, read_baselines
from components.finetune.step import finetune
from tests.helpers.eager import functions_run_eagerly
from tests.helpers.tiny_tasks import (
    NUM_DEV,
    NUM_TRAIN,
    TINY_TASKS,
    squad_file,
    tiny_finetuning,
    write_tiny_model,
    write_tiny_tasks,
)

pytestmark = pytest.mark.slow

# What brings each kind far above a baseline without a model, whatever the seed.
ENOUGH: dict[str, dict[str, Any]] = {
    "topic": {"num_train_steps": 120, "learning_rate": 0.003},
    "sea": {"num_train_steps": 360, "learning_rate": 0.002},
    "held": {"num_train_steps": 720, "learning_rate": 0.008},
    "whale": {"num_train_steps": 240, "learning_rate": 0.003},
    "no-whale": {"num_train_steps": 240, "learning_rate": 0.003},
    "roles": {"num_train_steps": 120, "learning_rate": 0.003},
}

MOST_EAGER_STEPS = 4
SHORT, WHOLE = 16, 48  # tokens that the texts are cut to, tokens that no text is longer than


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> Path:
    return write_tiny_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def learned(tasks, model, tmp_path_factory) -> Callable[[str], Path]:
    """Fine-tune on a task by name with what is enough for it; each is done once."""
    folder = tmp_path_factory.mktemp("learned")

    def get(name: str) -> Path:
        if not (folder / name).is_dir():
            finetune(
                config=tiny_finetuning(**ENOUGH[name]),
                task=TINY_TASKS[name],
                data=tasks / name,
                pretrained=model,
                initialization="pretrained",
                output=folder / name,
            )
        return folder / name

    return get


@pytest.fixture
def tune(tasks, model, tmp_path):
    """Fine-tune on a task by name, into a folder of that name; the encoder is not probed.

    Texts are cut so short that all batches have one length, which TensorFlow traces once. A few
    steps are made without tracing.
    """

    def run(name: str, *, output: str | None = None, **settings: Any) -> Manifest:
        options = {
            "initialization": settings.pop("initialization", "pretrained"),
            "pretrained": settings.pop("pretrained", model),
            "task": settings.pop("task", TINY_TASKS[name]),
            "data": settings.pop("data", tasks / name),
            "progress": settings.pop("progress", lambda done, total, text: None),
        }
        cheap = {"sequence_length": SHORT, "num_probe_examples": 0}
        config = tiny_finetuning(**{**cheap, **settings})
        with functions_run_eagerly(config.num_train_steps <= MOST_EAGER_STEPS):
            return finetune(config=config, output=tmp_path / (output or name), **options)

    return run


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    return safetensors.numpy.load_file(folder / "model.safetensors")


@pytest.mark.parametrize("name", TINY_TASKS)
def test_every_kind_of_task_is_learned_and_scored_again(name, learned, tasks, tmp_path):
    figures = read_manifest(learned(name), step="finetune").metrics
    metric = TINY_TASKS[name].metrics[0]
    assert (figures["num_train"], figures["num_dev"]) == (NUM_TRAIN, NUM_DEV)
    assert figures[metric] > figures["majority_score"] + 0.3
    assert_probed(learned(name), figures)

    evaluated = evaluate(model=learned(name), data=tasks / name, output=tmp_path / "scores")
    scores = evaluated.metrics
    assert next(iter(scores)) == metric
    for own in TINY_TASKS[name].metrics:
        assert scores[own] == pytest.approx(figures[own], abs=2e-4)
    assert scores["low"] <= scores[metric] <= scores["high"]

    rows = [
        json.loads(line)
        for line in (tmp_path / "scores/examples_dev.jsonl").read_text().splitlines()
    ]
    assert len(rows) == NUM_DEV
    baselines = read_baselines(tmp_path / "scores")
    if TINY_TASKS[name].kind == "question_answering":
        assert not baselines
        assert np.mean([row["score"] for row in rows]) == pytest.approx(scores[metric], abs=1e-4)
        return
    assert scores["without_model_score"] == round(baselines["without_model"]["score"], 4)
    assert baselines["majority"]["score"] == pytest.approx(figures["majority_score"], abs=1e-4)
    assert {"label", "prediction", "without_model", "majority", "texts"} <= rows[0].keys()
    if metric == "accuracy":
        right = np.mean([row["label"] == row["prediction"] for row in rows])
        assert right == pytest.approx(scores[metric], abs=1e-4)


def assert_probed(folder: Path, figures: dict[str, Any]) -> None:
    """Check that the model was probed before fine-tuning; for questions and tags it is not."""
    probe = read_probe(folder)
    if "whale" in folder.name or folder.name == "roles":
        assert not probe
        assert "probe_score" not in figures
        return
    assert (probe["num_train"], probe["num_dev"]) == (NUM_TRAIN, NUM_DEV)
    assert len(probe["pretrained"]["layers"]) == len(probe["random_weights"]["layers"]) == 1
    assert figures["probe_score"] == round(probe["pretrained"]["best_score"], 4)
    assert figures["probe_random_weights_score"] > 0


def test_no_probe_of_random_weights_or_where_none_is_wanted(tune, tmp_path) -> None:
    random = {"initialization": "random", "num_probe_examples": 20}
    tune("topic", output="random", num_train_steps=2, **random)
    tune("topic", output="none", num_probe_examples=0, num_train_steps=2)
    tune("topic", output="few", num_probe_examples=20, num_train_steps=2)
    assert not read_probe(tmp_path / "random")
    assert not read_probe(tmp_path / "none")
    assert read_probe(tmp_path / "few")["num_train"] == 20


def test_predictions_and_what_glue_takes(learned, tasks, tmp_path):
    evaluate(model=learned("topic"), data=tasks / "topic", output=tmp_path / "scores")
    header, *rows = (tmp_path / "scores/predictions_dev.tsv").read_text().splitlines()
    assert header.split("\t") == ["id", "prediction", "sea", "farm", "town"]
    labels = [row["label"] for row in rows_of(tasks, "topic", "dev")]
    cells = [row.split("\t") for row in rows]
    assert [own[0] for own in cells] == [str(number) for number in range(NUM_DEV)]
    right = np.mean([own[1] == label for own, label in zip(cells, labels, strict=True)])
    metrics = json.loads((tmp_path / "scores/metrics.json").read_text())
    assert right == pytest.approx(metrics["accuracy"])
    assert sum(map(float, cells[0][2:])) == pytest.approx(1, abs=1e-4)
    submitted = (tmp_path / "scores/submission/Topic.tsv").read_text().splitlines()
    assert submitted[0] == "index\tprediction"
    assert [line.split("\t")[0] for line in submitted[1:]] == [str(n) for n in range(100, 107)]


def test_answers_are_written_as_the_original_writes_them(learned, tasks, tmp_path):
    scores = evaluate(model=learned("no-whale"), data=tasks / "no-whale", output=tmp_path / "s")
    read = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "s").glob("*.json")}
    predictions, n_best = read["predictions_dev"], read["nbest_predictions_dev"]
    assert predictions.keys() == n_best.keys() == read["null_odds_dev"].keys()
    for key, answer in predictions.items():
        assert answer in ("", n_best[key][0]["text"])
    assert {"answerable_f1", "none_f1", "null_threshold"} <= scores.metrics.keys()
    curve = (tmp_path / "s/threshold_curve_dev.tsv").read_text().splitlines()
    assert curve[0].split("\t") == ["threshold", "f1", "exact"]
    best = max(float(line.split("\t")[1]) for line in curve[1:])
    assert best == pytest.approx(scores.metrics["f1"], abs=0.03)


def test_same_seed_same_weights_another_seed_others(tune, tmp_path):
    for output, seed in (("one", 1), ("again", 1), ("other", 2)):
        tune("topic", output=output, seed=seed, num_train_steps=4)
    one, again, other = (weights_of(tmp_path / name) for name in ("one", "again", "other"))
    assert all(np.array_equal(one[key], again[key]) for key in one)
    assert not np.array_equal(one["mean/output_weights"], other["mean/output_weights"])


def test_seeds_and_a_grid_are_tried_and_the_best_kept(tune, tmp_path):
    figures = tune(
        "topic",
        num_train_steps=60,
        num_seeds=2,
        grid_learning_rates=(1e-7, 0.003),
    ).metrics
    trials = json.loads((tmp_path / "topic/trials.json").read_text())
    assert len(trials["trials"]) == 2 * 2
    assert figures["learning_rate"] == 0.003
    chosen = [
        row["accuracy"]
        for row in trials["trials"]
        if row["name"].startswith(f"rate-0.003-batch-{figures['batch_size']}-")
    ]
    assert figures["accuracy_mean"] == pytest.approx(np.mean(chosen), abs=1e-4)
    assert figures["accuracy_std"] == pytest.approx(np.std(chosen, ddof=1), abs=1e-4)
    assert figures["accuracy"] == pytest.approx(max(chosen), abs=1e-4)


class InterruptedHereError(Exception):
    pass


def test_a_killed_fine_tuning_ends_like_one_that_was_not(tune, tmp_path):
    settings = {"num_seeds": 2, "num_train_steps": 12, "num_evaluations": 3}
    settings["num_probe_examples"] = NUM_TRAIN
    tune("topic", output="undisturbed", **settings)

    seen = []

    def interrupt(done: int, total: int, text: str) -> None:
        seen.append(done)
        if len([d for d in seen if d == 8]) == 2:  # in the second seed's training
            raise InterruptedHereError

    with pytest.raises(InterruptedHereError):
        tune("topic", output="disturbed", progress=interrupt, **settings)
    tune("topic", output="disturbed", **settings)
    undisturbed, disturbed = (weights_of(tmp_path / n) for n in ("undisturbed", "disturbed"))
    assert all(np.array_equal(undisturbed[key], disturbed[key]) for key in undisturbed)


def test_a_fine_tuning_with_a_short_last_interval_ends_the_same_when_it_was_killed(tune, tmp_path):
    settings = {"num_train_steps": 8, "evaluation_interval_steps": 3}
    tune("topic", output="undisturbed", **settings)
    rows = (tmp_path / "undisturbed/metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["global_step"] for row in rows] == [0, 3, 6, 8]

    def interrupt(done: int, total: int, text: str) -> None:
        if done == 6:
            raise InterruptedHereError

    with pytest.raises(InterruptedHereError):
        tune("topic", output="disturbed", progress=interrupt, **settings)
    tune("topic", output="disturbed", **settings)
    undisturbed, disturbed = (weights_of(tmp_path / n) for n in ("undisturbed", "disturbed"))
    assert all(np.array_equal(undisturbed[key], disturbed[key]) for key in undisturbed)


def test_a_fine_tuning_goes_on_in_the_precision_it_began_with(tune, tmp_path, monkeypatch):
    settings = {"num_train_steps": 4, "num_evaluations": 2}
    machine = "albert_core.training.compute_choice.possible_settings"

    def on(precision: str) -> None:
        possible = (ComputeSettings(precision=precision, jit_compile=JITS_VARYING_LENGTHS),)
        monkeypatch.setattr(machine, lambda *_, **__: possible)

    def interrupt(done: int, total: int, text: str) -> None:
        if done > 2:  # where the first checkpoint is
            raise InterruptedHereError

    on("bfloat16")
    assert (
        tune("topic", output="undisturbed", **settings).metrics["training_precision"] == "bfloat16"
    )
    with pytest.raises(InterruptedHereError):
        tune("topic", output="disturbed", progress=interrupt, **settings)
    on("float32")  # as if the folder had been moved to another machine
    continued = tune("topic", output="disturbed", **settings)
    assert continued.metrics["training_precision"] == "bfloat16"
    assert continued.metrics["training_jit_compile"] == JITS_VARYING_LENGTHS
    undisturbed, disturbed = (weights_of(tmp_path / n) for n in ("undisturbed", "disturbed"))
    assert all(np.array_equal(undisturbed[key], disturbed[key]) for key in undisturbed)


def test_an_error_leaves_the_process_in_full_precision(tune):
    def fail(done: int, total: int, text: str) -> None:
        if keras.config.dtype_policy().name == "mixed_bfloat16":
            raise InterruptedHereError

    with pytest.raises(InterruptedHereError):
        tune("topic", progress=fail, precision="bfloat16")
    assert keras.config.dtype_policy().name == "float32"


def test_every_trial_computes_in_the_precision_of_the_settings(tune, monkeypatch):
    made = []

    def new_task_model(*arguments: Any) -> keras.Model:
        made.append(models.new_task_model(*arguments))
        return made[-1]

    monkeypatch.setattr(trials, "new_task_model", new_task_model)
    tune("topic", precision="bfloat16", num_train_steps=2, num_seeds=2)
    assert [model.bert.compute_dtype for model in made] == ["bfloat16", "bfloat16"]


def test_frozen_parts_keep_their_weights(tune, model, tmp_path):
    before = read_checkpoint(model).weights
    for frozen in ("embeddings", "encoder"):
        tune("topic", output=frozen, frozen=frozen, num_train_steps=4, pooling="pooler")
        after = weights_of(tmp_path / frozen)
        changed = {n for n in after if n in before and not np.array_equal(after[n], before[n])}
        assert not any(name.startswith("bert/embeddings") for name in changed)
        assert any("inner_group_0" in name for name in changed) == (frozen == "embeddings")
        assert "bert/pooler/dense/kernel" in changed


def test_training_ends_when_it_gets_no_better(tune, tmp_path):
    figures = tune(
        "topic", learning_rate=1e-9, num_train_steps=20, num_evaluations=10, patience=2
    ).metrics
    rows = (tmp_path / "topic/metrics.jsonl").read_text().splitlines()
    assert len(rows) == 3
    assert figures["global_step"] == 2


def test_dropout_of_the_encoder_can_be_set(tune, tmp_path):
    tune("topic", hidden_dropout=0.25, num_train_steps=2)
    config = json.loads((tmp_path / "topic/albert_config.json").read_text())
    assert (config["hidden_dropout_prob"], config["attention_probs_dropout_prob"]) == (0.25, 0.0)


def test_positions_that_pretraining_never_trained_are_named_and_counted(tune, model, tmp_path):
    shutil.copytree(model, tmp_path / "short", ignore=shutil.ignore_patterns("manifest.json"))
    Manifest(
        step="pretrain",
        fingerprint="f",
        code_version="v",
        config={},
        inputs={},
        files={},
        metrics={"trained_sequence_length": 6},
        seconds=1.0,
    ).write(tmp_path / "short")
    told: list[str] = []
    figures = tune(
        "topic",
        pretrained=tmp_path / "short",
        num_train_steps=1,
        progress=lambda done, total, text: told.append(text),
    ).metrics
    assert any("on at most 6 positions, so positions 6 to 15 were" in one for one in told)
    assert 0 < figures["num_beyond_pretraining"] <= NUM_TRAIN
    assert figures["trained_sequence_length"] == 6


def test_bfloat16_learns_as_well(tune, learned):
    full = read_manifest(learned("topic"), step="finetune").metrics["accuracy"]
    settings = {"sequence_length": WHOLE, **ENOUGH["topic"]}
    half = tune("topic", precision="bfloat16", **settings).metrics["accuracy"]
    assert min(full, half) > 0.5
    assert full == pytest.approx(half, abs=0.1)


def test_other_checkpoints_are_taken_up(tune, model, tmp_path):
    tune("topic", num_train_steps=4)
    ours = weights_of(tmp_path / "topic")
    for kind in ("tf1", "huggingface"):
        convert(model, tmp_path / kind, to=kind)
        tune("topic", output=f"from {kind}", pretrained=tmp_path / kind, num_train_steps=4)
        theirs = weights_of(tmp_path / f"from {kind}")
        assert all(np.allclose(ours[key], theirs[key], atol=1e-6) for key in ours)


@pytest.mark.usefixtures("eager")
def test_features_are_made_once_for_the_same_data(tasks, model, tmp_path):
    cheap = {"num_train_steps": 2, "sequence_length": SHORT, "num_probe_examples": 0}

    def run(name: str, **settings: Any) -> None:
        finetune(
            task=TINY_TASKS["topic"],
            data=tasks / "topic",
            pretrained=model,
            initialization="pretrained",
            config=tiny_finetuning(**{**cheap, **settings}),
            output=tmp_path / name,
            work_root=tmp_path / "work",
        )

    run("one", seed=1)
    run("two", seed=2)
    assert len(list((tmp_path / "work/features").iterdir())) == 1
    run("three", sequence_length=8)
    assert len(list((tmp_path / "work/features").iterdir())) == 2


def rows_of(tasks: Path, name: str, split: str = "train") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tasks / name / f"{split}.jsonl").read_text().splitlines()]


def write_rows(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    text = "".join(json.dumps(row) + "\n" for row in rows)
    for split in ("train", "dev"):
        (folder / f"{split}.jsonl").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"label": "sky"}, "unknown label"),
        ({"text": "  "}, "empty text"),
        ({"text": None}, "missing key"),
    ],
)
def test_unusable_rows_are_refused_or_counted(change, cause, tune, tasks, tmp_path):
    rows = rows_of(tasks, "topic")
    rows[4] = {key: v for key, v in {**rows[4], **change}.items() if v is not None}
    data = write_rows(tmp_path / "data", rows)
    (data / "dev.jsonl").write_text((tasks / "topic/dev.jsonl").read_text())
    with pytest.raises(InputError, match=r"train\.jsonl, line 5: got .*bad_rows"):
        tune("topic", data=data, num_train_steps=2)
    figures = tune("topic", data=data, num_train_steps=2, bad_rows="leave_out").metrics
    assert figures[f"num_left_out ({cause})"] == 1
    assert figures["num_train"] == NUM_TRAIN - 1


def test_a_dev_set_that_is_split_off_is_scored_again_and_named(tune, tasks, tmp_path):
    data = write_rows(tmp_path / "data", rows_of(tasks, "topic"))
    (data / "dev.jsonl").unlink()
    task = dataclasses.replace(TINY_TASKS["topic"], dev=(), test=(), dev_fraction=0.25)
    figures = tune("topic", task=task, data=data, num_train_steps=2).metrics
    assert figures["num_train"] + figures["num_dev"] == NUM_TRAIN
    assert figures["num_dev"] == pytest.approx(NUM_TRAIN / 4, rel=0.1)  # equal texts together
    assert figures["data_files"] == (
        "train: train.jsonl (JSON lines); dev: 25 % of the training rows, split off by label with "
        "seed 12345"
    )
    scores = evaluate(model=tmp_path / "topic", data=data, output=tmp_path / "scores").metrics
    assert scores["accuracy"] == figures["accuracy"]


def test_ids_must_differ(tune, tasks, tmp_path):
    task = dataclasses.replace(TINY_TASKS["topic"], train=(Source(file="train.jsonl", id="id"),))
    rows = rows_of(tasks, "topic")
    rows[4]["id"] = rows[3]["id"]
    data = write_rows(tmp_path / "data", rows)
    (data / "dev.jsonl").write_text((tasks / "topic/dev.jsonl").read_text())
    with pytest.raises(InputError, match=r"line 5: got id '103' again"):
        tune("topic", task=task, data=data, num_train_steps=2)


def test_answers_outside_their_context_are_refused_or_counted(tune, tasks, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    content = json.loads((tasks / "whale/train.json").read_text())
    paragraphs = content["data"][0]["paragraphs"]
    paragraphs[7]["qas"][0]["answers"][0]["answer_start"] += 1
    for split in ("train", "dev"):
        (data / f"{split}.json").write_text(json.dumps(squad_file(paragraphs)))
    with pytest.raises(InputError, match=r"question q7: got answer 'WHALE' at character"):
        tune("whale", data=data, sequence_length=WHOLE)
    settings = {"num_train_steps": 2, "sequence_length": WHOLE, "bad_rows": "leave_out"}
    figures = tune("whale", data=data, **settings).metrics
    assert figures["num_left_out (answer not in context)"] == 1


def test_a_vocabulary_of_another_model_is_refused(tune, model, tokenizer, tmp_path):
    convert(model, tmp_path / "copy", to="keras")
    tokenizer.save(tmp_path / "copy")
    with pytest.raises(InputError, match="got 120 tokens, expected the model's vocab_size=64"):
        tune("topic", pretrained=tmp_path / "copy")


def test_a_diverging_training_says_so(tune):
    with pytest.raises((StepFailedError, InputError), match="loss"):
        tune("sea", learning_rate=1e30, num_train_steps=20)
