"""One training of a task for each seed and each point of a grid, and which of them is best."""

import dataclasses
import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from albert_core.config import AlbertConfig
from albert_core.finetuning.batches import fill_up, padded_length, training_batches
from albert_core.finetuning.config import FinetuningConfig, Frozen
from albert_core.finetuning.evaluators import evaluate_outputs
from albert_core.finetuning.models import new_task_model
from albert_core.finetuning.plan import describe_settled, make_plan, make_schedule
from albert_core.finetuning.prediction import predict_outputs
from albert_core.finetuning.task_preprocessor import TaskData, TaskPreprocessor
from albert_core.model import load_weights
from albert_core.model.classification import PooledOutputModel
from albert_core.model.heads import AlbertWithHead
from albert_core.model_function import ModelFunction, compiled_function
from albert_core.optimizers.factory import make_phased_optimizer
from albert_core.pooling import POOLINGS
from albert_core.progress import ReportProgress, report_message
from albert_core.tasks import Task
from albert_core.tracking.step import TrackRow, untracked
from albert_core.training.batch_division import BatchDivision, divide_batch
from albert_core.training.devices import Devices
from albert_core.training.history import best_row
from albert_core.training.loop import train

_ENCODER = "bert/"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One training with its settings and its dev metrics.

    Attributes:
        name: Name of its folder.
        config: Its settings: one point of the grid and one seed.
        history: The metrics of each dev evaluation, in their order.
        best_metrics: The row of `history` whose weights are kept.
        weights: File of these weights in the folder, as `write_best` describes it; with several
            processes, only the first one knows it.
        settled: Steps and warm-up of a training by minutes; otherwise empty.
    """

    name: str
    config: FinetuningConfig
    history: Sequence[Mapping[str, Any]]
    best_metrics: Mapping[str, Any]
    weights: Mapping[str, Any]
    settled: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialTrainer:
    """Trains a model for each trial on the same data, from the same weights.

    Attributes:
        preprocessor: That of the task.
        model_config: The architecture, with the dropout of fine-tuning.
        weights: What the encoder starts from, by name; arrays of heads are ignored. Empty for
            random weights.
        train: The training set.
        dev: The development set.
        checkpoints: Folder that exists and holds a folder of checkpoints for each trial.
        work: What is trained: settings and inputs. Checkpoints of other work are not taken up.
        progress: Receives the number of steps done.
        track: Called with each row of the logs and of the evaluations.
        devices: The devices that train.
        is_only_trial: Whether there is no other trial; with several, the tracked names begin with
            the trial's name.
    """

    preprocessor: TaskPreprocessor
    model_config: AlbertConfig
    weights: Mapping[str, np.ndarray]
    train: TaskData
    dev: TaskData
    checkpoints: Path
    work: str
    progress: ReportProgress
    devices: Devices
    track: TrackRow = untracked
    is_only_trial: bool = True

    def trainings(self, configs: Sequence[FinetuningConfig]) -> dict[Path, str]:
        """Return the folder of each trial's checkpoints, with what is trained in it."""
        return dict(self._training(trial_name(config)) for config in configs)

    def _training(self, name: str) -> tuple[Path, str]:
        """Return the folder of a trial's checkpoints, and what is trained in it."""
        return self.checkpoints / name, f"{self.work} {name}"

    def run(self, config: FinetuningConfig) -> Trial:
        """Train once, from the trial's newest checkpoint if there is one; leave its best weights.

        Nothing is trained of a trial that is complete. Its folder is named after rate, batch size
        and seed: settings that differ in anything else must not share `checkpoints` (not checked).
        Sets the seed of all random states.

        Args:
            config: One rate, one batch size and one seed, as `FinetuningConfig.trials` returns
                them, with the precision and the compilation that were chosen. That precision must
                be set, by `use_precision`.

        Raises:
            InputError: The weights, or the newest checkpoint, do not fit the architecture.
            StepFailedError: It was interrupted, or training diverged, and a checkpoint is left; or
                one cannot be written.
        """
        name = trial_name(config)
        folder, work = self._training(name)
        folder.mkdir(exist_ok=True)
        plan = make_plan(config, self.preprocessor.task, self.train, self.dev)
        model = self.new_model(config)
        predict = compiled_function(model)
        if note := self._describe_filling(config):
            report_message(self.progress, note)
        state = train(
            model,
            batches_from=lambda step: self.batches_from(step, config),
            evaluate=lambda _: self._dev_metrics(predict),
            plan=plan,
            folder=folder,
            work=work,
            progress=self.progress,
            safeguards=config.safeguards,
            track=self.track if self.is_only_trial else self._track_as(name),
            compute=config.compute,
            is_chief=self.devices.is_chief,
        )
        return Trial(
            name=name,
            config=config,
            history=state.history,
            best_metrics=best_row(state.history, plan.monitor),
            weights=state.best,
            settled=describe_settled(state),
        )

    def _track_as(self, name: str) -> TrackRow:
        """Return a function that tracks values of a trial with the trial's name before theirs."""

        def track(step: int, values: Mapping[str, Any]) -> None:
            self.track(step, {f"{name}/{value}": values[value] for value in values})

        return track

    def new_model(self, config: FinetuningConfig) -> AlbertWithHead:
        """Return a compiled model: its encoder with the given weights, all others from the seed.

        Without weights the encoder is from the seed, too. What the settings freeze is not trained,
        and the head's bias may begin at the mean label. Sets the seed of all random states.

        Args:
            config: One rate, one batch size and one seed, with the precision and the compilation
                that were chosen. That precision must be set, by `use_precision`.

        Raises:
            InputError: The weights do not fit the architecture.
        """
        plan = make_plan(config, self.preprocessor.task, self.train, self.dev)
        # The model of the trial before would take memory of the devices. Not by Keras's
        # `clear_session`, which also forgets the precision and the distribution over devices.
        gc.collect()
        # The seed comes before the model: it draws the head's weights, and then dropout.
        keras.utils.set_random_seed(config.seed)
        model = new_task_model(self.preprocessor.task, config, self.model_config)
        if self.weights:
            load_weights(model, self.weights, prefix=_ENCODER, source="the pretrained model")
        _freeze(model, config.frozen)
        start_at_mean_label(model, self.preprocessor.task, self.train)
        optimizer = make_phased_optimizer(
            config.optimizer,
            make_schedule(config, plan),
            head_rate_multiplier=config.head_rate_of(self.preprocessor.task),
            **config.optimizer_settings,
        )
        model.compile(optimizer=optimizer, jit_compile=config.jit_compile)
        model.bert.rematerialize = config.rematerialize
        model.num_micro_batches = self._divide_batch(config).num_micro_batches
        return model

    def _divide_batch(self, config: FinetuningConfig) -> BatchDivision:
        """Return how a batch is divided; one of a small training set has all of its examples."""
        return divide_batch(
            min(config.batch_size, len(self.train.features)),
            num_data_parallel=self.devices.num_data_parallel,
            device_batch_size=config.device_batch_size,
        )

    def _describe_filling(self, config: FinetuningConfig) -> str:
        """Return the message that batches are filled up; empty where they are not."""
        num_examples = min(config.batch_size, len(self.train.features))
        division = self._divide_batch(config)
        if division.num_rows == num_examples:
            return ""
        num_parts = self.devices.num_data_parallel * division.num_micro_batches
        return (
            f"batches of {num_examples} are filled up to {division.num_rows} rows, for {num_parts} "
            "equal parts (devices times micro-batches); those added weigh 0"
        )

    def batches_from(self, step: int, config: FinetuningConfig) -> Any:
        """Return endless batches of the training set, from a step on; steps count from 0.

        Batches of examples of similar lengths, each padded to its longest sequence, rounded up;
        drawn by the trial's seed. They have only this process's rows, and weights where the devices
        need more rows than there are examples.
        """
        features = self.train.features
        num_rows = self._divide_batch(config).num_rows
        rows = self.devices.rows_of_process(num_rows)

        def make_batch(indices: np.ndarray) -> Any:
            length = padded_length(features, indices, config.sequence_length)
            filled, weights = fill_up(indices, num_rows)
            batch = self.preprocessor.batch(features, filled[rows], length)
            return batch if num_rows == len(indices) else (*batch, weights[rows])

        return training_batches(
            features.lengths, make_batch, config.batch_size, seed=config.seed, start_step=step
        )

    def _dev_metrics(self, predict: ModelFunction) -> Mapping[str, float]:
        """Run a model over the dev set and return the task's metrics.

        Where there may be no answer, the null threshold is the one that is best on the dev set.
        """
        outputs = predict_outputs(
            predict,
            self.dev.features,
            self.preprocessor.inputs,
            max_length=self.preprocessor.config.sequence_length,
        )
        return evaluate_outputs(self.preprocessor, self.dev, outputs).metrics()


