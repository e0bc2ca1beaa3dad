"""The inputs of a run on a cluster: looked for in their buckets, and hashed if asked for."""

import dataclasses
from collections.abc import Collection, Iterator, Sequence

from albert_core.corpus import corpus_fingerprint, find_corpus_files
from albert_core.errors import InputError, NoAccessError
from albert_core.files.atomic import hash_json
from albert_core.files.globs import match_names
from albert_core.storage import (
    StoredFile,
    check_bucket,
    content_hash,
    exists,
    find_files,
    is_remote,
    join,
)
from albert_core.tasks import TASKS, Task
from albert_core.tasks.declarations import DECLARATION_NAME, read_declaration
from albert_core.tasks.fingerprints import fingerprinted_values
from albert_core.tasks.found_labels import refuse_unknown_labels
from albert_core.tasks.reading import SPLITS
from albert_core.tasks.registry import (
    candidate_folders,
    no_dev_set,
    splits_to_find,
    with_known_labels,
)
from albert_core.tasks.source import Split
from albert_core.tasks.split_files import USUAL_FILES, with_found_files
from albert_core.tokenization import Tokenizer
from components.image import image_name
from components.resolve.dates import has_date
from pipeline.config import RunConfig
from pipeline.input_view import CheckpointStart, RunStart, TaskFiles

