"""The verdict says what the numbers say, and advises what follows from the curves."""

import dataclasses
from typing import Any

import pytest

from components.report.summary import RunSummary, TaskSummary
from components.report.verdict import judge
from tests.helpers.report_pages import make_difference, make_run, make_step, make_task


def task(random: float | None, words: float | None, **changes: Any) -> TaskSummary:
    return make_task(
        "topic", random_weights_score=random, without_model_score=words, score=0.7, **changes
    )


@pytest.mark.parametrize(
    ("random", "words", "answer"),
    [
        (0.6, 0.6, "Pretraining paid: +10.0 points over random weights and over TF-IDF."),
        (0.6, 0.7, "Pretraining paid: +10.0 points over random weights; over TF-IDF"),
        (0.6, 0.8, "Pretraining helped, but the model is not worth its cost yet: TF-IDF"),
        (0.69, 0.6, "It is not shown that pretraining paid"),
        (0.8, 0.6, "Pretraining did not pay: random weights score better."),
    ],
)
def test_answers_in_words(random: float | None, words: float | None, answer: str) -> None:
    verdict = judge(make_run(tasks=[task(random, words)]))
    assert verdict.question == "Did pretraining pay?"
    assert verdict.answer.startswith(answer)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (0.6, "Yes: +10.0 points over TF-IDF without a model."),
        (0.8, "No: TF-IDF without a model scores better; −10.0 points."),
        (0.7, "Not shown: the difference from TF-IDF without a model is within chance."),
        (None, "Yes: +19.0 points over always giving the majority's answer."),
    ],
)
def test_without_random_weights_it_is_not_asked_whether_pretraining_paid(
    words: float | None, answer: str
) -> None:
    run = make_run(tasks=[task(None, words)], checkpoint={"size": "base"})
    verdict = judge(run)
    assert verdict.question == "Is the model better than simpler ways?"
    assert verdict.answer.startswith(answer)
    assert verdict.answer.endswith(
        "What pretraining brings to fine-tuning was not measured: no task was fine-tuned from "
        "random weights."
    )
    assert "pretraining pa" not in " ".join(verdict.reasons)


def test_a_comparison_without_an_interval_is_not_judged() -> None:
    alone = dataclasses.replace(make_difference("majority", 0.7, 0.5), low=None, high=None)
    verdict = judge(make_run(tasks=[task(None, None, differences=[alone])]))
    assert verdict.answer.startswith("Not known: +20.0 points over always")


def test_tasks_are_told_one_by_one_and_together() -> None:
    verdict = judge(make_run(tasks=[task(0.6, 0.8), dataclasses.replace(task(0.6, 0.6), name="b")]))
    assert verdict.tasks["topic"].startswith(
        "70.0 is better than random weights with the same head (60.0): +10.0 points (95 % interval "
        "+8.0 to +12.0); worse than the words alone (TF-IDF) (80.0): −10.0 points"
    )
    assert "on average 0.0 points" in verdict.reasons[1]
    assert "better in 1 of 2 tasks, worse in 1, within chance in 0" in verdict.reasons[1]
    assert judge(make_run(tasks=())).answer == "Not known: no task was fine-tuned."


def pretrained_run(losses: list[float], **row: Any) -> RunSummary:
    history = [
        {
            "global_step": 100 * (n + 1),
            "loss": loss,
            "train_loss": loss - 0.1,
            "masked_lm_accuracy": 0.3,
            **row,
        }
        for n, loss in enumerate(losses)
    ]
    settings = {"num_train_steps": 300, "learning_rate": 0.008, "phases": []}
    step = dataclasses.replace(
        make_step("pretrain"), config={"pretraining": settings}, metrics={"num_epochs": 3.0}
    )
    return make_run(pretraining_history=history, steps=[step], tasks=())


def advice(run: RunSummary) -> dict[str, str]:
    return {one.action.split(":")[0].split(",")[0]: one.setting for one in judge(run).advice}


