"""The frozen probe: every kind of task, the means of the model, random weights as the control."""

import dataclasses
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from albert_core.checkpoints import Checkpoint
from albert_core.errors import InputError
from albert_core.finetuning.checkpoint_probe import probe_checkpoint
from albert_core.finetuning.features import make_features
from albert_core.finetuning.frozen_encoder import (
    layer_means,
    means_function,
    pretrained_encoder,
    random_encoder,
)
from albert_core.finetuning.frozen_probe import probe_frozen_encoder
from albert_core.finetuning.probe_features import join_columns, make_columns, numeric_targets
from albert_core.finetuning.probe_results import FrozenProbe
from albert_core.tasks import Example, Task
from albert_core.tokenization import SentencePieceTokenizer
from pipeline.cli.main import main
from tests.conftest import SENTENCES
from tests.helpers.checkpoint_samples import CONFIG, pretrained
from tests.helpers.export_samples import SHALLOW

TASKS = {
    "classes": Task(name="c", texts=("a",), labels=("x", "y", "z"), metrics=("accuracy",)),
    "pairs": Task(name="p", texts=("a", "b"), labels=("no", "yes"), metrics=("f1",)),
    "scores": Task(name="s", kind="regression", texts=("a", "b"), metrics=("pearson",)),
    "labels": Task(
        name="l", kind="multi_label", texts=("a",), labels=("x", "y"), metrics=("accuracy",)
    ),
    "choices": Task(name="h", kind="multiple_choice", texts=("a", "b"), metrics=("accuracy",)),
}
WORDS = ("harbour master storm", "slow train apples", "warm bread baker")


