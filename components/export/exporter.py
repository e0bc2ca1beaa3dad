"""Write a model in several formats, prove each the same, and write its card."""

import dataclasses
import gc
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from albert_core.artifacts.manifest import read_manifest
from albert_core.checkpoints.task_head import read_for_task
from albert_core.exports.formats import FORMATS, refuse_other_classifiers, write_format
from albert_core.inference.task_settings import read_declared_task
from albert_core.progress import ReportProgress, report_message
from albert_core.tasks import Task
from components.export.card.render import write_card
from components.export.config import ExportConfig
from components.export.lineage import Lineage
from components.export.proof_sentences import ProofSentences

if TYPE_CHECKING:
    from albert_core.exports.parity import Parity
    from albert_core.finetuning.dev_set import DevSet

_MAX_DEV_EXAMPLES = 2000


@dataclasses.dataclass(frozen=True, kw_only=True)
class DevFiles:
    """The task of a fine-tuned model, and the folder of its files."""

    task: Task
    data: Path

    @classmethod
    def for_model(cls, model: Path, data: Path) -> "DevFiles":
        """Read the task from the folder of the model; `data` is not looked at.

        Raises:
            InputError: The folder is not a finished output of `albert finetune`, or its task cannot
                be read.
        """
        read_manifest(model, step="finetune")
        return cls(task=read_declared_task(model), data=data)


@dataclasses.dataclass(frozen=True)
class Exporter:
    """Exports models in all formats of a configuration, one after the other.

    Attributes:
        config: The formats, their bounds, and what the cards say beside facts.
        sentences: What the outputs are compared on.
        progress: Called with what is being done.
    """

    config: ExportConfig
    sentences: ProofSentences
    progress: ReportProgress

    def export(
        self,
        model: Path,
        folder: Path,
        dev: DevFiles | None,
        lineage: Lineage,
        *,
        label: str,
        reading: Mapping[str, Any] | None = None,
    ) -> "list[Parity]":
        """Write, prove and describe a model in every format, each in a folder below `folder`.

        Beside the model each folder gets parity.json and README.md. The first format that fails
        ends the export.

        Args:
            model: The checkpoint.
            folder: Folder to make in an existing one; it may exist, but no format's folder in it
                (a FileExistsError).
            dev: Where the dev set is; None to compare no scores.
            lineage: Manifests of the steps that made the model, for its card.
            label: Put before what is reported as progress.
            reading: Keyword arguments of `read_for_task`, with which the model is read.

        Returns:
            The measurements, in the order of the formats.

        Raises:
            InputError: The model or its dev set cannot be read, or a format cannot express it.
            StepFailedError: What was written is not the same model.
        """
        from albert_core.exports.parity import make_reference, prove

        folder.mkdir(exist_ok=True)
        checkpoint = read_for_task(model, **(reading or {}))
        refuse_other_classifiers(checkpoint, self.config.formats)
        report_message(self.progress, f"{label}reference")
        dev_set = _score_dev_set(model, dev, reading or {}) if dev else None
        reference = make_reference(
            checkpoint, self.sentences.texts, dev_set, sentence_source=self.sentences.source
        )
        parities = []
        for name in self.config.formats:
            report_message(self.progress, f"{label}{name}")
            write_format(checkpoint, folder / name, to=name)
            # Keras models hold cycles; without this the last runtime's copy stays in memory.
            gc.collect()
            parity = prove(
                reference,
                folder / name,
                name=name,
                open_format=FORMATS[name].open,
                bounds=self.config.get_bounds(name),
            )
            parities.append(parity)
            write_card(
                folder / name,
                model=model,
                checkpoint=checkpoint,
                lineage=lineage,
                export_format=name,
                card=self.config.card,
            )
        return parities


def _score_dev_set(model: Path, dev: DevFiles, reading: Mapping[str, Any]) -> "DevSet":
    """Return up to 2,000 examples, spread over the dev set, with the score of the Keras model.

    Args:
        model: The checkpoint.
        dev: Where the dev set is. Its task is not used: it is that of `reading`, or else the one
            that the model's folder declares.
        reading: Keyword arguments of `load`, with which the model is read.

    Raises:
        InputError: The model declares no task or has no vocabulary, or a file is missing or cannot
            be used.
    """
    from albert_core.inference import load
    from albert_core.inference.evaluation import score_dev_set
    from albert_core.training.devices import is_multi_process

    loaded = load(
        model,
        precision="float32",  # as exports compute
        # One process exports: those that the environment may name for a training are not there.
        strategy="single" if is_multi_process() else "auto",
        **reading,
    )
    return score_dev_set(loaded, data=dev.data, max_examples=_MAX_DEV_EXAMPLES)
