"""How a fine-tuned model's texts become inputs and its outputs answers: `prediction.json`.

The manifest of `albert finetune` knows; a model that leaves its folder takes this file along.
"""

import dataclasses
from pathlib import Path
from typing import Any

from albert_core.checkpoints.checkpoint import read_json
from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig, QuestionConfig
from albert_core.runs.files import write_json
from albert_core.runs.manifest import Manifest, find_manifest
from albert_core.settings import parse_settings

PREDICTION_NAME = "prediction.json"
_TRIALS_NAME = "trials.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictionConfig:
    """What prediction needs of the settings a model was fine-tuned with.

    Attributes:
        sequence_length: Longest input in pieces, special pieces included.
        max_choice_length: Longest choice in pieces, where a task has choices.
        questions: How questions about texts are shown and answered.
        null_threshold: Null odds from which on a question has no answer, where that may be.
    """

    sequence_length: int = 512
    max_choice_length: int = 128
    questions: QuestionConfig = dataclasses.field(default_factory=QuestionConfig)
    null_threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.sequence_length < 8 or self.max_choice_length < 1:
            raise InputError(
                f"sequence_length, max_choice_length: got {self.sequence_length}, "
                f"{self.max_choice_length}, expected 8, 1 or more"
            )

    def write(self, folder: Path) -> None:
        """Write it for `read_prediction_config`."""
        write_json(folder / PREDICTION_NAME, dataclasses.asdict(self))


def read_prediction_config(folder: Path) -> PredictionConfig | None:
    """Return the settings that lie in a model's folder, if any do.

    Args:
        folder: An export, or the output of `albert finetune`.

    Raises:
        InputError: A file is damaged.
    """
    own = folder / PREDICTION_NAME
    if own.is_file():
        return parse_settings(PredictionConfig, read_json(own), source=str(own))
    manifest = find_manifest(folder)
    if manifest is None or manifest.step != "finetune":
        return None
    return _of_finetuning(manifest, folder)


def _of_finetuning(manifest: Manifest, folder: Path) -> PredictionConfig:
    given = {k: v for k, v in manifest.config["finetuning"].items() if v is not None}
    config = parse_settings(FinetuningConfig, given, source=f"{folder}: finetuning")
    return PredictionConfig(
        sequence_length=config.sequence_length,
        max_choice_length=config.max_choice_length,
        questions=config.questions,
        null_threshold=_chosen_trial(folder).get("null_threshold", 0.0),
    )


def _chosen_trial(folder: Path) -> dict[str, Any]:
    """Return the dev metrics of the trial whose weights were kept."""
    trials = read_json(folder / _TRIALS_NAME)
    return next(trial for trial in trials["trials"] if trial["name"] == trials["chosen"])
