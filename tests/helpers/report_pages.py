"""The summary of a made-up run, and a reader of its report."""

import dataclasses
from html.parser import HTMLParser
from typing import Any

from components.report.significance import Difference
from components.report.summary import RunSummary, StepSummary, TaskSummary

HOSTILE = "<script>alert('&\"')</script>"
VOID = {"meta", "br", "img", "link", "hr", "input"}


class Page(HTMLParser):
    """Reads a page, requires that every element is closed in order, and keeps what tests ask."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style" and data.strip():
            self.texts.append(data.strip())


def make_difference(baseline: str, score: float, other: float) -> Difference:
    gain = score - other
    return Difference(
        baseline=baseline,
        method=baseline,
        score=other,
        gain=gain,
        low=gain - 0.02,
        high=gain + 0.02,
        is_paired=True,
    )


def make_task(name: str, **changes: Any) -> TaskSummary:
    task = TaskSummary(
        name=name,
        metric="accuracy",
        score=0.7834,
        random_weights_score=0.6612,
        majority_score=0.5104,
        metrics={"accuracy": 0.7834},
        num_train=12044,
        num_dev=1320,
        history=[{"global_step": step, "accuracy": 0.5 + step / 1000} for step in (100, 200)],
        random_weights_history=[{"global_step": 200, "accuracy": 0.6612}],
        model_path=f"models/{name}",
    )
    task = dataclasses.replace(task, **changes)
    if "differences" in changes:
        return task
    others = {
        "random_weights": task.random_weights_score,
        "without_model": task.without_model_score,
        "majority": task.majority_score,
    }
    return dataclasses.replace(
        task,
        differences=[
            make_difference(name, task.score, other)
            for name, other in others.items()
            if other is not None
        ],
    )


def make_step(name: str, seconds: float = 12.5) -> StepSummary:
    config = {"seed": 1, "optimizer": {"learning_rate": 0.00176}, "checkpoint": None}
    return StepSummary(
        name=name,
        seconds=seconds,
        metrics={"num_things": 7},
        config=config,
        code_version="9f31c02ab77e",
    )


def make_run(**changes: Any) -> RunSummary:
    run = RunSummary(
        title="a small run",
        created="2026-11-03T12:41:07+00:00",
        steps=[make_step("vocab"), make_step("records"), make_step("pretrain", seconds=3725.0)],
        vocabulary={
            "vocab_size": 4000,
            "unknown_fraction": 0.000213,
            "examples": [{"text": "Large values.", "pieces": ["▁large", "▁value", "s", "."]}],
        },
        records={"sequence_length": 128, "num_train_records": 88012, "padding_fraction": 0.0613},
        pretraining_history=[
            {
                "global_step": step,
                "seconds": step / 10,
                "train_loss": 8.25 - step / 1000,
                "train_masked_lm_accuracy": 0.11,
                "masked_lm_accuracy": step / 5000,
                "masked_lm_loss": 6.5,
                "sentence_order_accuracy": 0.625,
                "sentence_order_loss": 0.61,
                "loss": 8.375 - step / 1000,
            }
            for step in (1000, 2000)
        ],
        most_frequent_fraction=0.0523,
        tasks=[
            make_task("docs-package"),
            make_task(
                "cola",
                metric="matthews_correlation",
                score=0.187,
                random_weights_score=None,
                majority_score=0.0,
                metrics={"matthews_correlation": 0.187, "f1": 0.654},
                history=[{"global_step": 50, "matthews_correlation": 0.187}],
                random_weights_history=(),
            ),
        ],
    )
    return dataclasses.replace(run, **changes)
