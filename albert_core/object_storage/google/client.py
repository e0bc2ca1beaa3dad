"""The client of Google Cloud Storage, and its credentials.

Imports Google's packages at the first call.
"""

import contextlib
import functools
import logging
import os
import random
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from albert_core.errors import NoAccessError
from albert_core.object_storage.google.sessions import mount_adapters

# Google's modules that draw random numbers, for pauses and for boundaries of uploads.
_MODULES_USING_RANDOM = (
    "google.api_core.retry.retry_base",
    "google.auth._exponential_backoff",
    "google.cloud.storage._media._upload",
    "google.resumable_media._helpers",
    "google.resumable_media._upload",
)
_METADATA_SERVER = ("169.254.169.254", 80)
_METADATA_WITHIN_S = 2.0
_KUBERNETES_VARIABLE = "KUBERNETES_SERVICE_HOST"
# Set by people and platforms that say themselves whether, or where, there is a metadata server.
_METADATA_VARIABLES = (
    "GCE_METADATA_HOST",
    "GCE_METADATA_ROOT",
    "GCE_METADATA_IP",
    _KUBERNETES_VARIABLE,
)


def login_remedy() -> str:
    """Describe in part of a line how to get Google credentials here.

    In Kubernetes for the pod, else a command for a person.
    """
    if os.environ.get(_KUBERNETES_VARIABLE):
        return (
            "give the pod's service account the rights of a Google service account (Workload "
            "Identity), or name a key file in GOOGLE_APPLICATION_CREDENTIALS"
        )
    return "run `gcloud auth application-default login`"


def storage_client() -> Any:
    """Return the client of this process, made at the first call.

    A forked process gets a new one, as two processes must not share connections. Without
    credentials it is anonymous, and reads public buckets; it looks for credentials again whenever
    it is refused, since the metadata server of a new machine or pod may answer late. With
    STORAGE_EMULATOR_HOST set it is anonymous in any case. It is made anew when that variable, or
    API_ENDPOINT_OVERRIDE, changes.

    Raises:
        NoAccessError: There are credentials that cannot be read.
    """
    addresses = ("STORAGE_EMULATOR_HOST", "API_ENDPOINT_OVERRIDE")
    return _client_of_process(os.getpid(), *map(os.environ.get, addresses))


def is_anonymous() -> bool:
    """Return whether this process calls Google Cloud Storage without credentials.

    False once credentials were found late. Makes the client if there is none yet.

    Raises:
        NoAccessError: There are credentials that cannot be read.
    """
    from google.auth.credentials import AnonymousCredentials

    credentials = storage_client()._credentials
    return isinstance(credentials, AnonymousCredentials) and not getattr(
        credentials, "late_credentials", None
    )


@functools.cache
def _client_of_process(_: int, emulator: str | None, __: str | None) -> Any:
    """Make a client of Google Cloud Storage; the arguments only tell cached clients apart.

    Gives Google's modules a random state of their own. Raises NoAccessError for credentials that
    cannot be read.
    """
    import google.cloud.storage as storage
    from google.auth.credentials import AnonymousCredentials

    _isolate_random_state()
    scope = storage.Client.SCOPE
    if emulator:
        credentials = AnonymousCredentials()
    else:
        credentials = find_credentials(scope) or _make_late_credentials(scope)
    return storage.Client(project=None, credentials=credentials, _http=_make_session(credentials))


def _make_late_credentials(scopes: tuple[str, ...]) -> Any:
    """Return credentials that are anonymous until a request is refused and there are some then.

    Args:
        scopes: What they are for.
    """
    from google.auth.credentials import AnonymousCredentials

    class LateCredentials(AnonymousCredentials):
        """Anonymous credentials, until Google answers 401: then those of this machine."""

        late_credentials: Any = None

        def refresh(self, request: Any) -> None:
            """Look for credentials and get a token; the session asks for it after a 401.

            Raises:
                google.auth.exceptions.InvalidOperation: There still are none.
            """
            self.late_credentials = self.late_credentials or find_credentials(scopes)
            if self.late_credentials is None:
                super().refresh(request)
            self.late_credentials.refresh(request)

        def before_request(self, request: Any, method: str, url: str, headers: Any) -> None:
            """Add a token to a request's headers, if there are credentials by now."""
            if self.late_credentials is not None:
                self.late_credentials.before_request(request, method, url, headers)

    return LateCredentials()


def find_credentials(scopes: tuple[str, ...] = ()) -> Any:
    """Return Google's Application Default Credentials; None if there are none.

    Looks at a key file that is named, at the file of `gcloud`, and asks the metadata server of a
    machine of Google's: two seconds at most elsewhere.

    Args:
        scopes: What they are for; what Google's client asks for where it is empty.

    Raises:
        NoAccessError: There are credentials, but they cannot be read, for example because a file is
            missing.
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
            f"no usable Google credentials ({reason}); {login_remedy()}, or correct "
            "GOOGLE_APPLICATION_CREDENTIALS"
        ) from error


@contextlib.contextmanager
def _quiet_google() -> Iterator[None]:
    """Raise the level of Google's logger to errors during the body; put it back afterwards.

    It warns of missing projects and servers.
    """
    logger = logging.getLogger("google.auth")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _has_credentials_file() -> bool:
    """Return whether a file of credentials is named, or is where `gcloud` writes it.

    A file that GOOGLE_APPLICATION_CREDENTIALS names need not exist.
    """
    from google.auth import _cloud_sdk

    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    return bool(named) or os.path.isfile(_cloud_sdk.get_application_default_credentials_path())


def _may_have_metadata_server() -> bool:
    """Return whether this may be a machine of Google's, which has credentials of its own.

    NO_GCE_CHECK=true says no; variables that name a metadata server, and Kubernetes, say yes
    without a connection, since the server of a new pod answers late. Else a connection to it is
    tried for two seconds, and the machine's product name is read.
    """
    if os.environ.get("NO_GCE_CHECK") == "true":
        return False
    if any(os.environ.get(name) for name in _METADATA_VARIABLES):
        return True
    with contextlib.suppress(OSError):
        socket.create_connection(_METADATA_SERVER, timeout=_METADATA_WITHIN_S).close()
        return True
    with contextlib.suppress(OSError):
        return Path("/sys/class/dmi/id/product_name").read_text().startswith("Google")
    return False


def _make_session(credentials: Any) -> Any:
    """Return the session, with adapters that explain failures, that a storage client sends with."""
    from google.auth.transport.requests import AuthorizedSession

    session = AuthorizedSession(credentials)
    # Where the environment asks for client certificates, else without effect.
    session.configure_mtls_channel()
    mount_adapters(session, "Google Cloud Storage")
    return session


def _isolate_random_state() -> None:
    """Give Google's modules a random state apart from that of Python's `random`.

    A training seeds `random` and is repeatable only if nobody else draws from it, but uploads of
    its work in progress draw at times that depend on the network. Modules that are not imported yet
    are left as they are.
    """
    for name in _MODULES_USING_RANDOM:
        if module := sys.modules.get(name):
            module.random = random.Random()  # type: ignore[attr-defined]
