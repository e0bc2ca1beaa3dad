"""Accept a model if it is better than the one before."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics, read_manifest
from albert_core.artifacts.step import run_step
from albert_core.files import write_json
from albert_core.progress import ReportProgress, quiet
from albert_core.storage import is_remote
from components.promote.config import RetrainingConfig
from components.promote.decision import Promotion, judge
from components.promote.model_registry import (
    AcceptedModel,
    TaskScore,
    accept,
    accepted_dates,
    read_accepted,
)

PROMOTION_NAME = "promotion.json"


def promote(
    *,
    pretrained: str | Path,
    address: str,
    evaluations: Sequence[str | Path],
    accepted: AcceptedModel | None,
    config: RetrainingConfig,
    date: str,
    title: str,
    output: str | Path,
    work_root: str | Path | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Compare a model with the accepted one, publish promotion.json, and accept it if better.

    The pointer to it is written last. A model that is not better is no failure.

    Args:
        pretrained: Output of `albert pretrain`.
        address: Where later runs will find that folder: an absolute path or gs://.
        evaluations: Outputs of `albert evaluate`; those from random weights do not count.
        accepted: The model that pretraining went on from; None if there was none.
        config: Where the accepted models are, and what is better.
        date: Date of the run, YYYY-MM-DD.
        title: Name of the run.
        output: Folder to make.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Told what it is doing.

    Raises:
        InputError: An input is missing or another step's, or another run was faster.
    """
    is_remote(address)  # refuses other kinds of storage
    trained = read_manifest(input_folder(pretrained), step="pretrain")
    scored = [read_manifest(input_folder(folder), step="evaluate") for folder in evaluations]
    model = AcceptedModel(
        date=date,
        address=address,
        content_hash=trained.content_hash,
        run=title,
        scores=_scores(scored),
    )

    def body(results: Path, _: Path) -> Metrics:
        progress(0, 0, "comparing")
        judged = judge(model.scores, accepted, config, date=date)
        promotion = _unless_overtaken(judged, model, accepted, config.accepted)
        write_json(results / PROMOTION_NAME, dataclasses.asdict(promotion))
        if promotion.is_promoted:
            accept(config.accepted, model)
        gain = {} if promotion.mean_gain is None else {"mean_gain": round(promotion.mean_gain, 4)}
        return {"promoted": int(promotion.is_promoted), **gain}

    return run_step(
        "promote",
        config={"date": date, "title": title, "retraining": dataclasses.asdict(config)},
        inputs={
            "pretrained": trained.content_hash,
            **{f"evaluate {index}": one.content_hash for index, one in enumerate(scored)},
            **({"accepted": accepted.content_hash} if accepted else {}),
        },
        output=output,
        work_root=work_root,
        body=body,
    )


def _scores(evaluations: Sequence[Manifest]) -> dict[str, TaskScore]:
    scores = {}
    for manifest in evaluations:
        if manifest.config["initialization"] == "pretrained":
            metric = next(iter(manifest.metrics))
            scores[manifest.config["task"]] = TaskScore(
                metric=metric, score=manifest.metrics[metric], data=manifest.inputs["data"]
            )
    return scores


def _unless_overtaken(
    promotion: Promotion, model: AcceptedModel, accepted: AcceptedModel | None, folder: str
) -> Promotion:
    """Refuse a model that was not compared with the last accepted one, or has a rival."""
    dates = accepted_dates(folder)
    before = [date for date in dates if date < model.date]
    if model.date in dates:
        if read_accepted(folder, model.date).content_hash == model.content_hash:
            return promotion
        reason = f"another model of {model.date} is accepted already"
    elif dates and dates[-1] > model.date:
        reason = f"the model of {dates[-1]}, a later date, is accepted already"
    elif before[-1:] != ([accepted.date] if accepted else []):
        reason = f"the model of {before[-1]} was accepted while this one was trained; run again"
    else:
        return promotion
    return dataclasses.replace(promotion, is_promoted=False, reason=reason)
