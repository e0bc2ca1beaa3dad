"""The fine-tuning program: features, model, optimizer, `fit`, best weights by the dev metric."""

import dataclasses
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig, Initialization
from albert_core.finetuning.features import (
    Features,
    batches_in_epoch,
    evaluation_batches,
    make_features,
    training_batches,
)
from albert_core.model import (
    AlbertForSequenceClassification,
    load_weights,
    read_weights,
)
from albert_core.model.weights import WEIGHTS_NAME
from albert_core.optimization import make_optimizer
from albert_core.pretraining.config import CONFIG_NAME, HISTORY_NAME
from albert_core.runs.manifest import Figures
from albert_core.runs.progress import ReportProgress, quiet
from albert_core.tasks import (
    Task,
    compute_metrics,
    constant_prediction_score,
    read_examples,
)
from albert_core.tokenization import Tokenizer, load_tokenizer
from albert_core.training.loop import BEST_NAME, best_row, fit_resumably
from albert_core.training.plan import TrainingPlan
from albert_core.training.safeguards import SafeguardConfig

_EVALUATION_BATCH_SIZE = 64


def run_finetuning(
    *,
    task: Task,
    data: Path,
    pretrained: Path,
    initialization: Initialization,
    config: FinetuningConfig,
    results: Path,
    checkpoints: Path,
    progress: ReportProgress = quiet,
) -> Figures:
    """Fine-tune on a task and write the best model into `results`.

    Args:
        task: The task.
        data: Folder of its files.
        pretrained: A folder that `albert pretrain` wrote.
        initialization: `pretrained`, or `random` weights of the same architecture, as a baseline.
        config: How to train.
        results: Receives configuration, weights, vocabulary, task.json and metrics.jsonl.
        checkpoints: Keeps the checkpoints; a killed run continues from the newest.
        progress: Told how far it is.

    Returns:
        The best dev metrics, the majority baseline, and the sizes of the sets.
    """
    keras.utils.set_random_seed(config.seed)
    tokenizer = load_tokenizer(pretrained)
    model = _new_model(task, pretrained, config)
    if initialization == "pretrained":
        arrays = read_weights(pretrained / WEIGHTS_NAME)
        load_weights(model, arrays, prefix="bert/", source=str(pretrained))
    train = make_features(read_examples(task, data, "train"), tokenizer, config.sequence_length)
    dev = make_features(read_examples(task, data, "dev"), tokenizer, config.sequence_length)
    plan = _plan(config, task, len(train))
    model.compile(
        optimizer=make_optimizer(
            config.optimizer,
            learning_rate=config.learning_rate,
            num_train_steps=plan.num_train_steps,
            num_warmup_steps=int(config.warmup_share * plan.num_train_steps),
        ),
        jit_compile=False,  # batches differ in length; XLA would compile every length
    )
    state = fit_resumably(
        model,
        batches_from=lambda step: training_batches(
            train, config.batch_size, seed=config.seed, start_step=step
        ),
        evaluate=lambda _: compute_metrics(task, predict(model, dev), targets_of(dev)),
        plan=plan,
        folder=checkpoints,
        progress=progress,
        safeguards=SafeguardConfig(spike_ratio=0.0),  # losses near 0 jump by large ratios
    )
    best = best_row(state.history, plan.monitor)
    _write_results(results, model, tokenizer, task, state.history, checkpoints)
    return {
        **{name: round(best[name], 4) for name in task.metrics},
        "global_step": best["global_step"],
        "majority_score": round(
            constant_prediction_score(task, targets_of(train), targets_of(dev)), 4
        ),
        "num_train": len(train),
        "num_dev": len(dev),
    }


def evaluate_model(
    *, folder: Path, task: Task, data: Path, sequence_length: int
) -> tuple[dict[str, float], np.ndarray, np.ndarray | None]:
    """Score a fine-tuned model on the dev set and predict the test set, if there is one.

    Args:
        folder: A folder that `albert finetune` wrote.
        task: Its task.
        data: Folder of the task's files.
        sequence_length: Longest input in pieces.

    Returns:
        The dev metrics, the dev outputs [N, C], and the test outputs or None.
    """
    tokenizer = load_tokenizer(folder)
    config = AlbertConfig.from_json_file(folder / CONFIG_NAME)
    model = AlbertForSequenceClassification(config, num_labels=task.num_outputs)
    load_weights(model, read_weights(folder / WEIGHTS_NAME), source=str(folder))
    model.compile(jit_compile=False)
    dev = make_features(read_examples(task, data, "dev"), tokenizer, sequence_length)
    dev_outputs = predict(model, dev)
    test_outputs = None
    if task.test_file and (data / task.test_file).is_file():
        test = make_features(read_examples(task, data, "test"), tokenizer, sequence_length)
        test_outputs = predict(model, test)
    return compute_metrics(task, dev_outputs, targets_of(dev)), dev_outputs, test_outputs


def predict(model: keras.Model, features: Sequence[Features]) -> np.ndarray:
    """Return the model's outputs [N, C] in the order of the features."""
    order = np.argsort([len(feature.ids) for feature in features], kind="stable")
    batches = evaluation_batches([features[index] for index in order], _EVALUATION_BATCH_SIZE)
    by_length = model.predict(batches, verbose=0)
    outputs = np.empty_like(by_length)
    outputs[order] = by_length
    return outputs


def targets_of(features: Sequence[Features]) -> np.ndarray:
    """Return class numbers or scores [N]."""
    return np.array([feature.target for feature in features])


def _plan(config: FinetuningConfig, task: Task, num_examples: int) -> TrainingPlan:
    """Return the steps for a training set of this size."""
    steps = round(config.num_epochs * batches_in_epoch(num_examples, config.batch_size))
    num_evaluations = min(config.num_evaluations, max(1, steps))
    interval = max(1, math.ceil(steps / num_evaluations))
    return TrainingPlan(
        phase_steps=(interval * num_evaluations,),
        interval_steps=interval,
        monitor=task.metrics[0],
    )


def _new_model(
    task: Task, pretrained: Path, config: FinetuningConfig
) -> AlbertForSequenceClassification:
    model_config = AlbertConfig.from_json_file(pretrained / CONFIG_NAME)
    if config.sequence_length > model_config.max_position_embeddings:
        raise InputError(
            f"finetuning.sequence_length: got {config.sequence_length}, expected at most the "
            f"model's max_position_embeddings={model_config.max_position_embeddings}"
        )
    return AlbertForSequenceClassification(
        model_config,
        num_labels=task.num_outputs,
        classifier_dropout=config.classifier_dropout,
    )


def _write_results(
    results: Path,
    model: AlbertForSequenceClassification,
    tokenizer: Tokenizer,
    task: Task,
    history: Sequence[Mapping[str, Any]],
    checkpoints: Path,
) -> None:
    model.config.to_json_file(results / CONFIG_NAME)
    tokenizer.save(results)
    shutil.copy(checkpoints / BEST_NAME, results / WEIGHTS_NAME)
    declaration = json.dumps(dataclasses.asdict(task), indent=2) + "\n"
    (results / "task.json").write_text(declaration, encoding="utf-8")
    lines = "".join(json.dumps(row) + "\n" for row in history)
    (results / HISTORY_NAME).write_text(lines, encoding="utf-8")
