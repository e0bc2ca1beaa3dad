"""The inputs of a run on this machine: read once, so that no step meets bad ones."""

import dataclasses
import os
from pathlib import Path

from albert_core.corpus import CorpusConfig, check_corpus, corpus_fingerprint, find_corpus_files
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.corpus.overlap import OverlapIndex
from albert_core.errors import InputError
from albert_core.storage import find_files, is_remote
from albert_core.tasks import (
    InvalidRows,
    Task,
    find_task,
    read_examples,
    read_questions,
    task_fingerprint,
)
from albert_core.tasks.reading import SPLITS
from components.image import image_name
from components.resolve.dates import DATE_PLACEHOLDER, NO_DATE
from components.resolve.step import Resolved, resolve
from pipeline.config import RunConfig
from pipeline.preflight import RunStart, TaskFiles


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalInputs:
    """A view of a run's files that reads and hashes all of them.

    Attributes:
        date: Date of a dated run; `NO_DATE` of one that nothing makes depend on it.
    """

    date: str = NO_DATE

    def find_start(self, config: RunConfig) -> RunStart:
        """Read text and evaluation data, and name their files one by one.

        Raises:
            InputError: A file is missing or unusable, the date is missing, wrong or of no use, or
                the accepted model is gone.
        """
        accepted = _make_absolute(config.retraining.accepted)
        retraining = dataclasses.replace(config.retraining, accepted=accepted)
        cleaning = _name_evaluation_files(config.cleaning)
        if config.is_dated:
            text = resolve(
                date=self.date,
                title=config.title,
                corpus=config.corpus,
                vocab=config.vocab,
                pretraining=config.pretraining,
                retraining=retraining,
            )
        else:
            text = self._check_undated_text(config)
        beam = config.beam
        if "ALBERT_REGISTRY" in os.environ:
            beam = beam.with_worker_image(image_name("data"))
        return RunStart(
            config=dataclasses.replace(
                config,
                title=text.title,
                corpus=_name_corpus_files(text.corpus),
                cleaning=cleaning,
                vocab=text.vocab,
                beam=beam,
                pretraining=text.pretraining,
                retraining=retraining,
            ),
            date=self.date,
            corpus_fingerprint=text.corpus_fingerprint,
            accepted=text.accepted,
        )

    def _check_undated_text(self, config: RunConfig) -> Resolved:
        """Return what a dated run would resolve; here title and settings are those given."""
        if self.date != NO_DATE:
            raise InputError(
                f"date: got {self.date}, expected none, since nothing depends on it; put "
                f"{DATE_PLACEHOLDER} into corpus.files or title, or set retraining.accepted"
            )
        check_corpus(config.corpus)
        return Resolved(
            date=NO_DATE,
            title=config.title,
            corpus=config.corpus,
            corpus_fingerprint=corpus_fingerprint(config.corpus),
            vocab=config.vocab,
            pretraining=config.pretraining,
            accepted=None,
        )

    def find_task(self, name: str, config: RunConfig) -> TaskFiles:
        """Read all files of a task.

        Raises:
            InputError: The task is unknown, or a file of it is missing or wrong.
        """
        if not config.data_dir:
            raise InputError("data_dir: got nothing; expected the folder of the tasks' folders")
        task, folder = find_task(name, config.data_dir)
        _read_task(task, folder, leaves_out=config.finetuning.for_task(task).leaves_out(task))
        return TaskFiles(
            task=task, folder=str(folder.absolute()), fingerprint=task_fingerprint(task, folder)
        )


def _name_corpus_files(corpus: CorpusConfig) -> CorpusConfig:
    """Return a corpus with its files one by one, absolute, in place of patterns."""
    files = tuple(file.path for file in find_corpus_files(corpus))
    return dataclasses.replace(corpus, files=files)


def _name_evaluation_files(cleaning: CleaningConfig) -> CleaningConfig:
    """Return the settings with the evaluation files one by one, having read each."""
    OverlapIndex.build(cleaning.evaluation_sets, ngram=cleaning.overlap_ngram)
    files = {
        name: tuple(file.path for pattern in patterns for file in find_files(pattern))
        for name, patterns in cleaning.evaluation_sets.items()
    }
    return dataclasses.replace(cleaning, evaluation_sets=files)


def _make_absolute(address: str) -> str:
    """Return an address that is valid in any working directory: steps run in others."""
    return address if not address or is_remote(address) else str(Path(address).absolute())


def _read_task(task: Task, folder: Path, *, leaves_out: bool) -> None:
    """Read every file of a task, refusing wrong rows but those that training leaves out."""
    read = read_questions if task.kind == "question_answering" else read_examples
    for split in SPLITS:
        invalid_rows = InvalidRows("leave_out" if leaves_out and split == "train" else "refuse")
        read(task, folder, split, invalid_rows=invalid_rows)
