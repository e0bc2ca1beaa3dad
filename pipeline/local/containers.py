"""The steps of a local run as containers: their user, their mounts, and no network."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from albert_core.artifacts.manifest import code_version
from albert_core.errors import InputError
from albert_core.storage import is_remote
from albert_core.tasks.reading import SPLITS
from components.checkpoint.config import CheckpointConfig
from components.finetune.job import parse_job
from pipeline.albert import albert_pipeline
from pipeline.extras import chosen_backend

if TYPE_CHECKING:
    from kfp.local import DockerRunner

RUN_LABEL = "albert.run"
# The user of the images, to whom a run of root's gives its folder.
_IMAGE_USER, _IMAGE_GROUP = 1000, 0
_WRITTEN_BY_STEPS = ("artifacts", "logs", "work", "work/kfp")


def container_runner(
    arguments: Mapping[str, Any], folder: Path, environment: Mapping[str, str]
) -> "DockerRunner":
    """Return kfp's runner of containers: no network, no root, and only the run's folder writable.

    Refuses what containers cannot do; makes no folder and starts nothing (see `make_writable`).

    Args:
        arguments: Arguments of the pipeline by name; the folders of the files that these name are
            mounted, read-only. Folders that do not exist are left out.
        folder: The run's folder, an absolute path; mounted writable under the same path.
        environment: Variables of every container.

    Raises:
        InputError: This machine is not on Linux, there is no Docker engine or package, an image
            is missing, `retraining.accepted` is outside the run's folder, KERAS_BACKEND is not
            TensorFlow, or an input or the making of the records needs the network
            (`input_folders`).
    """
    inputs = input_folders(arguments)
    if (backend := chosen_backend()) != "tensorflow":
        raise InputError(
            f"KERAS_BACKEND: got {backend} with runner docker, whose image trainer has TensorFlow "
            "alone; expected tensorflow, or --runner process"
        )
    accepted = arguments.get("retraining", {}).get("accepted")
    if accepted and folder not in Path(accepted).parents:
        raise InputError(
            f"retraining.accepted: got {accepted} with runner docker, whose containers write into "
            f"the run's folder only; expected a folder in {folder}, or --runner process"
        )
    if sys.platform != "linux":
        raise InputError(
            f"runner: got docker on {sys.platform}, expected Linux, where containers see the lock "
            "of the run's folder; use --runner process"
        )
    _refuse_missing_images()
    from docker.types import Mount
    from kfp.local import DockerRunner

    return DockerRunner(
        network_mode="none",
        user=":".join(map(str, _container_user())),
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        labels={RUN_LABEL: str(folder)},
        environment={
            **environment,
            # Compiled once a run, not in every container; files in images have no time to compare.
            "NUMBA_CACHE_DIR": str(folder / "work" / "numba" / code_version()),
        },
        mounts=[
            Mount(str(folder), str(folder), type="bind"),
            *(
                Mount(path, path, type="bind", read_only=True)
                for path in inputs
                if os.path.isdir(path)  # a test set may be missing
            ),
        ],
    )


def make_writable(folder: Path) -> None:
    """Make the run's subfolders for artifacts, logs and work, writable for the containers' user.

    In a run of root's, the run's folder with all that is in it changes its owner to the user of
    the images; links are not followed. The run's folder must exist.
    """
    for name in _WRITTEN_BY_STEPS:
        (folder / name).mkdir(exist_ok=True)
    if os.getuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *_container_user(), follow_symlinks=False)


@contextlib.contextmanager
def engine_errors() -> Iterator[None]:
    """Raise errors of the Docker engine in the body, such as a lost connection, as RuntimeError.

    That is what kfp raises for a failed step, so that both are failures of the run.
    """
    from docker.errors import DockerException

    try:
        yield
    except DockerException as error:
        raise RuntimeError(f"Docker: {error}") from error


def _container_user() -> tuple[int, int]:
    """Return the ids of the containers' user and group: this process's, or for root the images'."""
    return (os.getuid(), os.getgid()) if os.getuid() else (_IMAGE_USER, _IMAGE_GROUP)


