"""Settings of fine-tuning."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from albert_core.errors import InputError
from albert_core.settings import check_seed, parse_settings
from albert_core.training.plan import OptimizerName, check_rates

Initialization = Literal["pretrained", "random"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuningConfig:
    """How to fine-tune.

    Attributes:
        optimizer: `adamw` or `lamb`.
        learning_rate: Peak rate.
        num_epochs: Passes over the training set.
        warmup_share: Share of the updates that warm up.
        batch_size: Examples in an update.
        sequence_length: Longest input in pieces, special pieces included.
        num_evaluations: Dev evaluations, evenly spread; the best one's weights are kept. Training
            goes on to the end of the last interval between two of them.
        classifier_dropout: Dropout before the head while training.
        seed: Seed of the head's weights, order and dropout.
        per_task: Settings of this section that differ for a task, by the task's name.
    """

    optimizer: OptimizerName = "adamw"
    learning_rate: float = 5e-5
    num_epochs: float = 3.0
    warmup_share: float = 0.1
    batch_size: int = 32
    sequence_length: int = 128
    num_evaluations: int = 3
    classifier_dropout: float = 0.1
    seed: int = 12345
    per_task: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("batch_size", "num_evaluations"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"finetuning.{name}: got {getattr(self, name)}, expected 1 or more"
                )
        if self.sequence_length < 8:
            raise InputError(
                f"finetuning.sequence_length: got {self.sequence_length}, expected 8 or more"
            )
        if self.num_epochs <= 0:
            raise InputError(f"finetuning.num_epochs: got {self.num_epochs}, expected above 0")
        check_rates(self.learning_rate, num_warmup_steps=0, num_train_steps=1)
        check_seed("finetuning.seed", self.seed)
        for name in ("warmup_share", "classifier_dropout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InputError(
                    f"finetuning.{name}: got {getattr(self, name)}, expected from 0 to below 1"
                )
        for name in self.per_task:
            self.for_task(name)

    def for_task(self, name: str) -> "FinetuningConfig":
        """Return the settings of one task."""
        values = {**dataclasses.asdict(self), **self.per_task.get(name, {}), "per_task": {}}
        return parse_settings(FinetuningConfig, values, source=f"finetuning.per_task.{name}")
