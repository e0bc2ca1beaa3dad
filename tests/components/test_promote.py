"""Which models are accepted: better ones, compared on the same data, each date once."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from albert_core.artifacts.step import run_step
from albert_core.errors import InputError
from albert_core.settings import parse_settings
from components.promote.config import RetrainingConfig
from components.promote.decision import Promotion, decide
from components.promote.model_registry import (
    AcceptedModel,
    ComparableScore,
    accepted_before,
    accepted_dates,
)
from components.promote.step import promote


def scores_of(data: str = "d", **scores: float) -> dict[str, ComparableScore]:
    return {
        task: ComparableScore(metric="accuracy", score=score, data=data)
        for task, score in scores.items()
    }


def accepted_with(**scores: float) -> AcceptedModel:
    return AcceptedModel(
        date="2026-11-01", address="/m", content_hash="h", run="r", scores=scores_of(**scores)
    )


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ({"cola": 0.5}, {"cola": 0.501}, ""),
        ({"cola": 0.5}, {"cola": 0.5009}, "mean gain +0.09, at least +0.10 is needed"),
        ({"cola": 0.5, "rte": 0.6}, {"cola": 0.58, "rte": 0.58}, ""),
        (
            {"cola": 0.5, "rte": 0.6},
            {"cola": 0.7, "rte": 0.57},
            "rte changed by -3.00, at most -2.00",
        ),
        ({"cola": 0.5, "rte": 0.6}, {"cola": 0.4, "rte": 0.5}, "cola changed by -10.00"),
        ({"cola": 0.5}, {"cola": 0.6, "rte": 0.1}, ""),
        ({"cola": 0.5}, {"rte": 0.9}, "no task has the data"),
    ],
)
def test_a_model_is_accepted_if_the_mean_gains_and_no_task_loses_much(before, after, reason):
    accepted = accepted_with(**before)
    decision = decide(scores_of(**after), accepted, RetrainingConfig(), date="2026-11-02")
    assert decision.is_promoted == (not reason)
    assert reason in decision.reason


def test_a_decision_is_read_back_as_it_was_written():
    decision = decide(
        scores_of(cola=0.6, rte=0.7), accepted_with(cola=0.5), RetrainingConfig(), date="2026-11-02"
    )
    values = json.loads(json.dumps(dataclasses.asdict(decision)))
    assert parse_settings(Promotion, values, source="the test") == decision


def test_scores_on_other_data_are_not_compared():
    decision = decide(
        scores_of("other", cola=0.9), accepted_with(cola=0.5), RetrainingConfig(), date="2026-11-02"
    )
    assert not decision.is_promoted
    assert decision.comparisons[0].accepted_score is None


def test_impossible_bounds_are_refused():
    with pytest.raises(InputError, match=r"retraining.min_gain: got 2, expected 0 to 1"):
        RetrainingConfig(min_gain=2)


@pytest.mark.parametrize("bound", ["min_gain", "max_loss"])
def test_bounds_without_a_model_to_compare_with_are_refused(bound):
    with pytest.raises(InputError, match=rf"retraining.{bound}: got 0.1 without retraining.acc"):
        RetrainingConfig(**{bound: 0.1})
    RetrainingConfig(**{bound: 0.1}, accepted="gs://bucket/accepted")


def finish_step(step: str, folder: Path, metrics: dict[str, float], **config: str) -> Path:
    """Make a finished step's folder with metrics, as the step itself would leave it."""

    def body(results: Path, _: Path) -> dict[str, float]:
        (results / "file").write_text(str(folder))
        return metrics

    run_step(step, config=config, inputs={"data": "d"}, output=folder, body=body)
    return folder