def input_folders(arguments: Mapping[str, Any]) -> list[str]:
    """Return the folders to mount for the files that a run reads: sorted, none inside another.

    A file that is a link adds the folder that it leads to. Folders need not exist; those of
    `corpus.files`, evaluation sets and tasks are taken as absolute.

    Args:
        arguments: Arguments of the pipeline by name.

    Raises:
        InputError: A file of the corpus or of an evaluation set, or a model to start from, is not
            on this machine, or the records are made elsewhere.
    """
    files = list(_text_files(arguments))
    starts = [start for start in _starts(arguments) if start]
    if remote := [path for path in (*files, *starts) if is_remote(path)]:
        raise InputError(
            f"runner: got docker, whose containers have no network, with {remote[0]}; expected "
            "files on this machine, or --runner process"
        )
    if arguments.get("beam", {"runner": "local"})["runner"] != "local":
        raise InputError(
            "runner: got docker, whose containers have no network, with beam.runner="
            f"{arguments['beam']['runner']}; expected beam.runner=local, or --runner process"
        )
    folders = {Path(path).parent for path in files}
    folders |= {Path(path).resolve().parent for path in files}  # files may be links
    for job in map(parse_job, arguments["jobs"]):
        folders |= {Path(job.data), Path(job.data).resolve()}
        folders |= {
            Path(os.path.normpath(f"{job.data}/{source.file}")).parent  # may be beside it
            for split in SPLITS
            for source in job.task.sources(split)
        }
    paths = [Path(start).absolute() for start in starts]
    folders |= {path if path.is_dir() else path.parent for path in paths}
    return [str(path) for path in sorted(folders) if not folders & set(path.parents)]


def _text_files(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield the addresses of the files of the corpus, then those of the evaluation sets.

    The evaluation sets are those of the section `cleaning`. A run without a corpus yields nothing.

    Args:
        arguments: Arguments of the pipeline by name.
    """
    if "corpus" in arguments:
        yield from arguments["corpus"]["files"]
        for paths in arguments["cleaning"]["evaluation_sets"].values():
            yield from paths


def _starts(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield the addresses of the model and its files that a run starts from.

    For a run from a checkpoint these are the ones that are given; for one from text the vocabulary
    and the initial checkpoint, each an empty text where it is not set.

    Args:
        arguments: Arguments of the pipeline by name; those of a run from text have `vocab` and
            `pretraining`.
    """
    if "checkpoint" in arguments:
        yield from CheckpointConfig(**arguments["checkpoint"]).addresses.values()
    else:
        yield arguments["vocab"]["source"]
        yield arguments["pretraining"]["init_checkpoint"]


def _refuse_missing_images() -> None:
    """Refuse to run if no Docker engine answers, or if it lacks an image of `_step_images`.

    Raises:
        InputError: No engine answers, or an image is missing.
    """
    from docker import from_env
    from docker.errors import DockerException

    try:
        with contextlib.closing(from_env()) as client:
            names = {tag for image in client.images.list() for tag in image.tags}
    except DockerException as error:
        raise InputError(
            f"runner: got docker, but no Docker engine answers ({error}); start one or set "
            "DOCKER_HOST, or use --runner process"
        ) from error
    if missing := sorted(set(_step_images()) - names):
        raise InputError(
            f"runner: no image {', '.join(missing)} on this machine; make them with `make images`"
        )


def _step_images() -> Iterable[str]:
    """Return the images of the steps that every run has, by whole names with registry and tag.

    Images of optional steps are not among them. An image that several steps use occurs several
    times.
    """
    executors = albert_pipeline.pipeline_spec.deployment_spec["executors"]
    return (executor["container"]["image"] for executor in executors.values())
