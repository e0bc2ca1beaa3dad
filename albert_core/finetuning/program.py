"""The fine-tuning program: features, trials of seeds and settings, the best model.

Shape suffixes: M examples.
"""

import dataclasses
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from albert_core.artifacts.manifest import Metrics
from albert_core.backends import JITS_VARYING_LENGTHS
from albert_core.checkpoints import Checkpoint, read_checkpoint
from albert_core.checkpoints.vocabulary import check_size
from albert_core.config import CONFIG_NAME, WEIGHTS_NAME, AlbertConfig
from albert_core.errors import InputError
from albert_core.files import write_json
from albert_core.finetuning.batches import (
    batches_in_epoch,
    evaluation_batches,
    padded_length,
    training_batches,
)
from albert_core.finetuning.config import FinetuningConfig, Frozen, Initialization
from albert_core.finetuning.evaluators import baseline_score, judge
from albert_core.finetuning.task_program import Outputs, TaskData, TaskProgram, task_program
from albert_core.model import load_weights
from albert_core.model.heads import AlbertWithHead
from albert_core.model_function import ModelFunction, compiled_function
from albert_core.optimizers.factory import make_optimizer
from albert_core.progress import ReportProgress, quiet
from albert_core.tasks import Task
from albert_core.tokenization import Tokenizer
from albert_core.training.callbacks.checkpointing import BEST_NAME
from albert_core.training.devices import use_devices, use_precision
from albert_core.training.history import best_row, write_history
from albert_core.training.loop import train
from albert_core.training.plan import TrainingPlan
from albert_core.training.safeguards import SafeguardConfig

