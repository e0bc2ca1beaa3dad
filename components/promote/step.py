"""Accept a pretrained model if it is better than the accepted one."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics, read_manifest
from albert_core.artifacts.step import run_step
from albert_core.files.atomic import write_json
from albert_core.progress import ReportProgress, quiet, report_message
from albert_core.storage import is_remote
from components.finetune.job import refuse_repeated_tasks
from components.promote.config import RetrainingConfig
from components.promote.decision import Promotion, decide
from components.promote.model_registry import (
    AcceptedModel,
    ComparableScore,
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

    To accept is to write into the registry `config.accepted`, before promotion.json is published. A
    model that is not better, or that an acceptance by another run has overtaken, does not fail the
    step. If `output` holds this decision already, nothing is done.

    Args:
        pretrained: Output of `albert pretrain`.
        address: Where later runs will find that folder: an absolute path, gs:// or s3://.
        evaluations: Outputs of `albert evaluate`; those from random weights do not count.
        accepted: The accepted model that pretraining started from; None if there was none.
        config: Folder of the accepted models, and the bounds.
        date: Date of the run, YYYY-MM-DD.
        title: Name of the run.
        output: Folder that receives promotion.json, local, gs:// or s3://; made here.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Called with what the step is doing.

    Returns:
        The manifest; its metrics are `promoted`, 0 or 1, and `mean_gain` where a task could be
        compared.

    Raises:
        InputError: An input is missing, damaged, another step's or the second of its task;
            `address` is in storage other than local, gs:// or s3://; the registry cannot be read or
            written, or another run accepted a model at the same moment; or `output` holds something
            else.
        StepFailedError: Another process has taken over this work.
        ServiceError: The storage failed.
    """
    is_remote(address)  # raises for other kinds of storage, which a later run could not read
    trained = read_manifest(input_folder(pretrained), step="pretrain")
    scored = [read_manifest(input_folder(folder), step="evaluate") for folder in evaluations]
    refuse_repeated_tasks("promote", [manifest.config for manifest in scored], evaluations)
    model = AcceptedModel(
        date=date,
        address=address,
        content_hash=trained.content_hash,
        run=title,
        scores=_scores(scored),
    )

    def write_decision(results: Path, _: Path) -> Metrics:
        """Decide, write promotion.json, accept the model if so decided; return the metrics.

        They are `promoted`, 0 or 1, and `mean_gain` where a task could be compared.
        """
        report_message(progress, "comparing")
        decision = decide(model.scores, accepted, config, date=date)
        promotion = _reject_if_superseded(decision, model, accepted, config.accepted)
        write_json(results / PROMOTION_NAME, dataclasses.asdict(promotion))
        # Before the step is published, since a published step is never run again: killed in
        # between, it would have decided for a model that is never accepted.
        if promotion.is_promoted:
            accept(config.accepted, model)
        gain = {} if promotion.mean_gain is None else {"mean_gain": round(promotion.mean_gain, 4)}
        return {"promoted": int(promotion.is_promoted), **gain}

    return run_step(
        "promote",
        config={"date": date, "title": title, "retraining": dataclasses.asdict(config)},
        inputs={
            "pretrained": trained.content_hash,
            **{f"evaluate {index}": manifest.content_hash for index, manifest in enumerate(scored)},
            **({"accepted": accepted.content_hash} if accepted else {}),
        },
        output=output,
        work_root=work_root,
        body=write_decision,
    )


def _scores(evaluations: Sequence[Manifest]) -> dict[str, ComparableScore]:
    """Return each task's first metric of the pretrained model, without those from random weights.

    Args:
        evaluations: Manifests of `albert evaluate`, one for each task and initialization.
    """
    scores = {}
    for manifest in evaluations:
        if manifest.config["initialization"] == "pretrained":
            metric = next(iter(manifest.metrics))  # the task's first metric
            scores[manifest.config["task"]] = ComparableScore(
                metric=metric, score=manifest.metrics[metric], data=manifest.inputs["data"]
            )
    return scores


def _reject_if_superseded(
    promotion: Promotion, model: AcceptedModel, accepted: AcceptedModel | None, folder: str
) -> Promotion:
    """Return the decision, or one against the model if the registry has changed during the run.

    It has changed if a model of a later date, or another one of this date, is accepted, or if the
    last model before this date is not `accepted` any more. The decision then has another `reason`,
    also where it was against the model before. An entry of this model's own date and content is no
    change.

    Args:
        promotion: The decision by scores.
        model: The new model.
        accepted: The model it was compared with, which was the last one when the run began.
        folder: Folder of the accepted models.

    Raises:
        InputError: The pointer of a model of this date is damaged, or the folder must not be read.
        ServiceError: The storage failed.
    """
    # Runs take hours, and runs of two dates may overlap: what was the last accepted model at the
    # start may no longer be it.
    dates = accepted_dates(folder)
    before = [date for date in dates if date < model.date]
    if model.date in dates:
        # The same model: this step was killed after it had accepted, and is being repeated.
        if read_accepted(folder, model.date).content_hash == model.content_hash:
            return promotion
        reason = f"another model of {model.date} is accepted already"
    elif dates and dates[-1] > model.date:
        reason = f"the model of {dates[-1]}, a later date, is accepted already"
    elif accepted and not before:
        reason = f"the model of {accepted.date}, which it was compared with, is accepted no more"
    elif before[-1:] != ([accepted.date] if accepted else []):
        reason = f"the model of {before[-1]} was accepted while this one was trained; run again"
    else:
        return promotion
    return dataclasses.replace(promotion, is_promoted=False, reason=reason)
