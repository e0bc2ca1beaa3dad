"""Certificates of authorities that are trusted beside the known ones."""

import hashlib
import os
import ssl
from pathlib import Path

from albert_core.errors import InputError
from albert_core.files.atomic import read_regular_file, write_atomically
from albert_core.network.connection_failures import CERTIFICATES_VARIABLE
from albert_core.processes.user_folder import user_folder


def trust_certificates(path: str, *, setting: str) -> None:
    """Let this process and those it starts trust the certificates in a file, and the known ones.

    Writes both into one file in this user's `user_folder`, and names that in the environment's
    REQUESTS_CA_BUNDLE; does neither where the known ones have those of the file in them already.
    Known are those of the file or folder that REQUESTS_CA_BUNDLE, else CURL_CA_BUNDLE, named
    before, else certifi's.

    Args:
        path: File of certificates in PEM.
        setting: Name of the setting, the beginning of messages about `path`.

    Raises:
        InputError: The file is missing, is none that can be read, or holds no certificate; or the
            known certificates cannot be read, or the `user_folder` not be used.
    """
    try:
        added = read_regular_file(path)
        ssl.create_default_context(cadata=added.decode("ascii"))
    except InputError as error:
        raise InputError(f"{setting} {error}") from error
    except (ssl.SSLError, ValueError) as error:
        raise InputError(
            f"{setting} {path}: got no certificates, expected some in PEM (-----BEGIN CERTIFICATE)"
        ) from error
    from requests.certs import where

    known = read_regular_file(certificates_file() or where())
    if added not in known:
        bundle = _write_bundle(known.rstrip() + b"\n" + added)
        os.environ[CERTIFICATES_VARIABLE] = bundle


def certificates_file() -> str | None:
    """Return the file of certificates that the environment names; None: certifi's.

    It is the value of REQUESTS_CA_BUNDLE, or else of CURL_CA_BUNDLE, unchanged and whether it
    exists or not. If it is a folder, all certificates in it (not in its subfolders) are written
    into one file in this user's `user_folder`, whose path is returned.

    Raises:
        InputError: The folder has no certificate, a file of it cannot be read, or the `user_folder`
            cannot be used.
    """
    named = os.environ.get(CERTIFICATES_VARIABLE) or os.environ.get("CURL_CA_BUNDLE")
    if not named or not Path(named).is_dir():
        return named
    # Once each: most folders hold them under their names, and by links of their hashes.
    files = sorted({file.resolve() for file in Path(named).iterdir() if file.is_file()})
    contents = (read_regular_file(file).rstrip() for file in files)
    bundle = b"\n".join(text for text in contents if b"-----BEGIN CERTIFICATE" in text)
    if not bundle:
        raise InputError(
            f"{CERTIFICATES_VARIABLE}: got the folder {named} without certificates, expected some "
            "in PEM (-----BEGIN CERTIFICATE)"
        )
    return _write_bundle(bundle)


def _write_bundle(bundle: bytes) -> str:
    """Write certificates to a file in this user's `user_folder`; return its path.

    Its name is a hash of the certificates: a file of the same ones is written over.
    """
    name = f"{hashlib.sha256(bundle).hexdigest()[:16]}.pem"
    target = user_folder("albert-certificates") / name
    write_atomically(target, bundle)
    return str(target)
