"""`albert pretrain` by replaced-token detection: it learns, goes on, and leaves ordinary models."""

import json
import math
import signal
from pathlib import Path

import keras
import numpy as np
import pytest

import albert_core
from albert_core.checkpoints import convert, describe, read_checkpoint
from albert_core.config import AlbertConfig
from albert_core.errors import InputError, StepFailedError
from albert_core.model import AlbertForReplacedTokenDetection, weights_by_name
from albert_core.model.weights import read_weights
from albert_core.pretraining.initialization import initialize
from albert_core.pretraining.objectives import ReplacedTokenConfig
from albert_core.tokenization import load_tokenizer
from components.export.card.config import CardConfig
from components.export.card.training import pretraining_section
from components.export.lineage import find_lineage
from components.finetune.step import finetune
from components.report.samples import fill_samples
from tests.helpers.tiny_pretraining import history_of, log_of, train
from tests.helpers.tiny_tasks import TINY_TASKS, tiny_finetuning, write_tiny_tasks

pytestmark = pytest.mark.slow

DETECTION = {
    "objective": "replaced_token_detection",
    "replaced_token_detection": ReplacedTokenConfig(generator_size=0.5, loss_weight=20.0),
}
METRICS = ("accuracy", "loss", "recall", "fraction", "predicted_fraction")


