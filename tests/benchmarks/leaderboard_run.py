"""The row of docs/leaderboard.json that a finished run gives, from its own files."""

import dataclasses
import datetime
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.artifacts.manifest import MANIFEST_NAME, Manifest, code_version
from albert_core.config import CONFIG_NAME, AlbertConfig
from albert_core.errors import InputError
from albert_core.places.outputs import RUN_CONFIG_NAME, StepOutput, find_outputs
from albert_core.places.scores import SCORES_NAME
from albert_core.settings.yaml_text import load_yaml
from components.export.card.recorded_pretraining import pretraining_flops
from tests.benchmarks.leaderboard_rows import ROOT, Row, TaskFigures


def row_from_run(run: Path, like: Row) -> Row:
    """Return the row of a finished run, from its scores.json and the manifests of its steps.

    Args:
        run: The run's folder.
        like: The row that the run repeats; name, budget, options and data are taken from it.

    Raises:
        InputError: The run has no pretrained model or no scores, or a manifest cannot be read.
    """
    outputs = find_outputs(run)
    pretrained = outputs.pretrained
    if pretrained is None or pretrained.manifest.step != "pretrain":
        raise InputError(f"{run}: got no output of pretraining, expected a finished run from text")
    metrics = pretrained.manifest.metrics
    scores = json.loads((run / SCORES_NAME).read_text(encoding="utf-8"))["tasks"]
    records = [one.manifest for one in outputs.records.values()]
    architecture = AlbertConfig.from_json_file(Path(pretrained.folder) / CONFIG_NAME)
    flop = pretraining_flops(pretrained.manifest, records, architecture)
    hours = metrics["num_tokens"] / metrics["tokens_per_second"] / 3600
    return dataclasses.replace(
        like,
        date=_day_of(Path(pretrained.folder)),
        commit=_commit(pretrained.manifest),
        command=f"make leaderboard ROW={like.name}",
        hardware=_hardware(pretrained),
        minutes=round(60 * hours, 1),
        flop=float(f"{flop:.2e}"),
        price=_price(run, hours),
        masked_lm=_points(metrics.get("masked_lm_accuracy")),
        mask_token=_points(metrics.get("masked_lm_mask_token_accuracy")),
        masks=metrics.get("masking", ""),
        sentence_order=_points(metrics.get("sentence_order_accuracy")),
        tasks={one["task"]: _task_figures(one) for one in scores if one["score"] is not None},
        source="",
    )


def _task_figures(score: Mapping[str, Any]) -> TaskFigures:
    """Return the figures of a task of scores.json, the means over the seeds."""
    return TaskFigures(
        metric=score["metric"],
        num_seeds=score["num_seeds"],
        score=_points(score["mean"]) or 0.0,
        std=_points(score["std"]),
        random_weights=_points(score["random_weights_mean"]),
        random_weights_std=_points(score["random_weights_std"]),
        without_model=_points(score["without_model"]),
        majority=_points(score["majority"]),
        probe=_points(score["probe"]),
        probe_random_weights=_points(score["probe_random_weights"]),
    )


def _points(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 1)


def _day_of(folder: Path) -> str:
    """Return the day on which an output was written, as YYYY-MM-DD (UTC)."""
    written = (folder / MANIFEST_NAME).stat().st_mtime
    return datetime.datetime.fromtimestamp(written, datetime.UTC).date().isoformat()


def _commit(manifest: Manifest) -> str:
    """Return the repository's commit, with `+` if files have changed.

    Empty outside of Git, and if other sources than those that are here made the output.
    """
    if manifest.code_version != code_version():
        return ""
    command = ("git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude", "*")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _hardware(pretrained: StepOutput) -> str:
    """Return the machine of a pretraining in words, with its accelerators."""
    machine = pretrained.manifest.environment
    devices = str(pretrained.manifest.metrics.get("strategy", ""))
    cores = f"{machine.get('num_cores', '?')} cores of {machine.get('processor', 'unknown')}"
    return cores if not devices or "CPU" in devices else f"{devices}; {cores}"


def _price(run: Path, hours: float) -> str:
    """Return the price of some hours by `export.card.price_per_hour`; empty without it."""
    path = run / RUN_CONFIG_NAME
    values = load_yaml(path.read_bytes(), source=str(path))
    card = (values.get("export") or {}).get("card") or {}
    per_hour = card.get("price_per_hour")
    return "" if per_hour is None else f"{hours * per_hour:.2f} {card.get('currency', '')}".strip()
