"""The client of S3, Amazon's or another server's, and its credentials.

Imports botocore at the first call. Credentials and settings are what Amazon's tools read: variables
such as AWS_ACCESS_KEY_ID and AWS_PROFILE, the files in ~/.aws, and the account of a pod or machine.
"""

import functools
import os
import random
import sys
import urllib.parse
from typing import Any

from albert_core.network.certificates import certificates_file
from albert_core.network.connection_failures import UnreachableError, explain_failure
from albert_core.network.first_answer import Attempts, connect_timeout, is_interactive
from albert_core.object_storage.settings import StorageConfig
from albert_core.processes.parallel_calls import NUM_CALLS

SERVICE = "S3"

# botocore's modules that draw random numbers, for pauses.
_MODULES_USING_RANDOM = ("botocore.retryhandler", "botocore.utils")
_CONNECT_WITHIN_S, _READ_WITHIN_S = 10.0, 60.0
# With pauses of up to 1, 2, 4 ... 64 s between them: a minute on average.
_NUM_ATTEMPTS = 8
_CLIENT_VARIABLES = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
)
_AMAZON_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu")


class ForeignServerError(Exception):
    """What answers is no server of S3."""


def login_remedy() -> str:
    """Describe in part of a line how to get credentials for S3 here."""
    keys = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return f"give the pod's service account an IAM role, or set {keys} from a secret"
    return f"run `aws configure` or `aws sso login`, or set {keys}"


def s3_client() -> Any:
    """Return the client of this process, made at the first call.

    A forked process gets a new one, as two processes must not share connections, and so does one
    whose variables changed. Without credentials it is anonymous, and reads public buckets.

    Raises:
        InputError: AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL is no address,
            ALBERT_STORAGE_USER_PROJECT is no project, or the folder of certificates that the
            environment names has none.
        botocore.exceptions.BotoCoreError: There are credentials or settings that cannot be read.
    """
    variables = tuple(map(os.environ.get, _CLIENT_VARIABLES))
    return _client_of_process(os.getpid(), is_interactive(), variables)


def is_anonymous() -> bool:
    """Return whether this process calls S3 without credentials; makes the client if need be.

    Raises what `s3_client` does.
    """
    from botocore import UNSIGNED

    return s3_client().meta.config.signature_version is UNSIGNED


def is_amazon() -> bool:
    """Return whether it is Amazon's S3 that is called, not another server of its protocol.

    Makes the client if need be, and raises what `s3_client` does.
    """
    host = urllib.parse.urlsplit(s3_client().meta.endpoint_url).hostname or ""
    return host.endswith(_AMAZON_HOSTS)


def endpoint_in_use() -> str:
    """Return the address of the server that is called; makes the client if need be.

    Raises what `s3_client` does.
    """
    return str(s3_client().meta.endpoint_url)


def look_for_credentials_again() -> None:
    """Forget the client, so that the next call looks for credentials again."""
    _client_of_process.cache_clear()


@functools.cache
def _client_of_process(_: int, __: bool, ___: tuple[str | None, ...]) -> Any:
    """Make a client of S3; the arguments only tell cached clients apart.

    It is anonymous without credentials, trusts `certificates_file` unless AWS_CA_BUNDLE is set, and
    ends early where a server has never answered. Gives botocore's modules a random state of their
    own. Raises what `s3_client` does.
    """
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config

    StorageConfig.from_environment()
    session = botocore.session.Session()
    config = Config(
        signature_version=None if session.get_credentials() else UNSIGNED,
        connect_timeout=connect_timeout(_CONNECT_WITHIN_S, has_answered=False),
        read_timeout=_READ_WITHIN_S,
        # The mode whose pauses come from the module's `random`, which is set apart below.
        retries={"total_max_attempts": _NUM_ATTEMPTS, "mode": "legacy"},
        max_pool_connections=2 * NUM_CALLS,
        # Checksums are given with each write; some servers refuse those that botocore would add.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client = session.create_client(
        "s3",
        region_name=session.get_config_variable("region") or os.environ.get("AWS_REGION"),
        verify=None if os.environ.get("AWS_CA_BUNDLE") else certificates_file(),
        config=config,
    )
    _isolate_random_state()
    client.meta.events.register_first("needs-retry.s3", _FirstAnswer().look_at)
    client.meta.events.register_first("needs-retry.s3.ListObjectsV2", _refuse_page)
    return client


def _refuse_page(*, response: Any = None, **_: Any) -> None:
    """Refuse an answer that is an HTML page with status 200 in place of a listing.

    botocore would ask for it again and again. Another answer, or none, passes.

    Raises:
        ForeignServerError: The answer is such a page.
    """
    if response is None:
        return
    answer, _ = response
    # botocore takes what is no listing for a failure, and makes the status 500; `raw` has its own.
    if answer.raw.status == 200 and answer.headers.get("content-type", "").startswith("text/html"):
        raise ForeignServerError


class _FirstAnswer:
    """Ends the attempts to reach a server that has never answered, as `Attempts` says."""

    def __init__(self) -> None:
        self._has_answered = False
        self._attempts: Attempts | None = None

    def look_at(self, *, caught_exception: Any = None, **_: Any) -> None:
        """Look at the end of an attempt, an answer or an error.

        Any answer ends the counting for good.

        Raises:
            UnreachableError: There is to be no other attempt, and the server has never answered.
        """
        self._has_answered = self._has_answered or caught_exception is None
        if self._has_answered:
            return
        failure = explain_failure(cause_of(caught_exception))
        self._attempts = self._attempts or Attempts()
        if self._attempts.end_with(failure) and failure:
            self._attempts = None  # a later call of the same process starts anew
            raise UnreachableError(
                f"{SERVICE} at {endpoint_in_use()}: {failure.reason}",
                is_lasting=failure.is_lasting,
            ) from caught_exception


def cause_of(error: BaseException) -> BaseException:
    """Return the error that one of botocore's was raised for, or the error itself."""
    cause = getattr(error, "kwargs", {}).get("error")
    return cause if isinstance(cause, BaseException) else error


def _isolate_random_state() -> None:
    """Give botocore's modules a random state apart from that of Python's `random`.

    A training seeds `random` and is repeatable only if nobody else draws from it, but uploads of
    its work in progress draw at times that depend on the network.
    """
    for name in _MODULES_USING_RANDOM:
        sys.modules[name].random = random.Random()  # type: ignore[attr-defined]