UNKNOWN = "unknown"
"""Fingerprint of files that were not read."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteInputs:
    """A view of a run's files by what their buckets list.

    Attributes:
        date: What a schedule passes as the date of a dated run; else `NO_DATE`.
        listing: Addresses of all files below `data_dir`; None if the buckets cannot be read from
            here. Tasks then are taken to be in the first folder that they may be in, unchecked.
        with_hashes: Whether the contents of files are hashed, else `UNKNOWN` is their fingerprint.
            The platform skips steps that it has seen with these contents.
    """

    date: str
    listing: Sequence[str] | None
    with_hashes: bool

    def find_start(self, config: RunConfig) -> RunStart:
        """Return what the run starts from, with the image for Beam's workers; checks no files.

        The corpus is hashed only `with_hashes` and if the run is not dated. An accepted model is
        found by a step later.

        Raises:
            InputError: The corpus is to be hashed, and is missing.
            ServiceError: The storage of the corpus failed.
        """
        is_hashed = self.with_hashes and not config.is_dated
        beam = config.beam.with_worker_image(image_name("data"))
        return RunStart(
            config=dataclasses.replace(config, beam=beam),
            date=self.date,
            corpus_fingerprint=corpus_fingerprint(config.corpus) if is_hashed else UNKNOWN,
        )

    def find_checkpoint(self, config: RunConfig) -> CheckpointStart:
        """Return the checkpoint as it is; hash its files only with `with_hashes`.

        Raises:
            InputError: The checkpoint is to be hashed, and is missing.
            ServiceError: Its storage failed.
        """
        fingerprint = UNKNOWN
        if self.with_hashes:
            addresses = config.checkpoint.addresses.values()
            files = [file.path for address in addresses for file in _checkpoint_files(address)]
            fingerprint = hash_json({file: content_hash(file) for file in files})
        return CheckpointStart(config=config.checkpoint, fingerprint=fingerprint)

    def find_task(self, name: str, config: RunConfig, _: Tokenizer | None) -> TaskFiles:
        """Find the files of a task in the listing, and hash them if `with_hashes`.

        Where labels are not declared and no metadata has them, training rows are read for them;
        from a test file that is found only by its name, the first row is read. Without a listing
        nothing is: the folder is the first candidate, unchecked. Without hashes, or a listing, the
        fingerprint is `UNKNOWN`.

        Raises:
            InputError: The task is unknown, a file of it is missing, or it declares no labels and
                there is no listing, or its files have none.
            ServiceError: The storage failed.
        """
        task, undeclared = _find_declaration(name, config.data_dir)
        if self.listing is None:
            folder = join(config.data_dir, candidate_folders(task)[0])
            task = with_found_files(task, USUAL_FILES, undeclared, folder=folder)
            refuse_unknown_labels(task)
            return TaskFiles(task=task, folder=folder, fingerprint=UNKNOWN)
        task, folder, files = _find_files(task, undeclared, config.data_dir, self.listing)
        fingerprint = UNKNOWN
        if self.with_hashes:
            hashes = {file: content_hash(file) for file in files}
            fingerprint = hash_json({"task": fingerprinted_values(task), "files": hashes})
        return TaskFiles(task=task, folder=folder, fingerprint=fingerprint)


def refuse_local_inputs(config: RunConfig, work_root: str) -> None:
    """Refuse inputs and work folders that other machines do not reach; looks for none of them.

    Raises:
        InputError: One is on this machine, or in a bucket of an impossible name; or work_root,
            corpus or data_dir is not named at all.
    """
    for name, address in _addresses(config, work_root):
        if not address or not is_remote(address):
            raise InputError(
                f"{name}: got {address or 'nothing'}, expected an address such as "
                "gs://bucket/folder or s3://bucket/folder: the steps run on other machines; copy "
                "it there (`gcloud storage cp`, `aws s3 cp`)"
            )
        if not has_date(address):
            check_bucket(address)


def _addresses(config: RunConfig, work_root: str) -> Iterator[tuple[str, str]]:
    """Yield name of the setting and address of the work folder and all inputs of a run.

    Required ones are yielded even if empty, optional ones only if set.
    """
    yield "--work_root", work_root
    if config.checkpoint.path:
        yield from config.checkpoint.addresses.items()
    else:
        yield from (("corpus.files", pattern) for pattern in config.corpus.files or ("",))
    for name, patterns in config.cleaning.evaluation_sets.items():
        yield from ((f"cleaning.evaluation_sets.{name}", pattern) for pattern in patterns)
    yield "data_dir", config.data_dir
    optional = {
        "pretraining.init_checkpoint": config.pretraining.init_checkpoint,
        "vocab.source": config.vocab.source,
        "retraining.accepted": config.retraining.accepted,
        "beam.shared_folder": config.beam.shared_folder,
    }
    yield from ((name, address) for name, address in optional.items() if address)


def list_inputs(config: RunConfig) -> list[str]:
    """Return the addresses of all files below `data_dir`, once other inputs have been looked for.

    The other inputs are the evaluation sets, the checkpoint and the vocabulary that pretraining
    starts from, and the corpus, unless it is dated, or the checkpoint that the run starts from. Not
    looked for are accepted models: before the first run there is none.

    Raises:
        NoAccessError: A bucket cannot be read from here.
        NoConnectionError: There is no way to a bucket.
        InputError: An input is missing.
        ServiceError: The storage failed.
    """
    starts = (config.pretraining.init_checkpoint, config.vocab.source)
    for address in (*config.checkpoint.addresses.values(), *filter(None, starts)):
        _checkpoint_files(address)
    if not config.checkpoint.path and not has_date(config.corpus.files):
        find_corpus_files(config.corpus, finds_format=False)  # the steps open them, and refuse
    for patterns in config.cleaning.evaluation_sets.values():
        for pattern in patterns:
            find_files(pattern)
    return [file.path for file in find_files(config.data_dir)]


def _checkpoint_files(address: str) -> list[StoredFile]:
    """Return the files of a checkpoint, or the one file at an address.

    If the address, with or without the ending `.index`, has an index of TensorFlow 1, these are all
    files of its prefix; else the file, or all files of the folder, of this name (or glob).

    Raises:
        NoAccessError: The bucket cannot be read from here.
        InputError: There is no such file.
        ServiceError: The storage failed.
    """
    prefix = address.removesuffix(".index")
    return find_files(f"{prefix}.*" if _is_seen(f"{prefix}.index") else address)


def _is_seen(address: str) -> bool:
    """Return whether a file in a bucket is seen to exist; false if access to it is denied.

    A bucket that may be read but not listed denies access to objects that are not there.

    Raises:
        ServiceError: The storage failed.
    """
    try:
        return exists(address)
    except NoAccessError:
        return False


def _find_declaration(name: str, data_dir: str) -> tuple[Task, Collection[Split]]:
    """Return a task: built in, from a YAML file, or from the one in its folder.

    With the splits that may have other files than it says: all of a built-in task, else those that
    its file says nothing of.

    Args:
        name: Name of a built-in task, path of a YAML file in any storage, or a folder of
            `data_dir`.
        data_dir: Address of the folder of the tasks' folders.

    Raises:
        InputError: There is no such declaration, or it is wrong.
        ServiceError: The storage failed.
    """
    if name in TASKS:
        return TASKS[name], SPLITS
    is_file = name.endswith((".yaml", ".yml"))
    return read_declaration(name if is_file else join(join(data_dir, name), DECLARATION_NAME))


def _find_files(
    declared: Task, undeclared: Collection[Split], data_dir: str, listing: Sequence[str]
) -> tuple[Task, str, list[str]]:
    """Return a task with the files that are there, the folder that has its dev set, all its files.

    The folder is the one of `_choose_folder`. Missing test files and optional ones are left out.
    Labels that are not declared are taken from metadata, or else from the training rows; from a
    test file that is found only by its name, the first row is read.

    Args:
        declared: The task as it is declared.
        undeclared: The splits that may have other files than it says.
        data_dir: Address of the folder of the tasks' folders.
        listing: Addresses of all files below it.

    Raises:
        InputError: No folder has the dev set, a file of the training or dev set is missing, several
            files could be those of a split, or labels are needed and not found.
        ServiceError: The storage failed.
    """
    task, folder = _choose_folder(declared, undeclared, data_dir, listing)
    task = with_known_labels(task, declared, folder)
    files: list[str] = []
    for split in SPLITS:
        for source in task.sources(split):
            matches = _matches(folder, source.file, listing)
            if not matches and split != "test" and not source.is_optional:
                raise InputError(
                    f"task {task.name}: no file {join(folder, source.file)}; expected the task's "
                    f"{split} set"
                )
            files += [match for match in matches if match not in files]
    return task, folder, files


def _choose_folder(
    declared: Task, undeclared: Collection[Split], data_dir: str, listing: Sequence[str]
) -> tuple[Task, str]:
    """Return a task with the files that are there, and the folder that has its dev set.

    Of several folders that have the dev set the first with the training files counts, else the
    first; `data_dir` itself only if no other has the dev set. Arguments are those of `_find_files`.

    Raises:
        InputError: No folder has the dev set, or several files could be those of a split.
    """
    first: tuple[Task, str] | None = None
    there: list[str] = []
    for candidate in candidate_folders(declared):
        if first and candidate == ".":  # the files of other tasks, as `find_task` has it
            continue
        folder = data_dir.rstrip("/") if candidate == "." else join(data_dir, candidate)
        names = _names_below(folder, listing)
        there = there or (names if candidate != "." else [])
        splits = splits_to_find(declared, candidate, undeclared)
        task = with_found_files(declared, names, splits, folder=folder)
        if not any(_matches(folder, source.file, listing) for source in task.sources("dev")):
            continue
        needed = [source.file for source in task.sources("train") if not source.is_optional]
        if all(_matches(folder, file, listing) for file in needed):
            return task, folder
        first = first or (task, folder)
    if first is None:
        raise no_dev_set(declared, data_dir, there)
    return first


def _matches(folder: str, pattern: str, listing: Sequence[str]) -> list[str]:
    """Return the addresses in a listing that match a glob below a folder, sorted, each once."""
    return [join(folder, name) for name in match_names(pattern, _names_below(folder, listing))]


def _names_below(folder: str, listing: Sequence[str]) -> list[str]:
    """Return the paths below a folder of the addresses in a listing that are in it."""
    below = join(folder, "")
    return [address.removeprefix(below) for address in listing if address.startswith(below)]
