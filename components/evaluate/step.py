"""Score a fine-tuned model on its task's dev set and write predictions."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics, find_manifest
from albert_core.checkpoints import read_checkpoint
from albert_core.files.atomic import hash_json, write_json
from albert_core.inference.baselines import BASELINES_NAME, WITHOUT_MODEL
from albert_core.inference.task_settings import read_declared_task
from albert_core.progress import ReportProgress, quiet
from albert_core.tasks import Task, task_fingerprint
from albert_core.tracking.config import NO_TRACKING, TrackingConfig
from albert_core.training.devices import StrategyName
from components.finetune.job import task_step_name
from components.tracked_step import TrackedStep

METRICS_NAME = "metrics.json"


def evaluate(
    *,
    model: str | Path,
    data: str | Path,
    output: str | Path,
    task: Task | None = None,
    albert_config: str | Path | None = None,
    vocab: str | Path | None = None,
    lower_case: bool | None = None,
    strip_accents: bool | None = None,
    work_root: str | Path | None = None,
    strategy: StrategyName = "auto",
    model_parallel_size: int = 1,
    tracking: TrackingConfig = NO_TRACKING,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Score a model, and publish metrics.json and its predictions on dev and test files.

    For a classification also its confusion matrix; for a model that was pretrained also the scores
    of simpler baselines, which learn from the training files. Test and training files may be
    missing. If `output` already holds this work, nothing is run. A process that another one leads,
    as its environment says, predicts along, publishes nothing, and waits until the leader has.

    Args:
        model: A fine-tuned checkpoint of any kind, local, gs:// or s3://: of `albert finetune`, of
            the original's scripts, or of Hugging Face.
        data: Folder of the task's files, local, gs:// or s3://.
        output: Folder to make, local, gs:// or s3://.
        task: The task, for a model whose folder declares none or another one.
        albert_config: The albert_config.json of a TensorFlow 1 checkpoint without one beside it.
        vocab: Vocabulary of the checkpoint, if not the one beside it.
        lower_case: Whether that vocabulary is for lower-cased text, if not as the files say.
        strip_accents: Whether it is for text without accents, if not as the files say.
        work_root: Folder of the work folders; beside `output` when not given.
        strategy: How devices share the work, as in fine-tuning; `auto` takes all there are.
        model_parallel_size: Devices that hold one copy of the weights together.
        tracking: Where the scores are tracked; as this process's environment says when off.
        progress: Called with messages about the work.

    Returns:
        The manifest of `output`, with the metrics rounded to 4 decimals; metrics.json has them
        whole. Where there is a baseline by TF-IDF, or for tags by each word's most frequent one,
        `without_model_score` is its score.

    Raises:
        InputError: An input is missing or unusable, the model is not one for the task, or `output`
            holds something else.
        StepFailedError: Another process has taken over this work; or a process that is led waited
            in vain for its leader.
        ServiceError: The storage failed.
    """
    places = {"model": model, "data": data}
    model, data = input_folder(model), input_folder(data)
    side_files: dict[str, Any] = {
        "config": albert_config,
        "vocab": vocab,
        "lower_case": lower_case,
        "strip_accents": strip_accents,
    }
    scored_task = task or read_declared_task(model)
    identity = _identify(model, side_files)
    declarations = {"declarations": identity.declarations} if identity.declarations else {}
    step = TrackedStep(
        name="evaluate",
        title=task_step_name("evaluate", scored_task.name, identity.initialization),
        settings={"task": scored_task.name, "initialization": identity.initialization},
        inputs={
            "model": identity.content_hash,
            "data": task_fingerprint(scored_task, data, needs_training=False),
            **declarations,
        },
        places=places,
        output=output,
        work_root=work_root,
        tracking=tracking,
        progress=progress,
    )

    def write_scores(results: Path, progress_folder: Path) -> Metrics:
        """Load and score the model; write metrics and predictions into `results`; return metrics.

        Baselines are scored only for pretrained weights. Called by `run_step`.
        """
        from albert_core.inference import load
        from albert_core.inference.evaluation import evaluate_splits

        with step.tracked(progress_folder) as tracker:
            scores = evaluate_splits(
                load(
                    model,
                    task=task,
                    precision="float32",  # so that scores depend on no machine's instructions
                    strategy=strategy,
                    model_parallel_size=model_parallel_size,
                    **side_files,
                ),
                data=data,
                results=results,
                # One set for each task is enough: the model from random weights is a baseline
                # itself.
                with_baselines=identity.initialization == "pretrained",
                progress=progress,
            )
            write_json(results / METRICS_NAME, scores)
            if baseline := read_baselines(results).get(WITHOUT_MODEL):
                scores = {**scores, "without_model_score": baseline["score"]}
            tracker.log_scores(scores)
        return {name: round(value, 4) for name, value in scores.items()}

    return step.run(write_scores)


def read_baselines(evaluation: Path) -> dict[str, dict[str, Any]]:
    """Return the scores of baselines in an evaluation's local folder, by name.

    Empty if it has no file of them. The names are `without_model` and `majority`; the values
    `method`, `score`, `low`, `high` and `num_train`, as `ScoredBaseline` has them.
    """
    path = evaluation / BASELINES_NAME
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


@dataclasses.dataclass(frozen=True)
class _Identity:
    """What tells a model from others.

    Attributes:
        content_hash: Hash of its manifest, or of architecture, weights and vocabulary.
        initialization: Whether its fine-tuning began from `random` weights.
        declarations: Hash of what its files say of its head and settings; empty if they say
            nothing, or if the manifest's hash tells it.
    """

    content_hash: str
    initialization: str
    declarations: str = ""


def _identify(model: Path, side_files: Mapping[str, Any]) -> _Identity:
    """Return the identity of a model: by its manifest where `albert finetune` wrote it.

    Any other model, and one that is read with other files than those beside it, is read for its
    `content_hash` and its declarations, and counts as pretrained.

    Args:
        model: The checkpoint.
        side_files: The keyword arguments of `read_checkpoint`; None where not given.

    Raises:
        InputError: The checkpoint or its manifest cannot be read.
        ServiceError: A side file is in a bucket, and the storage failed.
    """
    manifest = find_manifest(model)
    has_all_beside_it = all(value is None for value in side_files.values())
    if manifest is not None and manifest.step == "finetune" and has_all_beside_it:
        return _Identity(manifest.content_hash, manifest.config["initialization"])
    checkpoint = read_checkpoint(model, **side_files)
    # The task, its own or another one, is in the hash of the data.
    said = {name: value for name, value in checkpoint.declarations().items() if name != "task"}
    declarations = hash_json(said) if said else ""
    return _Identity(checkpoint.content_hash(), "pretrained", declarations)
