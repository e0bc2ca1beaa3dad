"""The client of Google Cloud Storage: its credentials, and what it says where there is no way.

Imports Google's packages at the first call. A failure that lasts, and any before the first answer,
ends in seconds instead of the minutes for which Google's client would repeat it.
"""

import contextlib
import functools
import logging
import os
import random
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from albert_core.connection_failures import explain_failure
from albert_core.errors import NoAccessError

LOGIN_REMEDY = "run `gcloud auth application-default login`"

# Google's modules that draw random numbers, for pauses and for boundaries of uploads.
_MODULES_USING_RANDOM = (
    "google.api_core.retry.retry_base",
    "google.auth._exponential_backoff",
    "google.cloud.storage._media._upload",
    "google.resumable_media._helpers",
    "google.resumable_media._upload",
)
# Before the first answer. Google's client pauses for up to a second, two, four between attempts.
_MOST_ATTEMPTS = 3
_FIRST_ANSWER_WITHIN_S = 4.0
_CONNECT_WITHIN_S = 2.0
_METADATA_SERVER = ("169.254.169.254", 80)
# Set by people and platforms that say themselves whether, or where, there is a metadata server.
_METADATA_VARIABLES = (
    "GCE_METADATA_HOST",
    "GCE_METADATA_ROOT",
    "GCE_METADATA_IP",
    "KUBERNETES_SERVICE_HOST",
)


class UnreachableError(Exception):
    """A server of Google's is not reached, and waiting would not help; the message says why."""


def storage_client() -> Any:
    """Return the client of this process, made at the first call.

    A forked process gets a new one, as two processes must not share connections. Without
    credentials it is anonymous, and reads public buckets.

    Raises:
        NoAccessError: There are credentials that cannot be read.
    """
    addresses = ("STORAGE_EMULATOR_HOST", "API_ENDPOINT_OVERRIDE")
    return _client_of_process(os.getpid(), *map(os.environ.get, addresses))


def is_anonymous() -> bool:
    """Return whether this process calls Google Cloud Storage without credentials."""
    from google.auth.credentials import AnonymousCredentials

    return isinstance(storage_client()._credentials, AnonymousCredentials)


@functools.cache
def _client_of_process(_: int, emulator: str | None, __: str | None) -> Any:
    import google.cloud.storage as storage
    from google.auth.credentials import AnonymousCredentials

    _isolate_random_state()
    found = None if emulator else find_credentials(storage.Client.SCOPE)
    credentials = found or AnonymousCredentials()
    return storage.Client(project=None, credentials=credentials, _http=_make_session(credentials))


def find_credentials(scopes: tuple[str, ...] = ()) -> Any:
    """Return the Application Default Credentials; None if there are none.

    Args:
        scopes: What they are for; what Google's client asks for where it is empty.

    Raises:
        NoAccessError: There are some that cannot be read, such as of a file that is missing.
    """
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    if not (_has_credentials_file() or _may_have_metadata_server()):
        return None
    try:
        with _quiet_google():
            return google.auth.default(scopes=scopes or None)[0]
    except DefaultCredentialsError as error:
        if not _has_credentials_file():
            return None
        reason = " ".join(str(error).split()).rstrip(".")
        raise NoAccessError(
            f"no usable Google credentials ({reason}); {LOGIN_REMEDY}, or correct "
            "GOOGLE_APPLICATION_CREDENTIALS"
        ) from error


@contextlib.contextmanager
def _quiet_google() -> Iterator[None]:
    """Keep Google's warnings about missing projects and servers off standard error."""
    logger = logging.getLogger("google.auth")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _has_credentials_file() -> bool:
    """Return whether a file of credentials is named, or is where `gcloud` writes it."""
    from google.auth import _cloud_sdk

    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    return bool(named) or os.path.isfile(_cloud_sdk.get_application_default_credentials_path())


def _may_have_metadata_server() -> bool:
    """Return whether this may be a machine of Google's, which has credentials of its own.

    Google's own search takes 12 seconds where a network drops its packets. In Kubernetes it is
    left to it, since the server of a new pod answers late.
    """
    if os.environ.get("NO_GCE_CHECK") == "true":
        return False
    if any(os.environ.get(name) for name in _METADATA_VARIABLES):
        return True
    with contextlib.suppress(OSError):
        socket.create_connection(_METADATA_SERVER, timeout=_CONNECT_WITHIN_S).close()
        return True
    with contextlib.suppress(OSError):
        return Path("/sys/class/dmi/id/product_name").read_text().startswith("Google")
    return False


def _make_session(credentials: Any) -> Any:
    """Return the session that a storage client sends with; it logs in by a session of its own."""
    import requests
    from google.auth.transport.requests import AuthorizedSession, Request

    login = requests.Session()
    # Not of http: the metadata server of a new pod answers late, and is asked several times.
    login.mount("https://", make_adapter("logging in at Google"))
    session = AuthorizedSession(credentials, auth_request=Request(login))
    for scheme in ("https://", "http://"):
        session.mount(scheme, make_adapter("Google Cloud Storage"))
    # Replaces the adapter of https where the environment asks for client certificates.
    session.configure_mtls_channel()
    return session


def make_adapter(service: str) -> Any:
    """Return what sends requests, and ends with an `UnreachableError` where waiting cannot help.

    That is, at once, a certificate that is refused; and a server that was not reached in three
    attempts or four seconds. Once it has answered, errors pass as they are.

    Args:
        service: Name of the server, for messages.
    """
    from requests.adapters import HTTPAdapter
    from requests.exceptions import RequestException

    class Adapter(HTTPAdapter):
        """Sends requests; knows whether there was an answer yet."""

        has_answered = False
        num_failed = 0
        first_sent_s: float | None = None

        def send(self, request: Any, *args: Any, timeout: Any = None, **kwargs: Any) -> Any:
            """Send a request and return the answer; until there was one, connect in 2 s or not."""
            self.first_sent_s = self.first_sent_s or time.monotonic()
            if not self.has_answered:
                read = timeout[1] if isinstance(timeout, tuple) else timeout
                timeout = (_CONNECT_WITHIN_S, read)
            try:
                response = super().send(request, *args, timeout=timeout, **kwargs)
            except RequestException as error:
                self._end_if_hopeless(error)
                raise
            except OSError as error:  # a file of certificates that is not there
                raise UnreachableError(f"{service}: {error}") from error
            self.has_answered = True
            return response

        def _end_if_hopeless(self, error: Exception) -> None:
            """Count a failure; raise an `UnreachableError` if waiting cannot help."""
            failure = explain_failure(error)
            self.num_failed += 1
            waited_s = time.monotonic() - (self.first_sent_s or 0.0)
            has_tried = self.num_failed >= _MOST_ATTEMPTS or waited_s > _FIRST_ANSWER_WITHIN_S
            if failure and (failure.is_lasting or (has_tried and not self.has_answered)):
                raise UnreachableError(f"{service}: {failure.reason}") from error

    return Adapter()


def _isolate_random_state() -> None:
    """Give Google's modules a random state apart from that of Python's `random`.

    A training seeds `random` and is repeatable only if nobody else draws from it, but uploads of
    its work in progress draw at times that depend on the network. Modules that are not imported yet
    are left as they are.
    """
    for name in _MODULES_USING_RANDOM:
        if module := sys.modules.get(name):
            module.random = random.Random()  # type: ignore[attr-defined]
