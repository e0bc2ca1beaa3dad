"""Settings of pretraining."""

import dataclasses

from albert_core.errors import InputError
from albert_core.records.config import MaskingConfig
from albert_core.settings import check_seed
from albert_core.training.plan import OptimizerName, TrainingPlan, check_rates

# Files of a model folder, beside the weights.
CONFIG_NAME = "albert_config.json"
HISTORY_NAME = "metrics.jsonl"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainingConfig:
    """How to pretrain.

    Attributes:
        optimizer: `lamb` or `adamw`.
        learning_rate: Peak rate, for this batch size.
        num_train_steps: Updates in all.
        num_warmup_steps: Updates of linear warm-up.
        start_warmup_step: Update at which the warm-up begins; the rate is 0 before.
        poly_power: Exponent of the decay to 0 at the end; 1 is linear.
        batch_size: Sequences in an update.
        evaluation_interval_steps: Updates between held-out evaluations, each with a checkpoint.
        masking: What is predicted.
        jit_compile: Whether XLA compiles the step.
        seed: Seed of initial weights, order and masks.
    """

    optimizer: OptimizerName = "lamb"
    learning_rate: float = 0.00176
    num_train_steps: int = 125_000
    num_warmup_steps: int = 3_125
    start_warmup_step: int = 0
    poly_power: float = 1.0
    batch_size: int = 4096
    evaluation_interval_steps: int = 5_000
    masking: MaskingConfig = dataclasses.field(default_factory=MaskingConfig)
    jit_compile: bool = False
    seed: int = 12345

    def __post_init__(self) -> None:
        for name in ("num_train_steps", "batch_size", "evaluation_interval_steps"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"pretraining.{name}: got {getattr(self, name)}, expected 1 or more"
                )
        self.plan()
        check_seed("pretraining.seed", self.seed)
        check_rates(
            self.learning_rate,
            self.num_warmup_steps,
            self.num_train_steps,
            start_warmup_step=self.start_warmup_step,
            poly_power=self.poly_power,
        )

    def plan(self) -> TrainingPlan:
        """Return how long to train and when to look."""
        return TrainingPlan(
            num_train_steps=self.num_train_steps,
            interval_steps=self.evaluation_interval_steps,
            monitor="masked_lm_accuracy",
        )
