"""The hyperparameters with which the original fine-tunes on a task."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Hyperparameters with which the original fine-tunes on a task; None where it gives none.

    Attributes:
        learning_rate: Peak rate.
        batch_size: Examples per step.
        num_train_steps: Number of steps.
        num_warmup_steps: Steps of warm-up.
        num_epochs: Passes over the training set, where the original gives these, not steps.
        warmup_ratio: Warm-up as a fraction of all steps, where the original gives that.
        sequence_length: Longest input in tokens.
        evaluation_interval_steps: Steps between checkpoints (`save_checkpoints_steps`), each of
            which the original evaluates.
        source: Where the original says so.
    """

    learning_rate: float | None = None
    batch_size: int | None = None
    num_train_steps: int | None = None
    num_warmup_steps: int | None = None
    num_epochs: float | None = None
    warmup_ratio: float | None = None
    sequence_length: int | None = None
    evaluation_interval_steps: int | None = None
    source: str = ""

    def settings(self) -> dict[str, float | int]:
        """Return the values that are set, by the names of `FinetuningConfig`."""
        values = dataclasses.asdict(self)
        return {k: v for k, v in values.items() if k != "source" and v is not None}

    def settings_of_any_length(self) -> dict[str, float | int]:
        """Return the values of `settings` for a training of another length.

        Steps of warm-up become a fraction: a training may have fewer steps than they are. Without
        `num_train_steps` they are left out: there is nothing to take a fraction of.
        """
        values = self.settings()
        num_steps, num_warmup_steps = self.num_train_steps, values.pop("num_warmup_steps", None)
        if num_steps and num_warmup_steps is not None:
            values["warmup_ratio"] = num_warmup_steps / num_steps
        return values
