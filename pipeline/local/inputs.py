"""The inputs of a run on this machine: read once, so that no step meets bad ones."""

import dataclasses
from pathlib import Path

from albert_core.checkpoints.trained_length import find_trained_length
from albert_core.corpus import CorpusConfig, check_corpus, corpus_fingerprint, find_corpus_files
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.corpus.overlap import OverlapIndex
from albert_core.errors import InputError
from albert_core.finetuning.data_checks import check_task_data
from albert_core.places.models import find_model
from albert_core.storage import find_files, is_remote
from albert_core.tasks import find_task, task_fingerprint
from albert_core.tokenization import Tokenizer
from components.checkpoint.step import fetch_checkpoint, read_configured
from components.image import get_registry, image_name
from components.resolve.dates import DATE_PLACEHOLDER, NO_DATE
from components.resolve.step import Resolved, resolve
from components.vocab.step import load_source
from pipeline.config import RunConfig
from pipeline.input_view import CheckpointStart, RunStart, TaskFiles


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalInputs:
    """A view of a run's files that reads and hashes all of them.

    Attributes:
        date: Date of a dated run (`RunConfig.is_dated`); `NO_DATE` of any other.
        in_containers: Whether the steps are containers, which have another working directory than
            this process; else they are processes with the same one.
    """

    date: str = NO_DATE
    in_containers: bool = False

    def find_start(self, config: RunConfig) -> RunStart:
        """Read text and evaluation data, and name their files one by one.

        In the returned configuration the corpus and evaluation files have their addresses in place
        of patterns, the date and the accepted model are filled in, `retraining.accepted` is
        absolute, and Beam's workers have their image if ALBERT_REGISTRY names a registry.
        `vocab.source` and `pretraining.init_checkpoint` are absolute for steps in containers. Other
        addresses stay as they are.

        Raises:
            InputError: A file is missing or unusable, the vocabulary to take is not the one of the
                settings, the date is missing, wrong or of no use, or the accepted model is gone.
            ServiceError: The storage failed.
        """
        accepted = _make_absolute(config.retraining.accepted)
        retraining = dataclasses.replace(config.retraining, accepted=accepted)
        cleaning = _check_evaluation_files(config.cleaning)
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
        vocab, pretraining = text.vocab, text.pretraining
        # Not for processes: the addresses are part of the fingerprints of these steps' work, and
        # what was begun with relative ones would not be found.
        if self.in_containers:
            vocab = dataclasses.replace(vocab, source=_make_absolute(vocab.source))
            start = _make_absolute(pretraining.init_checkpoint)
            pretraining = dataclasses.replace(pretraining, init_checkpoint=start)
        beam = config.beam
        if get_registry():
            beam = beam.with_worker_image(image_name("data"))
        return RunStart(
            config=dataclasses.replace(
                config,
                title=text.title,
                corpus=_name_corpus_files(text.corpus),
                cleaning=cleaning,
                vocab=vocab,
                beam=beam,
                pretraining=pretraining,
                retraining=retraining,
            ),
            date=self.date,
            corpus_fingerprint=text.corpus_fingerprint,
            accepted=text.accepted,
            tokenizer=load_source(text.vocab) if text.vocab.source else None,
        )

    def _check_undated_text(self, config: RunConfig) -> Resolved:
        """Check the text of a run without a date, and return it as `resolve` returns a dated run's.

        Title and settings are the given ones, and there is no accepted model.

        Raises:
            InputError: The text is missing or unusable, or there is a date that nothing depends on.
            ServiceError: The storage of the text failed.
        """
        if self.date != NO_DATE:
            raise InputError(
                f"date: got {self.date}, expected none, since nothing depends on it; put "
                f"{DATE_PLACEHOLDER} into corpus.files or title, or set retraining.accepted"
            )
        corpus = check_corpus(config.corpus)
        return Resolved(
            date=NO_DATE,
            title=config.title,
            corpus=corpus,
            corpus_fingerprint=corpus_fingerprint(corpus),
            vocab=config.vocab,
            pretraining=config.pretraining,
            accepted=None,
        )

    def find_checkpoint(self, config: RunConfig) -> CheckpointStart:
        """Read the checkpoint that a run starts from, fetched if it is in the cloud.

        A run's folder stands for its pretrained model, without one for its fine-tuned one. In the
        returned settings all addresses are absolute, and the path is that of the model. The rest is
        read from its files: its hash, the longest input it reads, the longest it was trained on,
        and its vocabulary.

        Raises:
            InputError: The checkpoint is missing or unusable, its path stands for several models,
                or it has no vocabulary; or `self.date` is set, on which nothing depends.
            ServiceError: The storage failed.
        """
        if self.date != NO_DATE:
            raise InputError(
                f"date: got {self.date}, expected none, since a run from a checkpoint depends on "
                "no date"
            )
        path = find_model(config.checkpoint.path, prefer="pretrained")
        start = dataclasses.replace(config.checkpoint, path=path)
        local_path = fetch_checkpoint(path)
        checkpoint = read_configured(start, local_path)
        return CheckpointStart(
            config=dataclasses.replace(
                start,
                path=_make_absolute(path),
                albert_config=_make_absolute(start.albert_config),
                vocab=_make_absolute(start.vocab),
            ),
            fingerprint=checkpoint.content_hash(),
            max_length=checkpoint.config.max_position_embeddings,
            trained_length=find_trained_length(local_path),
            tokenizer=checkpoint.tokenizer,
        )

    def find_task(self, name: str, config: RunConfig, tokenizer: Tokenizer | None) -> TaskFiles:
        """Read all files of a task, and return the task with its folder, absolute, and its hash.

        Prints a line about which files these are on standard output. A `data_dir` in the cloud is
        downloaded, and the folder returned is that of the download.

        Args:
            name: As in `config.tasks`: a built-in task, a folder of `data_dir`, or a task.yaml.
            config: The run.
            tokenizer: The vocabulary, where it exists already.

        Raises:
            InputError: There is no `data_dir`, the task is unknown, or fine-tuning and evaluation
                would refuse a file or a row (`check_task_data`).
            ServiceError: The storage failed.
        """
        if not config.data_dir:
            raise InputError("data_dir: got nothing; expected the folder of the tasks' folders")
        task, folder = find_task(name, config.data_dir)
        check_task_data(task, folder, config.finetuning.for_task(task), tokenizer)
        return TaskFiles(
            task=task, folder=str(folder.absolute()), fingerprint=task_fingerprint(task, folder)
        )


