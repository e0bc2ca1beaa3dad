"""Compare the results in a run's folder with their manifests."""

from collections.abc import Iterator
from pathlib import Path

from albert_core.artifacts.inputs import verify_files
from albert_core.artifacts.manifest import MANIFEST_NAME, Manifest, find_manifest
from albert_core.errors import InputError
from albert_core.places.links import existing_places
from albert_core.places.outputs import ARTIFACTS_NAME, RunOutputs, find_outputs


def verify_outputs(run: Path) -> Iterator[str]:
    """Compare all files of a run's results with their manifests, by sha256.

    Results are the outputs at the run's places, and the models and evaluations from random weights.

    Args:
        run: A run's folder on this machine.

    Yields:
        A sentence for people on each output.

    Raises:
        InputError: There is no result; a manifest among the run's artifacts cannot be read; a file
            that a manifest lists is lost or damaged; a place is a link to an output without a
            manifest, or leads nowhere; or an output that the report names is nowhere among the
            artifacts.
    """
    manifests = _read_manifests(run)
    outputs = find_outputs(run)
    folders = [*outputs.places().values(), *_random_outputs(outputs)]
    resolved = {Path(folder).resolve() for folder in folders}
    # An output that has lost its manifest is none any more, but the link to it stays.
    links = (place for place in existing_places(run) if place.is_symlink())
    folders += [str(link) for link in links if link.resolve() not in resolved]
    if not folders:
        raise InputError(
            f"{run}: got no {MANIFEST_NAME} among the run's artifacts, expected the output of a "
            "step; without a manifest nothing can be verified"
        )
    for folder in folders:
        yield f"{folder}: {verify_files(folder)}"
    _refuse_missing_inputs(outputs, manifests)


def _read_manifests(run: Path) -> list[Manifest]:
    """Return all manifests among a run's artifacts.

    Raises:
        InputError: One cannot be read.
    """
    paths = sorted((run / ARTIFACTS_NAME).glob(f"*/**/{MANIFEST_NAME}"))
    return [manifest for path in paths if (manifest := find_manifest(path.parent))]


def _random_outputs(outputs: RunOutputs) -> list[str]:
    """Return the folders of models and evaluations from random weights, which have no places."""
    both = (outputs.random_models, outputs.random_evaluations)
    return [output.folder for by_task in both for output in by_task.values()]


def _refuse_missing_inputs(outputs: RunOutputs, manifests: list[Manifest]) -> None:
    """Refuse a report that names an output which none of the manifests is of.

    Raises:
        InputError: There is such an output, as its folder or its manifest is lost.
    """
    if outputs.report is None:
        return
    hashes = {manifest.content_hash for manifest in manifests}
    for name, content_hash in outputs.report.manifest.inputs.items():
        if content_hash not in hashes:
            raise InputError(
                f"{outputs.report.folder}: was made of `{name}` (a step and its number), of which "
                f"no {MANIFEST_NAME} is among the run's artifacts; run the pipeline again"
            )
