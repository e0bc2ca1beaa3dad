"""Containers that Flink and Spark start for the Python code: which addresses they cannot see."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from albert_core.errors import InputError
from albert_core.storage import is_remote
from components.records.beam_options import has_option
from components.records.cluster_options import ENGINES

if TYPE_CHECKING:
    from components.records.runners import BeamConfig


def refuse_local_work(config: "BeamConfig") -> None:
    """Refuse a local folder for work in progress that containers would have to share.

    Raises:
        InputError: `beam.shared_folder` is local, and Flink or Spark starts containers; or it is in
            a storage that this program does not know.
    """
    _refuse_local("beam.shared_folder", [config.shared_folder], config)


def refuse_local_text(config: "BeamConfig", files: Sequence[str]) -> None:
    """Refuse a local corpus that containers would have to read; nothing is looked for.

    Args:
        config: Where the work is done.
        files: The setting `corpus.files`.

    Raises:
        InputError: One is local, and Flink or Spark starts containers; or it is in a storage that
            this program does not know.
    """
    _refuse_local("corpus.files", files, config)


def _refuse_local(setting: str, addresses: Sequence[str], config: "BeamConfig") -> None:
    """Refuse local addresses where Flink or Spark starts containers; empty ones pass.

    Beam gives these no folder of their machine. They would write to a folder of that name inside,
    and only when all the work is done would it show that the records are missing.

    Raises:
        InputError: One is local, or in a storage that this program does not know.
    """
    if not _starts_containers(config):
        return
    for address in addresses:
        if address and not is_remote(address):
            raise InputError(
                f"{setting}: got {address} with beam.environment_type=DOCKER, expected gs:// or "
                f"s3://: the containers that {config.runner.capitalize()} starts see no folder of "
                "their machine; put it into a bucket, or run worker pools that see the folder "
                "(beam.environment_type: EXTERNAL)"
            )


def _starts_containers(config: "BeamConfig") -> bool:
    """Return whether the settings say that Flink or Spark starts containers for the Python code.

    False where `beam.options` name an environment, which wins over the setting: it is not looked
    at.
    """
    is_set_to = config.runner in ENGINES and config.environment_type == "DOCKER"
    return is_set_to and not has_option(config.options, "--environment_type")