@pytest.fixture
def run_on(tmp_path):
    """Promote a model of a date with a score on one task."""

    def run(date: str, score: float, name: str = "", **changes: Any) -> dict[str, Any]:
        folder = tmp_path / (name or date)
        accepted = str(tmp_path / "accepted")
        options = {"accepted": accepted_before(accepted, date), **changes}
        of_task = {"task": "cola", "initialization": "pretrained"}
        of_baseline = {"task": "cola", "initialization": "random"}
        promote(
            pretrained=finish_step("pretrain", folder / "model", {}),
            address=str(folder / "model"),
            evaluations=[
                finish_step(
                    "evaluate", folder / "scores", {"accuracy": score, "low": 0}, **of_task
                ),
                finish_step("evaluate", folder / "baseline", {"accuracy": 1.0}, **of_baseline),
            ],
            config=RetrainingConfig(accepted=accepted),
            date=date,
            title="news",
            output=folder / "promotion",
            **options,
        )
        return json.loads((folder / "promotion" / "promotion.json").read_text())

    return run


def test_dates_are_promoted_and_refused_one_after_the_other(run_on, tmp_path):
    assert run_on("2026-11-01", 0.5)["reason"] == "the first model"
    assert run_on("2026-11-02", 0.6)["is_promoted"]
    refused = run_on("2026-11-03", 0.55)
    assert not refused["is_promoted"]
    (comparison,) = refused["comparisons"]
    assert comparison == {
        "task": "cola",
        "metric": "accuracy",
        "score": 0.55,
        "accepted_score": 0.6,
    }
    assert accepted_dates(str(tmp_path / "accepted")) == ["2026-11-01", "2026-11-02"]
    pointer = json.loads((tmp_path / "accepted" / "accepted.json").read_text())
    assert pointer["address"] == str(tmp_path / "2026-11-02" / "model")


def test_a_date_has_one_accepted_model(run_on):
    run_on("2026-11-01", 0.5)
    rival = run_on("2026-11-01", 0.9, name="rival")
    assert rival["reason"] == "another model of 2026-11-01 is accepted already"
    assert not rival["is_promoted"]


def test_a_model_that_was_superseded_is_not_accepted(run_on):
    run_on("2026-11-02", 0.5)
    before = run_on("2026-11-01", 0.9)
    assert "2026-11-02, a later date, is accepted already" in before["reason"]
    beside = run_on("2026-11-03", 0.9, accepted=None)
    assert "the model of 2026-11-02 was accepted while this one was trained" in beside["reason"]
    assert not before["is_promoted"]
    assert not beside["is_promoted"]


def test_two_scores_of_one_task_are_refused(run_on, tmp_path):
    run_on("2026-11-01", 0.5)
    folder = tmp_path / "2026-11-01"
    with pytest.raises(InputError, match=r"promote: got .*scores and .*scores, both of task cola,"):
        promote(
            pretrained=folder / "model",
            address=str(folder / "model"),
            evaluations=[folder / "scores", folder / "baseline", folder / "scores"],
            accepted=None,
            config=RetrainingConfig(accepted=str(tmp_path / "accepted")),
            date="2026-11-02",
            title="news",
            output=tmp_path / "out",
        )


def test_a_model_in_other_storage_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected a local path or gs://"):
        promote(
            pretrained=tmp_path,
            address="minio://bucket/model",
            evaluations=[],
            accepted=None,
            config=RetrainingConfig(accepted=str(tmp_path)),
            date="2026-11-01",
            title="news",
            output=tmp_path / "out",
        )


def test_a_model_compared_with_one_that_is_accepted_no_more_is_not_accepted(run_on, tmp_path):
    run_on("2026-11-01", 0.5)
    accepted = accepted_before(str(tmp_path / "accepted"), "2026-11-02")
    shutil.rmtree(tmp_path / "accepted")
    decision = run_on("2026-11-02", 0.9, accepted=accepted)
    assert not decision["is_promoted"]
    assert "the model of 2026-11-01, which it was compared with, is" in decision["reason"]


def test_a_changed_score_of_an_accepted_model_is_noticed(run_on, tmp_path):
    run_on("2026-11-01", 0.5)
    path = tmp_path / "accepted/history/2026-11-01.json"
    path.write_text(path.read_text().replace('"score": 0.5', '"score": 0.1'))
    with pytest.raises(InputError, match=r"2026-11-01\.json: damaged .*its checksum differs"):
        run_on("2026-11-02", 0.4)
