"""Which pooling the head of each task has, and how its training begins."""

import dataclasses

import numpy as np
import pytest

from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.features import Features
from albert_core.finetuning.task_preprocessor import TaskData
from albert_core.finetuning.trials import start_at_mean_label
from albert_core.model import AlbertForSequenceClassification
from albert_core.tasks import TASKS, Source
from components.finetune.step import recorded_settings
from tests.helpers.checkpoint_samples import CONFIG

PAIR_WITH_A_TEXT = dataclasses.replace(
    TASKS["sts-b"], test=(Source(file="alone.tsv", texts=("sentence",)),)
)


@pytest.mark.parametrize(
    ("task", "pooling"),
    [
        ("sst-2", "mean"),
        ("cola", "mean"),
        ("mrpc", "siamese"),
        ("rte", "siamese"),
        ("sts-b", "siamese"),
        ("qnli", "pooler"),  # whether B answers A: not seen by comparing them
        ("tnews", "mean"),
        ("race", "pooler"),
        ("squad1", "pooler"),
        ("squad2", "pooler"),
    ],
)
def test_the_default_goes_by_what_an_example_is(task: str, pooling: str) -> None:
    assert FinetuningConfig().for_task(TASKS[task]).pooling == pooling
    original = FinetuningConfig(recipe="original").for_task(TASKS[task])
    assert original.pooling == "pooler"
    assert FinetuningConfig().for_task(TASKS[task], poolings={"pooler"}).pooling == "pooler"


def test_pairs_are_apart_only_if_all_files_have_pairs() -> None:
    assert FinetuningConfig().for_task(PAIR_WITH_A_TEXT).pooling == "mean"


def test_what_is_asked_for_by_name_wins() -> None:
    config = FinetuningConfig(recipe="original", per_task={"rte": {"pooling": "layer_mix"}})
    assert config.for_task(TASKS["rte"], poolings={"pooler"}).pooling == "layer_mix"
    assert config.for_task(TASKS["mrpc"]).pooling == "pooler"


@pytest.mark.parametrize(
    ("task", "pooling", "expected"),
    [
        ("cola", "siamese", "for cola: got siamese for a task of texts, .* pooler, mean, layer_m"),
        ("race", "siamese", "for race: got siamese for a task of choices"),
        (
            "squad2",
            "mean",
            r"a task of questions.* auto or one of pooler; .*per_task\.squad2\.pool",
        ),
    ],
)
def test_a_pooling_that_a_task_cannot_have_is_refused(
    task: str, pooling: str, expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        FinetuningConfig(pooling=pooling).for_task(TASKS[task])


def test_the_rate_of_the_head_goes_by_its_pooling_unless_it_is_set() -> None:
    rates = [FinetuningConfig().head_rate_of(TASKS[task]) for task in ("rte", "cola", "squad1")]
    assert rates == [10, 1, 1]
    assert FinetuningConfig(head_rate_multiplier=3).head_rate_of(TASKS["rte"]) == 3
    with pytest.raises(InputError, match="head_rate_multiplier: got 0, expected above 0"):
        FinetuningConfig(head_rate_multiplier=0)


def test_settings_that_are_as_they_always_were_are_the_same_work() -> None:
    config = FinetuningConfig(pooling="pooler")
    new = {
        *("pooling", "head_rate_multiplier", "grid_max_examples", "evaluation_interval_steps"),
        "num_probe_examples",
    }
    assert not new & recorded_settings(config).keys()
    assert recorded_settings(dataclasses.replace(config, pooling="mean"))["pooling"] == "mean"


@pytest.mark.parametrize(("pooling", "bias"), [("siamese", 2.5), ("mean", 2.5), ("pooler", 0.0)])
def test_a_score_begins_at_the_mean_label_but_for_the_original(pooling: str, bias: float) -> None:
    features = Features.from_sequences(
        [[2, 3]] * 4, [2] * 4, {"target": np.array([1, 2, 3, 4], np.float32)}
    )
    model = AlbertForSequenceClassification(CONFIG, num_labels=1, pooling=pooling)
    train = TaskData(examples=[None] * 4, features=features)
    start_at_mean_label(model, TASKS["sts-b"], train)
    assert np.asarray(model.output_layer().output_bias).tolist() == [bias]
