"""Results that need no work: published in the output, or finished in the work folder."""

from pathlib import Path

from albert_core.artifacts.manifest import (
    MANIFEST_NAME,
    DamagedManifestError,
    Manifest,
    code_version,
    find_damage,
    find_manifest,
)
from albert_core.artifacts.output import Output
from albert_core.errors import InputError
from albert_core.files.checksums import report_damage


def find_published(output: Output, fingerprint: str) -> Manifest | None:
    """Return the manifest if `output` already holds this work, by this code, with all its files.

    None if the folder is empty or missing, is damaged or holds this work by other code, so that
    results may be published there. Damage is reported on standard error.

    Args:
        output: The output.
        fingerprint: Fingerprint of this work.

    Raises:
        InputError: The output holds other work, a manifest that cannot be read, or files that are
            not this program's and would be lost.
    """
    manifest, damage = _inspect(output, fingerprint)
    if damage:
        report_damage(output.address, damage, "published again")
    return manifest


def find_published_meanwhile(output: Output, fingerprint: str) -> Manifest | None:
    """Return the manifest if the output holds this work, by this code, whole, after the work.

    None if the folder is empty or missing, is damaged or holds this work by other code. Damage is
    not reported, since `find_published` reported it before the work.

    Raises:
        InputError: The output holds other work, a manifest that cannot be read, or files that are
            not this program's; the message says that the results are kept.
    """
    try:
        return _inspect(output, fingerprint)[0]
    except InputError as error:
        raise InputError(
            f"{error}. The finished results are kept: the same command publishes them once it may"
        ) from error


def _inspect(output: Output, fingerprint: str) -> tuple[Manifest | None, str | None]:
    """Return the manifest, and what is damaged, for a message; at most one of the two is not None.

    The manifest if `output` holds this work, by this code, with all its files; the damage if it
    holds this work with a file or the manifest damaged. Both are None where the folder is empty or
    missing, or holds this work by other code.

    Raises:
        InputError: The output holds other work, whatever its code, a manifest that cannot be read,
            or files that are not this program's and would be lost.
    """
    try:
        manifest = output.manifest()
    except DamagedManifestError as error:
        if error.fingerprint != fingerprint:
            raise
        output.refuse_added_files(error.files)
        return None, f"{MANIFEST_NAME}: its checksum differs"
    if manifest is None:
        output.refuse_foreign_files()
        return None, None
    if manifest.fingerprint != fingerprint:
        raise InputError(
            f"output {output.address}: belongs to another configuration (a {manifest.step} of "
            "other settings or inputs); choose another --output, or remove what is in that folder"
        )
    damage = None
    if manifest.code_version == code_version():
        damage = output.find_damage(manifest)
        if damage is None:
            return manifest, None
    output.refuse_added_files(manifest.files)
    return None, damage


def find_finished(results: Path, fingerprint: str) -> Manifest | None:
    """Return the manifest of finished results of this work and code, or None.

    Sizes and sha256 of all files are compared. None where there is no manifest, or one of other
    code. None, too, where a manifest cannot be read, a file is damaged, or the results are of other
    work, which is reported on standard error. Nothing is removed.
    """
    try:
        manifest = find_manifest(results)
    except InputError as error:
        report_damage(results, error, "made again")
        return None
    if manifest is None or manifest.code_version != code_version():
        return None
    damage: str | None = "they belong to other work"
    if manifest.fingerprint == fingerprint:
        # By sha256: these bytes are about to be published as good.
        damage = find_damage(results, manifest, with_hashes=True)
    if damage:
        report_damage(results, damage, "made again")
    return None if damage else manifest
