"""Settings of fine-tuning."""

import dataclasses
import itertools
import math
from collections.abc import Collection, Mapping
from typing import Any, Literal

from albert_core.errors import InputError
from albert_core.finetuning.pooling_choice import PoolingSetting, choose_pooling
from albert_core.finetuning.probe_results import DEFAULT_NUM_EXAMPLES, LEAST_NUM_EXAMPLES
from albert_core.optimizers.settings import (
    ORIGINAL_MOMENTS,
    OptimizerConfig,
    OptimizerName,
    check_rates,
)
from albert_core.pooling import POOLINGS, HeadPooling
from albert_core.settings import parse_settings
from albert_core.settings.checks import (
    check_at_least,
    check_between,
    check_distinct,
    check_minimum,
    check_seed,
)
from albert_core.tasks.task import Task
from albert_core.training.config import TrainingConfig
from albert_core.training.safeguards import SafeguardConfig

EVERY_TASK = "*"  # in place of a task's name in `per_task`

Initialization = Literal["pretrained", "random"]
RecipeName = Literal["general", "original"]
Frozen = Literal["nothing", "embeddings", "encoder"]
BadRowsSetting = Literal["as_declared", "refuse", "leave_out"]

# Settings that say the same in two ways, of which the second wins: as passes, a fraction or a
# count, and in steps; as passes or steps, and in minutes.
_ALTERNATIVES = (
    ("num_epochs", "num_train_steps"),
    ("warmup_ratio", "num_warmup_steps"),
    ("num_evaluations", "evaluation_interval_steps"),
    ("num_epochs", "train_minutes"),
    ("num_train_steps", "train_minutes"),
)
_LENGTHS = frozenset({"num_epochs", "num_train_steps", "train_minutes"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuestionConfig:
    """How questions about texts are shown and answered; every number is 1 or more.

    Attributes:
        doc_stride: Tokens between the begins of two windows over a long text.
        max_query_length: Most tokens of a question; the rest is cut off.
        max_answer_length: Longest answer in tokens.
        n_best_size: Candidates kept for each question.
        start_n_top: Starts that are searched where there may be no answer.
        end_n_top: Ends that are searched for each of them.
    """

    doc_stride: int = 128
    max_query_length: int = 64
    max_answer_length: int = 30
    n_best_size: int = 20
    start_n_top: int = 5
    end_n_top: int = 5

    def __post_init__(self) -> None:
        """Refuse numbers below 1.

        Raises:
            InputError: A number is below 1.
        """
        minimums = dict.fromkeys(dataclasses.asdict(self), 1)
        check_at_least(self, "finetuning.questions", **minimums)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuningConfig(TrainingConfig, OptimizerConfig):
    """How to fine-tune; devices, memory and checkpoints have the settings of `TrainingConfig`.

    Further settings of the optimizer are those of `OptimizerConfig`.

    `for_task` resolves `recipe`, `per_task` and `pooling`, and `trials` the grid and the seeds:
    these settings as they are hold for one training of a task only where none of these is used.

    Attributes:
        recipe: `original`: what the original recommends for a task replaces the settings here, an
            epoch is counted as there, and the checkpoint is chosen as there; `general`: these
            settings for every task.
        optimizer: `adamw`, `lamb` or `muon`.
        learning_rate: Peak rate.
        num_epochs: Passes over the training set.
        warmup_ratio: Fraction of the steps that warm up.
        num_train_steps: Steps of training; if given, wins over `num_epochs`.
        num_warmup_steps: Steps that warm up, fewer than those of training; if given, wins over
            `warmup_ratio`.
        train_minutes: Minutes of each training, over all interruptions and with its evaluations; if
            given, wins over `num_train_steps` and `num_epochs`. The first steps, at rate 0, measure
            the speed; the steps are settled before the warm-up ends, so that the rate is 0 when
            the minutes are over.
        bias_correction: Whether the optimizer's moments are corrected for beginning at 0; not by
            the recipes of the original.
        batch_size: Examples in a step, over all devices; for questions, windows over their
            contexts.
        sequence_length: Longest input in tokens, special tokens included.
        max_choice_length: Longest choice in tokens, where a task has choices.
        questions: How questions about texts are shown and answered.
        num_evaluations: Dev evaluations, evenly spread; the best one's weights are kept. Training
            goes on to the end of the last interval between two of them.
        evaluation_interval_steps: Steps between dev evaluations, as the original has them: before
            the first step, whenever that many are done, and at the end, whose steps are not
            rounded; if given, wins over `num_evaluations`.
        patience: Evaluations without a better one after which training ends; 0: never.
        pooling: What the head reads: the original's `pooler` over [CLS]; the `mean` of the last
            layer's tokens; `layer_mix`, a learned mix of the means of all layers; or `siamese`, for
            pairs, which encodes both texts separately and compares them. `auto`: `mean` for single
            texts; `siamese` for scores of pairs, MRPC and RTE; `pooler` for other pairs, choices,
            questions, the original's recipe and export formats that hold no other.
        head_rate_multiplier: What the learning rate of the head is multiplied by; None: 10 with
            `siamese`, else 1.
        classifier_dropout: Dropout before the head while training; the head for questions that all
            have an answer has none.
        hidden_dropout: Dropout of the encoder's layers; None: that of the pretrained model.
        attention_dropout: Dropout of its attention; None: that of the pretrained model.
        frozen: What keeps its pretrained weights: `embeddings`, or the whole `encoder` below the
            pooler.
        keep_checkpoints: Newest checkpoints that are kept, besides the best weights.
        safeguards: What to do when training goes wrong. A loss may jump: it comes near 0, where any
            other is many times as large.
        precision: As in `TrainingConfig`; on a CPU `auto` is float32 with `recipe: original`, for
            tasks that the original has a recipe for.
        seed: Seed of the head's weights, order and dropout.
        num_seeds: Trainings with seed, seed + 1, ...; scores are reported as mean and standard
            deviation, and the best model is kept.
        grid_learning_rates: Rates to try instead of `learning_rate`, if any.
        grid_batch_sizes: Batch sizes to try instead of `batch_size`, if any. Of all combinations
            the one with the best mean dev score is kept.
        grid_max_examples: Largest training set, in examples, for which the grid is tried; larger
            ones are trained with `learning_rate` and `batch_size`. None: of any size.
        bad_rows: What to do with training rows that cannot be used, if not what the task says.
        num_probe_examples: Most examples of the training set, and of the dev set, for the frozen
            probe of a pretrained model, 10 or more; 0: no probe.
        per_task: Settings of this section that differ for a task, by the task's name; they win over
            the recipe. The settings under the name `*` are for every task that does not set them
            itself.
    """

    recipe: RecipeName = "general"
    optimizer: OptimizerName = "adamw"
    bias_correction: bool = True
    learning_rate: float = 5e-5
    num_epochs: float = 3.0
    warmup_ratio: float = 0.1
    num_train_steps: int | None = None
    num_warmup_steps: int | None = None
    train_minutes: float | None = None
    batch_size: int = 32
    sequence_length: int = 128
    max_choice_length: int = 128
    questions: QuestionConfig = dataclasses.field(default_factory=QuestionConfig)
    num_evaluations: int = 3
    evaluation_interval_steps: int | None = None
    patience: int = 0
    pooling: PoolingSetting = "auto"
    head_rate_multiplier: float | None = None
    classifier_dropout: float = 0.1
    hidden_dropout: float | None = None
    attention_dropout: float | None = None
    frozen: Frozen = "nothing"
    keep_checkpoints: int = 1
    safeguards: SafeguardConfig = dataclasses.field(
        default_factory=lambda: SafeguardConfig(spike_ratio=0.0)
    )
    seed: int = 12345
    num_seeds: int = 1
    grid_learning_rates: tuple[float, ...] = ()
    grid_batch_sizes: tuple[int, ...] = ()
    grid_max_examples: int | None = None
    bad_rows: BadRowsSetting = "as_declared"
    num_probe_examples: int = DEFAULT_NUM_EXAMPLES
    per_task: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse settings out of their range, also those of `per_task` once they replace these.

        Raises:
            InputError: A setting is out of its range (fractions of warm-up and dropout are from 0
                to below 1), or `per_task` has an unknown or impossible one.
        """
        self._check_counts()
        self.check_training("finetuning")
        if self.safeguards.stuck_after_steps is not None:
            raise InputError(
                f"finetuning.safeguards.stuck_after_steps: got {self.safeguards.stuck_after_steps},"
                " expected nothing: it is about the order of sentences, which pretraining learns"
            )
        if self.train_minutes is not None and not 0 < self.train_minutes < math.inf:
            raise InputError(
                f"finetuning.train_minutes: got {self.train_minutes}, expected a number above 0"
            )
        if self.num_epochs <= 0:
            raise InputError(f"finetuning.num_epochs: got {self.num_epochs}, expected above 0")
        if self.head_rate_multiplier is not None and not self.head_rate_multiplier > 0:
            raise InputError(
                f"finetuning.head_rate_multiplier: got {self.head_rate_multiplier}, expected above "
                "0; to train the head alone, set frozen to encoder"
            )
        # Without `num_train_steps` the length of training is known once the data or the speed are:
        # any number passes.
        num_warmup_steps = self.num_warmup_steps or 0
        num_train_steps = None if self.train_minutes is not None else self.num_train_steps
        for rate in (*self.grid_learning_rates, self.learning_rate):
            check_rates(
                rate,
                num_warmup_steps=num_warmup_steps,
                num_train_steps=num_train_steps or num_warmup_steps + 1,
            )
        check_seed("finetuning.seed", self.seed)
        self.check_optimizer("finetuning")
        check_between(
            self,
            "finetuning",
            *("warmup_ratio", "classifier_dropout", "hidden_dropout", "attention_dropout"),
            inclusive="left",
        )
        for name, values in self.per_task.items():
            if "per_task" in values:
                raise InputError(
                    f"finetuning.per_task.{name}: got per_task within it, expected settings of the "
                    "task; remove the inner per_task"
                )
            self._overlaid(values, source=f"finetuning.per_task.{name}")

    def _check_counts(self) -> None:
        """Refuse whole numbers below their minimum; those that are None pass.

        Raises:
            InputError: A number is too small, or a value is twice in the grid.
        """
        check_at_least(
            self,
            "finetuning",
            batch_size=1,
            num_evaluations=1,
            evaluation_interval_steps=1,
            num_seeds=1,
            max_choice_length=1,
            sequence_length=8,
            patience=0,
            num_train_steps=1,
            num_warmup_steps=0,
            num_probe_examples=0,
            grid_max_examples=1,
        )
        if 0 < self.num_probe_examples < LEAST_NUM_EXAMPLES:
            raise InputError(
                f"finetuning.num_probe_examples: got {self.num_probe_examples}, expected "
                f"{LEAST_NUM_EXAMPLES} or more, or 0 for no frozen probe"
            )
        for size in self.grid_batch_sizes:
            check_minimum("finetuning.grid_batch_sizes", size, 1)
        for name in ("grid_learning_rates", "grid_batch_sizes"):
            check_distinct(f"finetuning.{name}", getattr(self, name))

    def leaves_out(self, task: Task) -> bool:
        """Return whether a task's unusable training rows are left out and counted, not refused.

        `bad_rows` decides; with `as_declared` the task's own `bad_rows` does. `per_task` is not
        read: to be called on what `for_task` returned.
        """
        policy = task.bad_rows if self.bad_rows == "as_declared" else self.bad_rows
        return policy == "leave_out"

    def for_task(
        self, task: Task, *, poolings: Collection[HeadPooling] = tuple(POOLINGS)
    ) -> "FinetuningConfig":
        """Return the settings of one task.

        Later ones win: these settings, the task's recipe if asked for and if the original has one
        (with it the optimizer has moments as in the original), and the entries of `per_task` for
        every task and for this one.
        If an entry or `train_minutes` sets the length of the training, the recipe's warm-up is
        taken as a fraction of it. The result has no `per_task`, and a `pooling` other than `auto`.

        Args:
            task: The task.
            poolings: The poolings that `auto` may become; if the best one is not among them, it
                becomes `pooler`.

        Raises:
            InputError: They are impossible together, or the task cannot have the pooling.
        """
        exceptions = {**self.per_task.get(EVERY_TASK, {}), **self.per_task.get(task.name, {})}
        recipe: Mapping[str, Any] = {}
        if self.recipe == "original" and task.recipe.settings():
            is_timed = self.train_minutes is not None
            keeps_length = not is_timed and _LENGTHS.isdisjoint(exceptions)
            recipe_settings = (
                task.recipe.settings if keeps_length else task.recipe.settings_of_any_length
            )
            recipe = {**ORIGINAL_MOMENTS, **recipe_settings()}
            if is_timed:  # else the recipe's steps would replace the minutes
                recipe = {name: value for name, value in recipe.items() if name not in _LENGTHS}
        config = self._overlaid(recipe, exceptions, source=f"finetuning.per_task.{task.name}")
        return dataclasses.replace(config, pooling=config.pooling_of(task, poolings=poolings))

    def pooling_of(
        self, task: Task, *, poolings: Collection[HeadPooling] = tuple(POOLINGS)
    ) -> HeadPooling:
        """Return the pooling of a task's head by these settings, with `auto` resolved.

        `per_task` is not read, which may set another `pooling` or `recipe`: to be called on what
        `for_task` returned.

        Args:
            task: The task.
            poolings: The poolings that `auto` may become. A pooling that is set by its name may be
                another.

        Raises:
            InputError: A task of this kind cannot have the pooling that is set.
        """
        is_original = self.recipe == "original"
        return choose_pooling(self.pooling, task, is_original=is_original, supported=poolings)

    def head_rate_of(self, task: Task) -> float:
        """Return the factor of the learning rate of a task's head.

        It is `head_rate_multiplier`, or where that is not set the one of the head's pooling.
        `per_task` is not read: to be called on what `for_task` returned.

        Raises:
            InputError: A task of this kind cannot have the pooling that is set.
        """
        if self.head_rate_multiplier is not None:
            return self.head_rate_multiplier
        return POOLINGS[self.pooling_of(task)].head_rate_multiplier

    def _overlaid(self, *layers: Mapping[str, Any], source: str) -> "FinetuningConfig":
        """Return a copy, without `per_task`, with the values of several layers; later ones win.

        A layer that sets passes, a fraction or a count unsets the number of steps of what lies
        below it. None in a layer stands for the setting's default, not for the value below.

        Args:
            *layers: Settings by name.
            source: Where they come from, for messages.

        Raises:
            InputError: A name is unknown, or a value has another type or is impossible.
        """
        values = {**dataclasses.asdict(self), "per_task": {}}
        for layer in layers:
            for by_fraction, by_count in _ALTERNATIVES:
                # Who sets epochs means them: a number of steps from below would win otherwise.
                if by_fraction in layer:
                    values[by_count] = None
            values.update(layer)
        known = {name: value for name, value in values.items() if value is not None}
        return parse_settings(FinetuningConfig, known, source=source)

    def trials(self, *, num_examples: int = 0) -> list["FinetuningConfig"]:
        """Return the settings of every training: each point of the grid with each seed.

        In the order of rates, then batch sizes, then seeds, from `seed` on. Each has one rate, one
        batch size and one seed, and no grid. `per_task` is kept, and not read: to be called on what
        `for_task` returned.

        Args:
            num_examples: Size of the training set: above `grid_max_examples` there is no grid, only
                `learning_rate` and `batch_size`.
        """
        rates, sizes = self.grid_learning_rates, self.grid_batch_sizes
        if self.grid_max_examples is not None and num_examples > self.grid_max_examples:
            rates, sizes = (), ()
        rates, sizes = rates or (self.learning_rate,), sizes or (self.batch_size,)
        seeds = range(self.seed, self.seed + self.num_seeds)
        return [
            dataclasses.replace(
                self,
                learning_rate=rate,
                batch_size=size,
                seed=seed,
                num_seeds=1,
                grid_learning_rates=(),
                grid_batch_sizes=(),
            )
            for rate, size, seed in itertools.product(rates, sizes, seeds)
        ]