def _name_corpus_files(corpus: CorpusConfig) -> CorpusConfig:
    """Return a corpus with its files one by one, by absolute address, in place of patterns.

    Files that are not read, as hidden ones in a folder, are left out.

    Raises:
        InputError: A pattern matches no file, or the files cannot be read as a corpus.
        ServiceError: The storage of a file failed.
    """
    files = tuple(file.path for file in find_corpus_files(corpus))
    return dataclasses.replace(corpus, files=files)


def _check_evaluation_files(cleaning: CleaningConfig) -> CleaningConfig:
    """Read all evaluation files, and return the settings with the files in place of patterns.

    Raises:
        InputError: A pattern matches no file, or a file cannot be read.
        ServiceError: The storage of a file failed.
    """
    OverlapIndex.build(cleaning.evaluation_sets, ngram=cleaning.overlap_ngram)
    files = {
        name: tuple(file.path for pattern in patterns for file in find_files(pattern))
        for name, patterns in cleaning.evaluation_sets.items()
    }
    return dataclasses.replace(cleaning, evaluation_sets=files)


def _make_absolute(address: str) -> str:
    """Return an address that is valid in any working directory.

    An empty address and one in the cloud are returned as they are.

    Raises:
        InputError: The address is in no known storage.
    """
    return address if not address or is_remote(address) else str(Path(address).absolute())
