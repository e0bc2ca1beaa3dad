"""What is checked before anything is sent to a platform, so that bad input costs nothing."""

from collections.abc import Iterator

from albert_core.errors import InputError
from albert_core.storage import is_remote
from components.service_calls import CallConfig
from pipeline.config import RunConfig
from pipeline.package import Package
from pipeline.registry import check_image


def check_inputs_are_remote(config: RunConfig) -> None:
    """Refuse inputs that lie on this machine: the containers would not find them.

    Raises:
        InputError: An input has a local path.
    """
    for name, address in _inputs(config):
        if not is_remote(address):
            raise InputError(
                f"{name}: got the local path {address}, expected a gs:// address, which the "
                "containers reach; copy it with `gcloud storage cp -r`"
            )


def _inputs(config: RunConfig) -> Iterator[tuple[str, str]]:
    for file in config.corpus.files:
        yield "corpus.files", file
    for files in config.cleaning.evaluation_sets.values():
        for file in files:
            yield "cleaning.evaluation_sets", file
    if config.data_dir:
        yield "data_dir", config.data_dir
    if config.pretraining.init_checkpoint:
        yield "pretraining.init_checkpoint", str(config.pretraining.init_checkpoint)
    if config.vocab.source:
        yield "vocab.source", config.vocab.source
    if config.retraining.accepted:
        yield "retraining.accepted", config.retraining.accepted


def check_images(package: Package, calls: CallConfig) -> None:
    """Refuse a pipeline with an image that is not in its registry.

    Raises:
        InputError: One is missing.
        ServiceError: A registry did not answer.
    """
    for image in package.images():
        check_image(image, calls)