def trial_name(config: FinetuningConfig) -> str:
    """Return the name of a trial's folder, made of its rate, batch size and seed."""
    rate = f"{config.learning_rate:g}"
    if float(rate) != config.learning_rate:  # rounded: another rate may have the same six digits
        rate = repr(config.learning_rate)
    return f"rate-{rate}-batch-{config.batch_size}-seed-{config.seed}"


def trials_of_best_settings(trials: Sequence[Trial], metric: str) -> list[Trial]:
    """Return the trials, one for each seed, of the settings with the best mean of a dev metric.

    Trials with equal rate and batch size have the same settings; if means are equal, the first
    settings win. Larger is better.

    Args:
        trials: All trials, at least one.
        metric: Name of the metric in each trial's `best_metrics`.
    """
    groups: dict[tuple[float, int], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.config.learning_rate, trial.config.batch_size), []).append(trial)
    # By the mean, not by the best seed: with many seeds luck would choose the settings.
    return max(
        groups.values(),
        key=lambda group: np.mean([trial.best_metrics[metric] for trial in group]),
    )


def start_at_mean_label(model: AlbertWithHead, task: Task, train: TaskData) -> None:
    """Set the bias of a regression's output to the mean label of its training set.

    Only where the model's pooling is one that starts so (`starts_at_mean_label` in `POOLINGS`); any
    other model stays as it is.
    """
    if task.kind != "regression" or not isinstance(model, PooledOutputModel):
        return
    if POOLINGS[model.pooling].starts_at_mean_label:
        mean = np.mean(train.features.targets["target"], keepdims=True)
        model.output_layer().output_bias.assign(mean)


def _freeze(model: AlbertWithHead, frozen: Frozen) -> None:
    """Make parts of the encoder keep their weights; the head, and a pooler it reads, always train.

    To be called before the model is compiled.
    """
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
