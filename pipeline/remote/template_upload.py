"""Upload a compiled pipeline as a template to a Kubeflow Pipelines repository of Google's."""

import re
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from albert_core.errors import InputError, ServiceError
from albert_core.object_storage.google.client import find_credentials, login_remedy
from albert_core.object_storage.google.sessions import login_request
from components.service_calls import CallConfig, Service

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_REPOSITORY = re.compile(r"https://[a-z0-9-]+-kfp\.pkg\.dev/[^/\s?#]+/[^/\s?#]+/?")
_LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1)(:\d+)?(/[^\s?#]*)?")
_TAG = re.compile(r"[a-z][a-z0-9-]{0,127}")
_EXAMPLE = "https://us-central1-kfp.pkg.dev/PROJECT/REPOSITORY"

Result = TypeVar("Result")


def check_repository(repository: str, tags: Sequence[str], *, target: str) -> None:
    """Refuse an address that is none of a repository, impossible tags, and another platform.

    Nothing is called: whether there is such a repository is not known here.

    Args:
        repository: Address of the repository, https://LOCATION-kfp.pkg.dev/PROJECT/REPOSITORY; one
            on this machine, http://localhost or http://127.0.0.1, passes, too.
        tags: Names for the version that is uploaded.
        target: Platform that the pipeline is compiled for.

    Raises:
        InputError: The target is not vertex, or repository or tag has another form.
    """
    if target != "vertex":
        raise InputError(
            f"--upload: got it with --target {target}, expected --target vertex: templates in "
            "Artifact Registry are run by Vertex AI"
        )
    if not (_REPOSITORY.fullmatch(repository) or _LOOPBACK.fullmatch(repository)):
        raise InputError(
            f"--upload: got {repository!r}, expected the address of a repository of the format "
            f"kfp in Artifact Registry, {_EXAMPLE}"
        )
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise InputError(
                f"--upload_tags: got {tag!r}, expected lower-case letters, digits and -, a letter "
                "first, such as latest"
            )


def upload_template(text: str, repository: str, tags: Sequence[str], calls: CallConfig) -> str:
    """Upload a compiled pipeline, and return the address of its version.

    The version is a hash of the content: the same pipeline again is the same version, so that a
    call whose answer was lost is safely repeated. Tags move to it from the version they named.

    Args:
        text: The pipeline; one YAML document.
        repository: Address of the repository, which `check_repository` has accepted.
        tags: Names for this version.
        calls: Time-outs and retries.

    Raises:
        InputError: There are no Google credentials.
        ServiceError: The repository refused, kept failing, or answered with no version.
    """
    from kfp.registry import RegistryClient

    credentials = _credentials(repository)
    client = RegistryClient(host=repository, auth=credentials)
    service = Service(name=f"the repository {repository}", config=calls)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "albert.yaml"
        path.write_text(text, encoding="utf-8")

        def upload(timeout_s: float) -> tuple[str, str] | None:
            """Upload the file; return package and version, or None for an answer without them."""
            if credentials is not None and not credentials.valid:
                credentials.refresh(login_request())  # kfp's own way has no time limit
            try:
                return _in_time(lambda: client.upload_pipeline(str(path), list(tags)), timeout_s)
            except ValueError as error:
                # kfp takes the answer apart; exceptions of requests are ValueErrors, too.
                if isinstance(error, OSError):
                    raise
                return None

        answer = service.call("upload", upload)
    if answer is None:
        raise ServiceError(
            f"upload: {service.name} answered with no version, expected PACKAGE/VERSION; check "
            "that it is a repository of the format kfp"
        )
    return "/".join((repository.rstrip("/"), *answer))


def _credentials(repository: str) -> Any:
    """Return the Google credentials for a repository; None for one on this machine.

    Raises:
        InputError: There are no credentials, or they cannot be read.
    """
    if _LOOPBACK.fullmatch(repository):
        return None
    credentials = find_credentials((_SCOPE,))
    if credentials is None:
        raise InputError(f"--upload {repository}: no Google credentials; {login_remedy()}")
    return credentials


def _in_time(function: Callable[[], Result], timeout_s: float) -> Result:
    """Return the result of a function that itself has no time limit, as kfp's client has none.

    Raises:
        TimeoutError: It took longer; it goes on in a thread that does not outlive the process.
        Exception: What the function raised.
    """
    outcome: list[Result] = []
    errors: list[BaseException] = []

    def call() -> None:
        """Call the function, and keep what comes of it."""
        try:
            outcome.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if errors:
        raise errors[0]
    if not outcome:
        raise TimeoutError("timed out")
    return outcome[0]
