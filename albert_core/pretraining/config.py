"""Settings of pretraining."""

import dataclasses
import math
from collections.abc import Sequence

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.optimizers.settings import OptimizerConfig, OptimizerName
from albert_core.pretraining.budget import BudgetConfig
from albert_core.pretraining.objectives import ObjectiveConfig
from albert_core.pretraining.phases import Phase, PhaseConfig
from albert_core.pretraining.positions import PositionsConfig
from albert_core.records.config import MaskingConfig
from albert_core.settings.checks import check_at_least, check_between, check_seed
from albert_core.training.config import TrainingConfig
from albert_core.training.minutes import UNSETTLED
from albert_core.training.plan import TrainingPlan


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainingConfig(
    TrainingConfig, ObjectiveConfig, BudgetConfig, OptimizerConfig, PositionsConfig
):
    """How to pretrain.

    Objective, schedule, optimizer and positions have the settings of `ObjectiveConfig`,
    `BudgetConfig`, `OptimizerConfig` and `PositionsConfig`; devices, memory, checkpoints and what
    ends training early those of `TrainingConfig`. Settings that are out of their range or do not go
    together are refused with an InputError.

    Attributes:
        optimizer: `lamb`, `adamw` or `muon`.
        learning_rate: Peak rate, for `reference_batch_size`.
        reference_batch_size: Batch size the rates are meant for; a rate is multiplied by the
            square root of the real one over it. None: the rates are meant as they are.
        num_train_steps: Steps of training; 0 evaluates only, which needs `init_checkpoint`.
        num_warmup_steps: Steps of linear warm-up.
        batch_size: Sequences in a step, over all devices.
        phases: Phases on sequences of different lengths, one after the other, each with its own
            warm-up and decay unless `schedule_spans` is `run`; records of every length are needed.
            Empty: a single phase.
        evaluation_interval_steps: Steps between held-out evaluations, each with a checkpoint.
        log_interval_steps: Steps between rows of training_log.jsonl, and between checks of the loss
            by the safeguards.
        stop_after_tokens: Tokens trained on, padding included, after which to stop early;
            None: never.
        init_checkpoint: Model to start from: of the original, of Hugging Face or of this project;
            empty: new weights.
        residual_init_scale: What the initial kernels of attention output and feed-forward output,
            whose results are added to the residual stream, are multiplied by; only for new weights,
            so not with `init_checkpoint`.
        ema_decay: Decay of an exponential moving average of the weights, which is then what is
            evaluated and published; None: the weights themselves are.
        masking: What is predicted.
        sentence_order_weight: What the sentence-order loss is multiplied by before it is added to
            that of the masked tokens.
        seed: Seed of initial weights, order, masks, replaced tokens and offsets.
    """

    optimizer: OptimizerName = "lamb"
    learning_rate: float = 0.00176
    reference_batch_size: int | None = None
    num_train_steps: int = 125_000
    num_warmup_steps: int = 3_125
    batch_size: int = 4096
    phases: tuple[PhaseConfig, ...] = ()
    evaluation_interval_steps: int = 5_000
    log_interval_steps: int = 50
    stop_after_tokens: int | None = None
    init_checkpoint: str = ""
    residual_init_scale: float = 1.0
    ema_decay: float | None = None
    masking: MaskingConfig = dataclasses.field(default_factory=MaskingConfig)
    sentence_order_weight: float = 1.0
    seed: int = 12345

    def __post_init__(self) -> None:
        """Refuse settings that are out of their range or do not go together.

        Raises:
            InputError: A number is out of its range, in the run or in a phase; settings exclude
                each other or would do nothing; a schedule is impossible; the steps of a phase are
                no multiple of `evaluation_interval_steps`, where they must be; or there are no
                steps and no `init_checkpoint` to evaluate.
        """
        check_at_least(
            self,
            "pretraining",
            batch_size=1,
            evaluation_interval_steps=1,
            num_train_steps=0,
            log_interval_steps=1,
            reference_batch_size=1,
            stop_after_tokens=1,
            sentence_order_weight=0,
        )
        self.check_training("pretraining")
        self.check_offsets()
        self._check_sentence_order()
        check_seed("pretraining.seed", self.seed)
        self.check_objective(num_train_steps=self.num_train_steps)
        self.check_optimizer("pretraining")
        check_between(self, "pretraining", "ema_decay", inclusive="neither")
        self._check_residual_init_scale()
        if not self.num_train_steps and not self.init_checkpoint:
            raise InputError(
                "pretraining.num_train_steps: got 0, which evaluates only; expected with it "
                "init_checkpoint, the model to evaluate"
            )
        if not self.num_train_steps and self.ema_decay is not None:
            raise InputError(
                f"pretraining.ema_decay: got {self.ema_decay} with num_train_steps 0, which "
                "evaluates only; expected nothing with it"
            )
        self._check_phases()
        # The length is that of the records, which are not known here. With a budget of tokens, 1
        # gives the most steps: nothing is refused that another length would allow.
        phases = self.resolved_phases(sequence_length=1)
        if self.num_train_steps:
            for phase in phases:
                self.get_schedule(phase).check()
        self.plan(phases)

    def _check_phases(self) -> None:
        """Refuse phases that do not go together with budget or schedule.

        Raises:
            InputError: `check_budget` refuses them, one schedule spans the run although there is
                one phase only or a phase has its own warm-up, or `stop_after_tokens` is given with
                `train_minutes`.
        """
        phases = self.phases or (PhaseConfig(sequence_length=1),)
        if self.spans_run and len(phases) < 2:
            raise InputError(
                "pretraining.schedule_spans: got run with one phase, whose schedule is that of the "
                "run anyway; expected phase, or several pretraining.phases"
            )
        self.check_budget([self._resolved(phase) for phase in phases])
        for phase in phases:
            if self.spans_run and phase.num_warmup_steps is not None:
                raise InputError(
                    f"pretraining.phases: got num_warmup_steps {phase.num_warmup_steps} of a "
                    "phase, expected none with schedule_spans run, whose only warm-up is "
                    "pretraining.num_warmup_steps"
                )
        # The tokens of later phases depend on steps that are not settled before they begin.
        if self.train_minutes is not None and self.stop_after_tokens is not None:
            raise InputError(
                f"pretraining.stop_after_tokens: got {self.stop_after_tokens}, expected nothing "
                "with train_minutes; stop_after_steps and stop_after_minutes end it early"
            )

    def _check_residual_init_scale(self) -> None:
        """Refuse a `residual_init_scale` that is not above 0, or has no effect.

        Raises:
            InputError: It is not a finite number above 0; or it is not 1, and weights come from
                `init_checkpoint`.
        """
        scale = self.residual_init_scale
        if not (math.isfinite(scale) and scale > 0):
            raise InputError(
                f"pretraining.residual_init_scale: got {scale}, expected a number above 0"
            )
        if scale != 1 and self.init_checkpoint:
            raise InputError(
                f"pretraining.residual_init_scale: got {scale} with init_checkpoint, whose weights "
                "are taken as they are; expected 1 with it"
            )

    def _check_sentence_order(self) -> None:
        """Refuse a weight of sentence order that is not finite, or 0 where it must be learned.

        Raises:
            InputError: It is not finite, or it is 0 and `stuck_after_steps` is set.
        """
        weight, stuck_after = self.sentence_order_weight, self.safeguards.stuck_after_steps
        if not math.isfinite(weight):
            raise InputError(
                f"pretraining.sentence_order_weight: got {weight}, expected a finite number"
            )
        if not weight and stuck_after is not None:
            raise InputError(
                f"pretraining.safeguards.stuck_after_steps: got {stuck_after}, which stops a run "
                "that does not learn the order of sentences; expected nothing with "
                "sentence_order_weight 0, which does not train it"
            )

    def sequence_lengths(self, default: int) -> tuple[int, ...]:
        """Return the sequence lengths of all phases, each once, in the order of the phases.

        Args:
            default: Length of the sequences of a run without phases; else not used.
        """
        lengths = [phase.sequence_length for phase in self.phases] or [default]
        return tuple(dict.fromkeys(lengths))

    def resolved_phases(self, sequence_length: int) -> tuple[Phase, ...]:
        """Return the phases with all settings resolved; for a run without phases a single one.

        Args:
            sequence_length: Length of the sequences of a run without phases; else not used.

        Raises:
            InputError: A length or a batch size is below 1, or `num_train_tokens` are too few for
                the warm-up or the decay.
        """
        configs = self.phases or (PhaseConfig(sequence_length=sequence_length),)
        return self.with_budget([self._resolved(config) for config in configs])

    def _resolved(self, phase: PhaseConfig) -> Phase:
        """Return a phase with the run's settings where it has none, and its peak rate scaled.

        The rate is multiplied by the square root of the batch size over `reference_batch_size`. A
        warm-up ratio holds for phases without warm-up steps alone.

        Raises:
            InputError: Its length or a batch size is below 1.
        """

        def resolve(name: str) -> int:
            value = getattr(phase, name)
            return getattr(self, name) if value is None else value

        batch_size = resolve("batch_size")
        for name, value in (
            ("sequence_length", phase.sequence_length),
            ("batch_size", batch_size),
            ("device_batch_size", resolve("device_batch_size")),
        ):
            if value is not None and value < 1:
                raise InputError(f"pretraining.phases: got {name} {value}, expected 1 or more")
        # The square root keeps the variance of the steps, as LAMB's paper scales its rates.
        ratio = batch_size / (self.reference_batch_size or batch_size)
        return Phase(
            sequence_length=phase.sequence_length,
            num_train_steps=resolve("num_train_steps"),
            batch_size=batch_size,
            device_batch_size=resolve("device_batch_size"),
            learning_rate=resolve("learning_rate") * math.sqrt(ratio),
            num_warmup_steps=resolve("num_warmup_steps"),
            warmup_ratio=self.warmup_ratio if phase.num_warmup_steps is None else None,
            num_hidden_layers=phase.num_hidden_layers,
        )

    def check_depths(self, model: AlbertConfig) -> None:
        """Refuse numbers of layers of the phases that do not go together with those of the model.

        Raises:
            InputError: A phase's number is impossible, or the last phase's is not the model's.
        """
        for phase in self.resolved_phases(sequence_length=1):
            last = phase.architecture(model).num_hidden_layers
        if last != model.num_hidden_layers:
            raise InputError(
                f"pretraining.phases: got num_hidden_layers {last} in the last one, expected the "
                f"model's {model.num_hidden_layers}; train the model that is wanted in the last "
                "phase, or change its num_hidden_layers (model.overrides)"
            )

    def plan(self, phases: Sequence[Phase]) -> TrainingPlan:
        """Return the plan of all phases: steps, evaluations, checkpoints and limits.

        Args:
            phases: What `resolved_phases` returned.

        Raises:
            InputError: The steps of a phase are no multiple of `evaluation_interval_steps`, without
                a budget of tokens or minutes and with a schedule for each phase.
        """
        minutes = self.phase_minutes(phases)
        return TrainingPlan(
            phase_steps=tuple(UNSETTLED if minutes else phase.num_train_steps for phase in phases),
            minutes=minutes,
            spans_run=self.spans_run,
            interval_steps=self.evaluation_interval_steps,
            # Where phases have the steps of a budget, or make a ramp, an interval fits by chance.
            are_last_intervals_short=self.has_budget or self.spans_run,
            monitor=self.monitor,
            shown_metric=self.shown_metric,
            log_steps=self.log_interval_steps,
            **{**self.plan_limits, "stop_after_steps": self._step_to_stop_after(phases)},
        )

    def _step_to_stop_after(self, phases: Sequence[Phase]) -> int | None:
        """Return the step at which the first of the step and token budgets is spent.

        None if neither is set. A budget of more tokens than all phases have counts as not set.
        """
        steps = [] if self.stop_after_steps is None else [self.stop_after_steps]
        tokens_left, steps_before = self.stop_after_tokens, 0
        for phase in phases:
            if tokens_left is None:
                break
            if tokens_left <= phase.num_tokens:
                tokens_per_step = phase.batch_size * phase.sequence_length
                steps.append(steps_before + math.ceil(tokens_left / tokens_per_step))
                break
            tokens_left -= phase.num_tokens
            steps_before += phase.num_train_steps
        return min(steps, default=None)
