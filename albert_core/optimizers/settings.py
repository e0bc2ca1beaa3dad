"""Settings that optimizers share. Does not import Keras."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

from albert_core.errors import InputError
from albert_core.settings.checks import check_between, check_minimum
from albert_core.training.devices import Precision

OptimizerName = Literal["lamb", "adamw", "muon"]

# What the original's LAMB and AdamW have, and earlier versions of this program had no setting for.
ORIGINAL_MOMENTS: Mapping[str, Any] = {
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-6,
    "bias_correction": False,
}
_MUON = "muon_"  # how the settings begin that only Muon has


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Which optimizer trains, and its settings except the rate.

    Attributes:
        optimizer: `lamb`, `adamw`, or `muon`: Muon for the kernels of the transformer blocks and
            AdamW for everything else.
        beta_1: Decay of the first moment of LAMB and AdamW, also of the AdamW beside Muon.
        beta_2: Decay of the second moment.
        epsilon: Added to the root of the second moment.
        bias_correction: Whether the moments are corrected for beginning at 0; the original does
            not do it.
        muon_momentum: Decay of the moment of Muon.
        muon_rate_ratio: Rate of Muon over that of the AdamW beside it, which is the learning rate.
        muon_precision: Precision in which Muon makes an update orthogonal; `auto`: that of the
            layers.
    """

    optimizer: OptimizerName = "adamw"
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
    bias_correction: bool = False
    muon_momentum: float = 0.95
    muon_rate_ratio: float = 1.0
    muon_precision: Precision = "auto"

    @property
    def optimizer_settings(self) -> dict[str, Any]:
        """The settings above that the named optimizer has, by the names of its arguments."""
        settings = {name: getattr(self, name) for name in ORIGINAL_MOMENTS}
        if self.optimizer == "muon":
            settings |= {
                field.name.removeprefix(_MUON): getattr(self, field.name)
                for field in dataclasses.fields(OptimizerConfig)
                if field.name.startswith(_MUON)
            }
        return settings

    def check_optimizer(self, section: str) -> None:
        """Refuse numbers out of their range, and settings of Muon with another optimizer.

        Args:
            section: Name of these settings in the configuration, for messages.

        Raises:
            InputError: A beta or `muon_momentum` is not between 0 and 1 (neither included),
                `epsilon` or `muon_rate_ratio` is not a finite number above 0, or a setting of Muon
                is not at its default with another optimizer.
        """
        check_between(self, section, "beta_1", "beta_2", "muon_momentum", inclusive="neither")
        for name in ("epsilon", "muon_rate_ratio"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{section}.{name}: got {value}, expected a number above 0")
        for field in dataclasses.fields(OptimizerConfig):
            value = getattr(self, field.name)
            is_idle = field.name.startswith(_MUON) and self.optimizer != "muon"
            if is_idle and value != field.default:
                raise InputError(
                    f"{section}.{field.name}: got {value}, which the optimizer {self.optimizer} "
                    f"does not have; expected the optimizer muon, or {field.default}"
                )


def without_unchanged(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded settings of a training without those of its optimizer that change nothing.

    They are the moments' settings as the original has them, and those of Muon with another
    optimizer: a setting that is newer than a piece of work must not make other work of it.

    Args:
        settings: All fields of an `OptimizerConfig`, by name, and any others, which stay.
    """
    is_muon = settings["optimizer"] == "muon"
    return {
        name: value
        for name, value in settings.items()
        if (name not in ORIGINAL_MOMENTS or value != ORIGINAL_MOMENTS[name])
        and (is_muon or not name.startswith(_MUON))
    }


def check_rates(
    learning_rate: float,
    num_warmup_steps: int,
    num_train_steps: int,
    *,
    start_warmup_step: int = 0,
) -> None:
    """Refuse a rate that is not positive and a warm-up that does not end before training does.

    Raises:
        InputError: One of them is out of its range, or `start_warmup_step` is below 0.
    """
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise InputError(f"learning_rate: got {learning_rate}, expected a number above 0")
    check_minimum("start_warmup_step", start_warmup_step, 0)
    last = num_train_steps - start_warmup_step
    if not 0 <= num_warmup_steps < last:
        after = f" - start_warmup_step={start_warmup_step}" if start_warmup_step else ""
        raise InputError(
            f"num_warmup_steps: got {num_warmup_steps}, expected from 0 to below "
            f"num_train_steps={num_train_steps}{after}"
        )