TRIALS_NAME = "trials.json"
_EVALUATION_BATCH_SIZE = 64
_ENCODER = "bert/"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One training: its settings, and what came out.

    Attributes:
        name: Name of its folder.
        config: Its settings; of a grid one point, of several seeds one.
        history: A row a dev evaluation.
        best: The best row.
    """

    name: str
    config: FinetuningConfig
    history: Sequence[Mapping[str, Any]]
    best: Mapping[str, Any]


def run_finetuning(
    *,
    task: Task,
    data: Path,
    pretrained: Path,
    initialization: Initialization,
    config: FinetuningConfig,
    results: Path,
    checkpoints: Path,
    feature_cache: Path,
    progress: ReportProgress = quiet,
) -> Metrics:
    """Fine-tune on a task and write the best model into `results`.

    Args:
        task: The task.
        data: Folder of its files.
        pretrained: A checkpoint of any kind that `albert convert` knows.
        initialization: `pretrained`, or `random` weights of the same architecture, as a baseline.
        config: How to train.
        results: Receives configuration, weights, vocabulary, task.json, metrics.jsonl, trials.json.
        checkpoints: Keeps the checkpoints; a killed run continues from the newest.
        feature_cache: Keeps the training set's features, for whoever needs the same.
        progress: Told how far it is.

    Returns:
        The best dev metrics with mean and deviation over the seeds, the score of a baseline that
        needs no model, and the sizes of the sets.
    """
    checkpoint = read_checkpoint(pretrained).with_pooler()
    tokenizer = _tokenizer_of(checkpoint)
    model_config = _model_config(checkpoint.config, config)
    weights = checkpoint.weights if initialization == "pretrained" else {}
    with use_devices("single") as devices:
        use_precision(config.precision, devices.name)
        program = task_program(task, config, tokenizer, feature_cache)
        progress(0, 0, "making features")
        train, dev = program.read(data, "train"), program.read(data, "dev")
        trainer = _Trainer(
            program=program,
            model_config=model_config,
            weights=weights,
            train=train,
            dev=dev,
            checkpoints=checkpoints,
            progress=progress,
        )
        trials = [trainer.run(trial) for trial in config.trials()]
    keras.config.set_dtype_policy("float32")
    chosen = _best_settings(trials, task.metrics[0])
    best = max(chosen, key=lambda trial: trial.best[task.metrics[0]])
    _write_results(results, model_config, tokenizer, task, trials, best, checkpoints)
    return {
        **_score_figures(chosen, best, task),
        "majority_score": round(baseline_score(program, train, dev), 4),
        "num_train": len(train.examples),
        "num_dev": len(dev.examples),
        **{f"num_left_out ({cause})": number for cause, number in train.left_out.items()},
    }


def load_finetuned(
    folder: Path, task: Task, config: FinetuningConfig
) -> tuple[AlbertWithHead, TaskProgram]:
    """Return a fine-tuned model of a folder that `run_finetuning` wrote, ready to predict."""
    checkpoint = read_checkpoint(folder)
    program = task_program(task, config, _tokenizer_of(checkpoint))
    model = program.new_model(checkpoint.config)
    load_weights(model, checkpoint.weights, source=str(folder))
    model.compile(jit_compile=JITS_VARYING_LENGTHS)
    return model, program


def predict(run: ModelFunction, program: TaskProgram, data: TaskData) -> Outputs:
    """Return a model's outputs, one array for each example in their order, by name.

    Args:
        run: The model, in whatever runtime.
        program: The task.
        data: The split.
    """
    features = data.features
    batches = evaluation_batches(features.lengths, _EVALUATION_BATCH_SIZE)
    outputs: dict[str, list[np.ndarray]] = {}
    for examples in batches:
        length = padded_length(features, examples, program.config.sequence_length)
        for name, rows in run(program.inputs(features, examples, length)).items():
            own = outputs.setdefault(name, [np.zeros(0)] * len(features))
            for example, row in zip(examples, np.asarray(rows), strict=True):
                own[example] = row
    return outputs


def _tokenizer_of(checkpoint: Checkpoint) -> Tokenizer:
    if checkpoint.tokenizer is None:
        raise InputError(
            f"{checkpoint.source}: has no vocabulary; put the one it was trained with beside it"
        )
    check_size(checkpoint.tokenizer, checkpoint.config, source=checkpoint.source)
    return checkpoint.tokenizer


def _model_config(pretrained: AlbertConfig, config: FinetuningConfig) -> AlbertConfig:
    """Return the architecture with the dropout of fine-tuning."""
    if config.sequence_length > pretrained.max_position_embeddings:
        raise InputError(
            f"finetuning.sequence_length: got {config.sequence_length}, expected at most the "
            f"model's max_position_embeddings={pretrained.max_position_embeddings}"
        )
    dropout = {
        "hidden_dropout_prob": config.hidden_dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
    }
    given: dict[str, Any] = {name: v for name, v in dropout.items() if v is not None}
    return dataclasses.replace(pretrained, **given)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Trainer:
    """What all trials share.

    Attributes:
        program: The task.
        model_config: The architecture.
        weights: What the encoder starts from; nothing for random weights.
        train: The training set.
        dev: The development set.
        checkpoints: Folder of the trials' folders.
        progress: Told how far it is.
    """

    program: TaskProgram
    model_config: AlbertConfig
    weights: Mapping[str, np.ndarray]
    train: TaskData
    dev: TaskData
    checkpoints: Path
    progress: ReportProgress

    def run(self, config: FinetuningConfig) -> Trial:
        """Train once; a trial that is done already is only read."""
        name = f"rate-{config.learning_rate:g}-batch-{config.batch_size}-seed-{config.seed}"
        folder = self.checkpoints / name
        folder.mkdir(exist_ok=True)
        plan = _plan(config, self.program.task, len(self.train.features))
        model = self._new_model(config, plan)
        state = train(
            model,
            batches_from=lambda step: self._batches_from(step, config),
            evaluate=lambda _: self._dev_metrics(model),
            plan=plan,
            folder=folder,
            progress=self.progress,
            safeguards=SafeguardConfig(spike_ratio=0.0),  # losses near 0 jump by large ratios
        )
        best = best_row(state.history, plan.monitor)
        return Trial(name=name, config=config, history=state.history, best=best)

    def _new_model(self, config: FinetuningConfig, plan: TrainingPlan) -> AlbertWithHead:
        keras.utils.clear_session()
        keras.utils.set_random_seed(config.seed)
        model = self.program.new_model(self.model_config)
        if self.weights:
            load_weights(model, self.weights, prefix=_ENCODER, source="the pretrained model")
        _freeze(model, config.frozen)
        optimizer = make_optimizer(
            config.optimizer,
            learning_rate=config.learning_rate,
            num_train_steps=plan.num_train_steps,
            num_warmup_steps=_num_warmup_steps(config, plan),
        )
        model.compile(optimizer=optimizer, jit_compile=JITS_VARYING_LENGTHS)
        return model

    def _batches_from(self, step: int, config: FinetuningConfig) -> Any:
        features = self.train.features

        def make_batch(examples: np.ndarray) -> Any:
            length = padded_length(features, examples, config.sequence_length)
            return self.program.batch(features, examples, length)

        return training_batches(
            features.lengths, make_batch, config.batch_size, seed=config.seed, start_step=step
        )

    def _dev_metrics(self, model: AlbertWithHead) -> Mapping[str, float]:
        outputs = predict(compiled_function(model), self.program, self.dev)
        return judge(self.program, self.dev, outputs).metrics()


def _freeze(model: AlbertWithHead, frozen: Frozen) -> None:
    encoder = model.bert
    parts = {
        "nothing": [],
        "embeddings": [encoder.embeddings],
        "encoder": [
            encoder.embeddings,
            *filter(None, [encoder.projection]),
            *(block for group in encoder.groups for block in group),
        ],
    }
    for part in parts[frozen]:
        part.trainable = False


def _plan(config: FinetuningConfig, task: Task, num_examples: int) -> TrainingPlan:
    """Return the steps for a training set of this size."""
    in_epoch = batches_in_epoch(num_examples, config.batch_size)
    steps = config.num_train_steps or max(1, round(config.num_epochs * in_epoch))
    num_evaluations = min(config.num_evaluations, steps)
    interval = math.ceil(steps / num_evaluations)
    return TrainingPlan(
        phase_steps=(interval * num_evaluations,),
        interval_steps=interval,
        monitor=task.metrics[0],
        keep_checkpoints=1,
        patience=config.patience,
    )


def _num_warmup_steps(config: FinetuningConfig, plan: TrainingPlan) -> int:
    if config.num_warmup_steps is not None:
        return min(config.num_warmup_steps, plan.num_train_steps - 1)
    return int(config.warmup_ratio * plan.num_train_steps)


def _best_settings(trials: Sequence[Trial], metric: str) -> list[Trial]:
    """Return the trials of the settings with the best mean score."""
    groups: dict[tuple[float, int], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.config.learning_rate, trial.config.batch_size), []).append(trial)
    return max(groups.values(), key=lambda own: np.mean([trial.best[metric] for trial in own]))


def _score_figures(trials: Sequence[Trial], best: Trial, task: Task) -> Metrics:
    """Return the best trial's metrics and settings; mean and sample deviation over seeds."""
    figures: dict[str, Any] = {name: round(best.best[name], 4) for name in task.metrics}
    if len(trials) > 1:
        figures["num_seeds"] = len(trials)
        for name in task.metrics:
            values = [trial.best[name] for trial in trials]
            figures[f"{name}_mean"] = round(float(np.mean(values)), 4)
            figures[f"{name}_std"] = round(float(np.std(values, ddof=1)), 4)
    return {
        **figures,
        "global_step": best.best["global_step"],
        "learning_rate": best.config.learning_rate,
        "batch_size": best.config.batch_size,
        "seed": best.config.seed,
    }


def _write_results(
    results: Path,
    model_config: AlbertConfig,
    tokenizer: Tokenizer,
    task: Task,
    trials: Sequence[Trial],
    best: Trial,
    checkpoints: Path,
) -> None:
    model_config.to_json_file(results / CONFIG_NAME)
    tokenizer.save(results)
    shutil.copy(checkpoints / best.name / BEST_NAME, results / WEIGHTS_NAME)
    write_json(results / "task.json", dataclasses.asdict(task))
    rows = [{"name": trial.name, "seed": trial.config.seed, **trial.best} for trial in trials]
    write_json(results / TRIALS_NAME, {"chosen": best.name, "trials": rows})
    write_history(results, best.history)