@pytest.fixture(scope="module")
def trained(material, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("trained") / "model"
    train(material, output, num_train_steps=200, evaluation_interval_steps=50, **DETECTION)
    return output


def test_both_models_learn_and_the_last_evaluation_is_published(trained):
    history, rows = history_of(trained), log_of(trained)
    first, last = history[0], history[-1]
    assert last["masked_lm_accuracy"] > first["masked_lm_accuracy"]
    # Telling tokens apart beats the best that one probability for all of them could do.
    fraction = last["replaced_token_fraction"]
    entropy = -fraction * math.log(fraction) - (1 - fraction) * math.log(1 - fraction)
    assert last["replaced_token_loss"] < 0.95 * entropy
    assert 0 <= last["replaced_token_recall"] <= 1
    # Precision is missing where no token is taken for replaced.
    assert ("replaced_token_precision" in last) == (last["replaced_token_predicted_fraction"] > 0)
    assert last["loss"] == pytest.approx(
        last["masked_lm_loss"] + 20 * last["replaced_token_loss"] + last["sentence_order_loss"],
        rel=0.01,
    )
    assert rows[-1].keys() >= {"masked_lm_loss", "replaced_token_loss", "replaced_token_accuracy"}
    assert rows[-1]["loss"] < rows[0]["loss"]
    metrics = json.loads((trained / "manifest.json").read_text())["metrics"]
    assert metrics["global_step"] == 200
    assert 0 < metrics["num_generator_parameters"] < metrics["num_parameters"]
    assert 1 <= metrics["mean_output_effective_rank"] <= metrics["max_effective_rank"]
    lines = (trained / "eval_results.txt").read_text().splitlines()
    written = dict(line.split(" = ") for line in lines)
    for name in (f"replaced_token_{what}" for what in METRICS):
        assert metrics[name] == pytest.approx(last[name], abs=1e-4)
        assert float(written[name]) == last[name]


@pytest.mark.usefixtures("eager")
def test_the_model_is_an_ordinary_albert_without_the_head_of_masked_lm(trained, material, tmp_path):
    description = describe(trained)
    assert description.model.heads == ("sentence_order",)
    metrics = json.loads((trained / "manifest.json").read_text())["metrics"]
    assert description.model.num_parameters == metrics["num_parameters"]
    model = albert_core.load(trained)
    assert model.encode(["The ship sails."]).shape == (1, 32)
    with pytest.raises(InputError, match="the generator in its folder 'generator' fills masks"):
        model.fill_mask(["The [MASK] sails."])
    convert(trained, tmp_path / "theirs", to="huggingface")
    values = json.loads((tmp_path / "theirs" / "config.json").read_text())
    assert values["architectures"] == ["AlbertModel"]
    assert not read_checkpoint(tmp_path / "theirs").heads
    tuned = finetune(
        task=TINY_TASKS["topic"],
        data=write_tiny_tasks(tmp_path / "data") / "topic",
        pretrained=trained,
        initialization="pretrained",
        config=tiny_finetuning(sequence_length=24, num_train_steps=2, num_probe_examples=0),
        output=tmp_path / "tuned",
    )
    assert tuned.metrics["global_step"] > 0


@pytest.mark.usefixtures("eager")
def test_the_generator_is_a_model_that_fills_masks(trained, material, monkeypatch):
    generator = albert_core.load(trained / "generator")
    assert (generator.config.hidden_size, generator.config.num_attention_heads) == (16, 2)
    (filled,) = generator.fill_mask(["The ship [MASK] slowly."], top_k=3)
    assert len(filled.masks[0]) == 3
    own = read_weights(trained / "generator" / "model.safetensors")
    shared = read_weights(trained / "model.safetensors")
    name = "bert/embeddings/word_embeddings"
    np.testing.assert_array_equal(own[name], shared[name])
    # So small a vocabulary has no whole words to mask.
    text = ("the ship ", "sails", " slowly.")
    monkeypatch.setattr("components.report.samples._masked_texts", lambda *_: [text])
    (sample,) = fill_samples(trained, material.short)
    assert [word for word, _ in sample.candidates[:3]] == [
        one.text for one in generator.fill_mask(["the ship [MASK] slowly."])[0].masks[0][:3]
    ]


def test_training_begins_from_the_model_with_a_new_generator(trained, material):
    keras.utils.set_random_seed(9)
    config = AlbertConfig.from_json_file(trained / "albert_config.json")
    model = AlbertForReplacedTokenDetection(
        config, ReplacedTokenConfig().generator(config), loss_weight=50.0
    )
    weights = weights_by_name(model)
    before = {name: np.asarray(value).copy() for name, value in weights.items()}
    tokenizer = load_tokenizer(material.vocab)
    initialize(model, str(trained), tokenizer, may_differ_in_depth=False)
    published = read_weights(trained / "model.safetensors")
    for name, value in weights.items():
        expected = published.get(name, before[name])
        np.testing.assert_array_equal(np.asarray(value), expected, err_msg=name)


def test_the_card_names_the_objective_and_whose_masked_lm_it_is(trained, material):
    lineage = find_lineage(trained, material.vocab.parent)
    config = describe(trained).model.config
    facts = dict(pretraining_section(lineage, config, CardConfig()).facts)
    assert facts["Objective"].startswith("replaced-token detection and sentence order (generator")
    assert "Held-out masked LM accuracy of the generator" in facts
    assert "Held-out accuracy of the detection" in facts
    assert "Held-out masked LM accuracy" not in facts


@pytest.mark.backends
@pytest.mark.usefixtures("eager")
def test_an_interrupted_run_ends_with_the_same_bits(material, tmp_path):
    """Micro-batches, dropout, Muon, averages: draws follow the records, all else the checkpoint."""
    settings = {
        "num_train_steps": 4,
        "num_warmup_steps": 1,
        "evaluation_interval_steps": 2,
        "device_batch_size": 8,
        "position_offset_probability": 0.5,
        "sentence_order_weight": 0.5,
        "optimizer": "muon",
        "ema_decay": 0.9,
        "overrides": {"hidden_dropout_prob": 0.1},
        "jit_compile": keras.backend.backend() == "jax",
        **DETECTION,
    }

    def interrupt_once(step: int, num_steps: int, text: str) -> None:
        if step == 2 and text.startswith("replaced_token_accuracy"):
            signal.raise_signal(signal.SIGTERM)

    train(material, tmp_path / "whole", **settings)
    with pytest.raises(StepFailedError, match="stopped by SIGTERM after 3 steps"):
        train(material, tmp_path / "parts", progress=interrupt_once, **settings)
    (checkpoint,) = (tmp_path / ".parts.work").glob("pretrain-*/progress/checkpoint-000000003")
    summary = describe(checkpoint).model
    assert summary.heads == ("sentence_order",)
    train(material, tmp_path / "parts", **settings)
    for name in ("model.safetensors", "generator/model.safetensors"):
        whole, parts = (read_weights(tmp_path / run / name) for run in ("whole", "parts"))
        assert all((whole[name] == parts[name]).all() for name in whole)
    whole, parts = (history_of(tmp_path / run) for run in ("whole", "parts"))
    for one, other in zip(whole, parts, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
        assert math.isfinite(one["loss"])
