"""Settings of fine-tuning: seeds and grids, frozen parts, dropout, what it starts from."""

import json
import shutil
from typing import Any

import numpy as np
import pytest

from albert_core.artifacts.manifest import Manifest
from albert_core.checkpoints import convert, read_checkpoint
from albert_core.errors import InputError
from albert_core.finetuning.probe_results import read_probe
from albert_core.model.heads import AlbertWithHead
from components.finetune.step import finetune
from tests.helpers.tiny_tasks import (
    NUM_TRAIN,
    SHORT,
    TINY_TASKS,
    WHOLE,
    tiny_finetuning,
    weights_of,
)

pytestmark = pytest.mark.slow


def test_no_probe_of_random_weights_or_where_none_is_wanted(tune, tmp_path) -> None:
    random = {"initialization": "random", "num_probe_examples": 20}
    tune("topic", output="random", num_train_steps=2, **random)
    tune("topic", output="none", num_probe_examples=0, num_train_steps=2)
    tune("topic", output="few", num_probe_examples=20, num_train_steps=2)
    assert not read_probe(tmp_path / "random")
    assert not read_probe(tmp_path / "none")
    assert read_probe(tmp_path / "few")["num_train"] == 20


def test_same_seed_same_weights_another_seed_others(tune, tmp_path):
    for output, seed in (("one", 1), ("again", 1), ("other", 2)):
        tune("topic", output=output, seed=seed, num_train_steps=4)
    one, again, other = (weights_of(tmp_path / name) for name in ("one", "again", "other"))
    assert all(np.array_equal(one[key], again[key]) for key in one)
    assert not np.array_equal(one["mean/output_weights"], other["mean/output_weights"])


def test_seeds_and_a_grid_are_tried_and_the_best_kept(tune, tmp_path):
    figures = tune(
        "topic",
        num_train_steps=8,
        num_seeds=2,
        grid_learning_rates=(1e-7, 0.01),
    ).metrics
    trials = json.loads((tmp_path / "topic/trials.json").read_text())
    assert len(trials["trials"]) == 2 * 2
    assert figures["learning_rate"] == 0.01
    chosen = [
        row["accuracy"]
        for row in trials["trials"]
        if row["name"].startswith(f"rate-0.01-batch-{figures['batch_size']}-")
    ]
    assert figures["accuracy_mean"] == pytest.approx(np.mean(chosen), abs=1e-4)
    assert figures["accuracy_std"] == pytest.approx(np.std(chosen, ddof=1), abs=1e-4)
    assert figures["accuracy"] == pytest.approx(max(chosen), abs=1e-4)


def test_a_step_is_traced_once_and_it_is_said_for_how_many_lengths_it_is_compiled(
    tune, monkeypatch
):
    traced, told = [], []
    batch_totals = AlbertWithHead.batch_totals

    def count(*arguments: Any) -> Any:
        traced.append(arguments)
        return batch_totals(*arguments)

    monkeypatch.setattr(AlbertWithHead, "batch_totals", count)
    tune(
        "topic",
        sequence_length=WHOLE,
        num_train_steps=12,
        progress=lambda done, total, text: told.append(text),
    )
    assert len(traced) == 1
    (said,) = (text for text in told if "the step is traced once" in text)
    assert "its element-wise loops are compiled for at most 3 lengths of batches" in said


def test_frozen_parts_keep_their_weights(tune, model, tmp_path):
    before = read_checkpoint(model).weights
    for frozen in ("embeddings", "encoder"):
        tune("topic", output=frozen, frozen=frozen, num_train_steps=4, pooling="pooler")
        after = weights_of(tmp_path / frozen)
        changed = {n for n in after if n in before and not np.array_equal(after[n], before[n])}
        assert not any(name.startswith("bert/embeddings") for name in changed)
        assert any("inner_group_0" in name for name in changed) == (frozen == "embeddings")
        assert "bert/pooler/dense/kernel" in changed


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


def test_training_examples_that_lose_tokens_are_told_and_counted(tune):
    told: list[str] = []
    metrics = tune(
        "topic",
        num_train_steps=1,
        sequence_length=8,
        progress=lambda done, total, text: told.append(text),
    ).metrics
    assert 0 < metrics["num_truncated"] <= NUM_TRAIN
    assert metrics["sequence_length_for_95_percent"] > 8
    assert any("longer than finetuning.sequence_length" in one for one in told)


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


def test_a_vocabulary_of_another_model_is_refused(tune, model, tokenizer, tmp_path):
    convert(model, tmp_path / "copy", to="keras")
    tokenizer.save(tmp_path / "copy")
    with pytest.raises(InputError, match="got 120 tokens, expected the model's vocab_size=64"):
        tune("topic", pretrained=tmp_path / "copy")