def make_examples(kind: str, count: int, seed: int) -> list[Example]:
    """Return examples whose words tell their targets; of pairs whether both have the same ones."""
    rng = random.Random(seed)
    examples = []
    for number in range(count):
        topic, other = number % 3, (number // 3) % 2
        first = f"{WORDS[topic]} {rng.choice(SENTENCES)[:9]}"
        second = WORDS[(topic + other) % 3]
        texts, target = {
            "classes": ((first,), topic),
            "pairs": ((first, second), 1 - other),
            "scores": ((first, second), 5.0 - 3 * other),
            "labels": ((first,), (float(topic == 0), float(topic < 2))),
            "choices": ((first, *WORDS), topic),
        }[kind]
        examples.append(Example(id=str(number), texts=texts, target=target))
    return examples


def probe(
    kind: str,
    tokenizer: SentencePieceTokenizer,
    dev: Sequence[Example] | None = None,
    **settings: int,
) -> FrozenProbe:
    config = dataclasses.replace(SHALLOW, vocab_size=len(tokenizer))
    return probe_frozen_encoder(
        task=TASKS[kind],
        config=config,
        weights=pretrained(SHALLOW, tokenizer=tokenizer).weights,
        tokenizer=tokenizer,
        train=make_examples(kind, 90, 1),
        dev=make_examples(kind, 30, 2) if dev is None else dev,
        sequence_length=24,
        **settings,
    )


@pytest.mark.parametrize("kind", TASKS)
def test_each_kind_of_task_is_read_off_the_outputs(kind: str, tokenizer) -> None:
    result = probe(kind, tokenizer)
    assert (result.num_train, result.num_dev) == (90, 30)
    for scores in (result.pretrained, result.random_weights):
        assert [one.layer for one in scores.layers] == list(range(1, SHALLOW.num_hidden_layers + 1))
        assert scores.last_layer_score == scores.layers[-1].score
        best = scores.layers[scores.best_layer - 1]
        assert (scores.best_score, best.held_out_score) == (
            best.score,
            max(one.held_out_score for one in scores.layers),
        )
        assert best.low <= best.score <= best.high
        assert best.score > 0.8  # even random weights keep the words apart
    gain = result.best_layer_gain
    assert gain.gain == result.pretrained.best_score - result.random_weights.best_score
    assert gain.low <= gain.high
    assert json.dumps(dataclasses.asdict(result))


def test_dev_questions_may_have_another_number_of_choices(tokenizer) -> None:
    dev = [
        dataclasses.replace(one, texts=one.texts[:3])
        for one in make_examples("choices", 30, 2)
        if one.target < 2
    ]
    result = probe("choices", tokenizer, dev=dev)
    assert (result.num_train, result.num_dev) == (90, 20)
    assert result.pretrained.best_score > 0.8


def test_more_examples_than_wanted_are_left_out_and_counted(tokenizer) -> None:
    first, second = (probe("classes", tokenizer, num_examples=20) for _ in range(2))
    assert (first.num_train, first.num_dev) == (20, 20)
    assert dataclasses.replace(first, seconds=0) == dataclasses.replace(second, seconds=0)
    assert probe("choices", tokenizer, num_examples=30).num_train == 10  # three choices each


def test_means_are_those_of_the_model_and_random_ones_follow_the_seed(tokenizer) -> None:
    checkpoint = pretrained(tokenizer=tokenizer)
    examples = [Example(id="", texts=(text,), target=None) for text in SENTENCES]
    features = make_features(examples, tokenizer, 24)
    encoder = pretrained_encoder(checkpoint.config, checkpoint.weights, source="model")
    function = means_function(encoder)
    means = layer_means(function, features, max_length=24, source="model")
    assert means.shape == (len(SENTENCES), CONFIG.num_hidden_layers, CONFIG.hidden_size)
    ids = features.ids[features.begins[0] : features.begins[1]]
    outputs = encoder(ids[None], return_all_layers=True)["all_layer_outputs"]
    expected = [np.asarray(outputs[number])[0].mean(axis=0) for number in block_numbers()]
    assert means[0] == pytest.approx(np.stack(expected), abs=1e-5)
    drawn = [
        layer_means(
            means_function(random_encoder(CONFIG, seed)), features, max_length=24, source=""
        )
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.allclose(drawn[0], drawn[2])
    encoder.set_weights(random_encoder(CONFIG, 1).get_weights())
    assert np.array_equal(layer_means(function, features, max_length=24, source=""), drawn[0]), (
        "a function that is compiled computes with the weights of before"
    )


def block_numbers() -> range:
    """Numbers of the blocks that end a layer."""
    every = CONFIG.inner_group_num
    return range(every - 1, every * CONFIG.num_hidden_layers, every)


def test_outputs_that_are_not_finite_are_refused(tokenizer) -> None:
    checkpoint = pretrained(tokenizer=tokenizer)
    damaged = {name: np.full_like(array, np.nan) for name, array in checkpoint.weights.items()}
    with pytest.raises(InputError, match=r"the model: got outputs that are not finite"):
        layer_means(
            means_function(pretrained_encoder(CONFIG, damaged, source="the model")),
            make_columns(make_examples("classes", 3, 1), tokenizer, 24)[0],
            max_length=24,
            source="the model",
        )
    with pytest.raises(InputError, match="missing bert/"):
        pretrained_encoder(CONFIG, {}, source="the model")


def test_features_and_targets_of_pairs_and_choices() -> None:
    a, b = np.array([[1.0, 2.0], [0.0, 3.0]]), np.array([[2.0, 1.0], [0.0, -3.0]])
    pairs = join_columns([a, b], TASKS["pairs"])
    assert pairs[0] == pytest.approx([1, 2, 2, 1, 1, 1, 2, 2, 0.8])
    assert pairs[1, -1] == pytest.approx(-1)
    choices = join_columns([a, b, a], TASKS["choices"])
    assert choices.shape == (4, 9)
    assert choices[0].tolist() == pairs[0].tolist()
    assert choices[1, -1] == pytest.approx(1)  # the second choice of the first example is the text
    assert numeric_targets(TASKS["choices"], np.array([1, 0]), 2).ravel().tolist() == [-1, 1, 1, -1]
    assert numeric_targets(TASKS["classes"], np.array([2]), 0).tolist() == [[-1, -1, 1]]
    assert numeric_targets(TASKS["labels"], np.array([[1.0, 0.0]]), 0).tolist() == [[1, -1]]
    assert numeric_targets(TASKS["scores"], np.array([2.5]), 0).tolist() == [[2.5]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A task of the kind `classes` with its declaration."""
    (tmp_path / "data" / "topic").mkdir(parents=True)
    declaration = "name: topic\ntexts: [text]\nlabels: [x, y, z]\nmetrics: [accuracy]\n"
    (tmp_path / "data/topic/task.yaml").write_text(declaration, encoding="utf-8")
    for split, count in (("train", 60), ("dev", 12)):
        rows = [f"{e.texts[0]}\t{'xyz'[int(e.target)]}" for e in make_examples("classes", count, 1)]
        text = "\n".join(["text\tlabel", *rows]) + "\n"
        (tmp_path / f"data/topic/{split}.tsv").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_command_prints_every_layer_and_writes_json(folder, tokenizer, capsys) -> None:
    from albert_core.checkpoints import save_folder

    (folder / "model").mkdir()
    save_folder(pretrained(SHALLOW, tokenizer=tokenizer), folder / "model")
    command = [
        "probe",
        str(folder / "model"),
        "--task",
        "topic",
        "--data_dir",
        str(folder / "data"),
    ]
    output = folder / "probe.json"
    assert main([*command, "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert f"last {SHALLOW.num_hidden_layers}" in printed
    assert "points over random weights (95 % interval" in printed
    values = json.loads(output.read_text())
    assert (values["num_train"], values["num_dev"]) == (60, 12)
    assert values["sequence_length"] == min(128, CONFIG.max_position_embeddings)
    output.write_text("mine")
    assert main([*command, "--output", str(output)]) == 2
    assert "is not a frozen probe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task": Task(name="q", kind="question_answering", metrics=("f1",))}, "asks for answers"),
        ({"sequence_length": 4}, "expected 8 to the model's"),
        ({"sequence_length": 9999}, "expected 8 to the model's"),
    ],
)
def test_what_cannot_be_probed_is_refused(folder, changes, reason) -> None:
    checkpoint = Checkpoint(config=CONFIG, weights={}, source="model")
    arguments = {"task": TASKS["classes"], "data": folder / "data" / "topic", **changes}
    with pytest.raises(InputError, match=reason):
        probe_checkpoint(checkpoint, **arguments)
