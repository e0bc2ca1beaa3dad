"""Read the summary of a run from the outputs of its steps."""

import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_core.artifacts.manifest import Manifest, OutputFolder
from albert_core.settings import parse_settings
from albert_core.settings.old_names import rename_metrics
from albert_core.training.history import read_history
from albert_core.training.log import read_log
from components.checkpoint.step import CHECKPOINT_NAME
from components.export.step import EXPORT_NAME, TaskExport
from components.finetune.job import task_step_name
from components.promote.decision import Promotion
from components.promote.step import PROMOTION_NAME
from components.records.job import records_step_names
from components.report.curves import thin_rows
from components.report.samples import fill_samples
from components.report.summary import Cost, ModelPaths, RunSummary, StepSummary
from components.report.task_summaries import summarise_tasks
from components.report.verdict import judge

_HOUR_S = 3600.0
_LOG_COLUMNS = (
    "loss",
    "masked_lm_accuracy",
    "replaced_token_accuracy",
    "sentence_order_accuracy",
)


def summarise(
    title: str,
    outputs: Mapping[str, Sequence[OutputFolder]],
    paths: ModelPaths | None = None,
) -> RunSummary:
    """Read the summary of a run from its artifacts; its time of creation is now.

    Loads the model if it was pretrained in the run, to fill masks with it.

    Args:
        title: Name of the run.
        outputs: Outputs by step, with all keys that `write_report` makes; one of `checkpoint`
            alone, or one each of `vocab` and `pretrain` and at least one of `records` (the last one
            is reported); and as many of `finetune` as of `evaluate`.
        paths: Where the page's commands find the models; by default in the folder of a run.

    Raises:
        InputError: What the step `export` or `promote` wrote has other fields than this version's.
        OSError: A file of an output is missing or cannot be read.
        ValueError: A file of an output is not JSON.
    """
    paths = paths or ModelPaths()
    summary = RunSummary(
        title=title,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        steps=[
            _step_summary(name, manifest)
            for step, manifests in _manifests(outputs).items()
            for name, manifest in zip(step_names(step, manifests), manifests, strict=True)
        ],
        **_summarise_start(outputs),
        tasks=summarise_tasks(outputs["finetune"], outputs["evaluate"], paths.tasks),
        exports=[
            parse_settings(TaskExport, values, source=str(folder))
            for folder, _ in outputs["export"]
            for values in _read_json(folder / EXPORT_NAME)["models"]
        ],
        promotion=next((_read_promotion(folder) for folder, _ in outputs["promote"]), None),
        pretrained_path=paths.pretrained,
    )
    return dataclasses.replace(summary, verdict=judge(summary))


def _manifests(outputs: Mapping[str, Sequence[OutputFolder]]) -> dict[str, list[Manifest]]:
    """Return the manifests of outputs by step, in their order."""
    return {step: [output.manifest for output in outputs[step]] for step in outputs}


def _summarise_start(outputs: Mapping[str, Sequence[OutputFolder]]) -> dict[str, Any]:
    """Return a `RunSummary`'s values for a checkpoint, or for vocabulary, records, pretraining.

    A pretrained model is loaded, to fill masks with it; a checkpoint is not. If there are records
    of several lengths, the last are described.

    Args:
        outputs: Outputs by step, as `summarise` takes them.
    """
    if outputs["checkpoint"]:
        return {"checkpoint": _read_json(outputs["checkpoint"][0].folder / CHECKPOINT_NAME)}
    vocab, records, pretrained = (
        outputs[step][-1].folder for step in ("vocab", "records", "pretrain")
    )
    manifests = _manifests(outputs)
    return {
        "vocabulary": rename_metrics(_read_json(vocab / "vocab_report.json")),
        "records": rename_metrics(_read_json(records / "records_report.json")),
        "pretraining_history": read_history(pretrained),
        "most_frequent_fraction": manifests["records"][-1].metrics["most_frequent_fraction"],
        "pretraining_log": thin_rows(read_log(pretrained), _LOG_COLUMNS),
        "filled_samples": fill_samples(pretrained, records),
        "cost": _cost(manifests["pretrain"][0], manifests["export"]),
    }


def step_names(step: str, manifests: Sequence[Manifest]) -> list[str]:
    """Return the names of a step's runs as people read them, for example `finetune cola`.

    Args:
        step: Name of the step.
        manifests: Manifests of all its runs; the names come in their order.
    """
    configs = [manifest.config for manifest in manifests]
    if step == "records":
        return records_step_names([config["records"]["sequence_length"] for config in configs])
    return [
        task_step_name(step, config["task"], config["initialization"]) if "task" in config else step
        for config in configs
    ]


def _step_summary(name: str, manifest: Manifest) -> StepSummary:
    """Return a step's time, metrics, configuration and code version, from its manifest."""
    return StepSummary(
        name=name,
        seconds=manifest.seconds,
        metrics=manifest.metrics,
        config=manifest.config,
        code_version=manifest.code_version,
        environment=manifest.environment,
    )


def _cost(pretrained: Manifest, exported: Sequence[Manifest]) -> Cost | None:
    """Return time, price and energy of a pretraining; None if its speed is not known.

    Price and power are those that the settings of the first export give for the card; if they have
    the measured energy, none is estimated from the power.
    """
    speed = pretrained.metrics.get("tokens_per_second")
    if not speed:
        return None
    hours = pretrained.metrics["num_tokens"] / speed / _HOUR_S
    card = exported[0].config.get("card", {}) if exported else {}
    price, watts, measured = (card.get(name) for name in ("price_per_hour", "watts", "energy_kwh"))
    estimated = None if watts is None else hours * watts / 1000
    return Cost(
        hours=hours,
        price=None if price is None else hours * price,
        currency=card.get("currency", ""),
        energy_kwh=estimated if measured is None else measured,
        is_measured=measured is not None,
    )


def _read_promotion(folder: Path) -> Promotion:
    """Read the decision in an output of the step `promote`.

    Raises:
        InputError: It has other fields than this version's.
        OSError: The file is missing or cannot be read.
        ValueError: It is not JSON.
    """
    path = folder / PROMOTION_NAME
    return parse_settings(Promotion, _read_json(path), source=str(path))


def _read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds a JSON object; that it is one is not checked.

    A file that is missing raises OSError, one that is no JSON ValueError.
    """
    return json.loads(path.read_text(encoding="utf-8"))