def test_a_loss_that_still_falls_wants_longer_pretraining() -> None:
    assert advice(pretrained_run([6.0, 5.0, 4.0])) == {
        "Pretrain longer": "--pretraining.num_train_steps 600"
    }
    assert "Pretrain longer" not in advice(pretrained_run([6.0, 4.01, 4.0]))


def test_a_model_that_learned_nothing_wants_another_rate() -> None:
    assert advice(pretrained_run([6.0, 5.0, 4.0], masked_lm_accuracy=0.06)) == {
        "Change the learning rate": "--pretraining.learning_rate 0.004"
    }


def test_a_model_that_knows_its_text_by_heart_wants_more_text() -> None:
    assert list(advice(pretrained_run([6.0, 5.0, 4.0], train_loss=3.0))) == ["Add text"]


def test_one_evaluation_alone_says_nothing_about_the_course() -> None:
    assert advice(pretrained_run([4.0], train_loss=None)) == {}
    assert "Pretrain longer" in advice(pretrained_run([6.0, 5.0, 4.0], train_loss=None))


def test_advice_for_tasks() -> None:
    short = task(0.6, 0.8, num_train=900, interval=(0.66, 0.74))
    rising = dataclasses.replace(
        short, history=[{"global_step": n, "accuracy": 0.5 + n / 10} for n in (1, 2)]
    )
    actions = advice(make_run(tasks=[rising], pretraining_history=()))
    assert "Fine-tune longer on topic" in actions
    assert "Collect more training examples for topic (900)." in actions
    assert "Do not read small differences on topic" in actions
    assert "Until then" in actions
    assert "Use it" not in actions
    falling = dataclasses.replace(
        rising, history=[{"global_step": n, "accuracy": 0.9 - n / 10} for n in (1, 2)]
    )
    assert any("lower rate" in one.action for one in judge(make_run(tasks=[falling])).advice)


def test_a_task_on_positions_that_were_never_trained_is_named_with_the_remedy() -> None:
    step = dataclasses.replace(
        make_step("finetune rte"),
        config={"task": "rte", "finetuning": {"sequence_length": 128}},
        metrics={"num_beyond_pretraining": 1200, "trained_sequence_length": 64},
    )
    advised = judge(make_run(steps=[step], tasks=(), pretraining_history=())).advice[0]
    assert advised.action.startswith("Pretrain on 128 tokens (records.sequence_length, or a last")
    assert "fine-tune rte on 64" in advised.action
    assert "1,200 training sequences of rte are longer" in advised.reason
    assert advised.setting == "--finetuning.sequence_length 64"


def test_a_task_whose_examples_lose_their_ends_is_named_with_the_length_they_need() -> None:
    step = dataclasses.replace(
        make_step("finetune topic"),
        config={"task": "topic", "finetuning": {"sequence_length": 64}},
        metrics={
            "num_train": 2036,
            "num_truncated": 1998,
            "sequence_length_for_95_percent": 241,
        },
    )
    advised = judge(make_run(steps=[step], tasks=(), pretraining_history=())).advice[0]
    assert "topic on longer sequences" in advised.action
    assert "1,998 of 2,036 training examples are longer than" in advised.reason
    assert "would fit into 241 tokens" in advised.reason


def test_a_model_above_all_baselines_is_to_be_used() -> None:
    assert advice(make_run(tasks=[task(0.6, 0.6)]))["Use it"] == "albert predict models/topic FILE"
    unknown = task(
        0.6,
        0.6,
        differences=[
            dataclasses.replace(make_difference("majority", 0.7, 0.5), low=None, high=None)
        ],
    )
    assert "Use it" not in advice(make_run(tasks=[unknown]))


def test_a_missing_baseline_is_named() -> None:
    assert "--random_weights_baseline true" in advice(make_run(tasks=[task(None, 0.6)])).values()
