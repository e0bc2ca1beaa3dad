"""Calls to a service over HTTP: again where that is right, never twice the same work, clear errors.

Works with the exceptions of Google's clients, of kfp's client and of requests alike.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

from albert_core.checks import check_positive
from albert_core.errors import InputError, ServiceError

Answer = TypeVar("Answer")

NOT_FOUND, CONFLICT = 404, 409
_TEMPORARY = (429, 500, 502, 503, 504)
_REMEDIES: Mapping[int, tuple[str, str]] = {
    400: ("the request is wrong", "correct what it names"),
    401: ("not logged in", "log in as docs/operations.md says"),
    403: (
        "permission denied",
        "give this account the roles that docs/operations.md lists, and enable the service",
    ),
    404: ("not found", "check the names of the project, the location and the host"),
    409: ("taken", "choose another name"),
    429: ("quota exhausted", "ask for more quota, or try again later"),
}
_SERVICE_FAILED = ("the service failed", "try again later")
_LONGEST_MESSAGE = 300


@dataclasses.dataclass(frozen=True, kw_only=True)
class CallConfig:
    """How patient calls to a service are.

    Attributes:
        timeout_s: Seconds to wait for an answer.
        retry_for_s: Seconds to keep trying when a call fails in a way that may pass: 429, 5xx, no
            answer, a dropped connection.
        first_pause_s: Seconds before the second attempt; doubled for each further one.
    """

    timeout_s: float = 60.0
    retry_for_s: float = 180.0
    first_pause_s: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self, "calls", *dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Service:
    """A service, by where it is and how to call it.

    Attributes:
        name: Where, for messages, such as `Vertex AI in us-central1`.
        config: How patient to be.
    """

    name: str
    config: CallConfig

    def call(self, what: str, function: Callable[[float], Answer]) -> Answer:
        """Call until it works, or will not.

        Args:
            what: What the call does, for messages, such as `submit run-1`.
            function: Makes the call, within the given number of seconds; safe to repeat.

        Raises:
            ServiceError: The service refused, or kept failing.
        """
        from google.api_core.exceptions import RetryError
        from google.api_core.retry import Retry

        def announce(error: Exception) -> None:
            print(f"{what}: {_outcome(error)}; trying again", file=sys.stderr, flush=True)

        retry = Retry(
            predicate=_may_pass,
            initial=self.config.first_pause_s,
            maximum=30.0,
            timeout=self.config.retry_for_s,
            on_error=announce,
        )
        try:
            return retry(function)(self.config.timeout_s)
        except RetryError as error:
            raise self._explained(what, error.cause or error) from error
        except (InputError, ServiceError):
            raise
        except Exception as error:
            if status_of(error) is None and not _is_lost_connection(error):
                raise
            raise self._explained(what, error) from error

    def create_once(
        self,
        what: str,
        *,
        find: Callable[[float], Answer | None],
        create: Callable[[float], Answer],
    ) -> Answer:
        """Return what is there, or create it; a repeated attempt looks again before it creates.

        So an answer that got lost does not make two, nor does a command that is given again.

        Args:
            what: What is created, for messages.
            find: Looks for it.
            create: Creates it.

        Raises:
            ServiceError: The service refused, or kept failing.
        """

        def attempt(timeout_s: float) -> Answer:
            found = find(timeout_s)
            if found is not None:
                return found
            try:
                return create(timeout_s)
            except Exception as error:
                found = find(timeout_s) if status_of(error) == CONFLICT else None
                if found is None:
                    raise
                return found

        return self.call(what, attempt)

    def _explained(self, what: str, error: BaseException) -> ServiceError:
        status = status_of(error)
        config = self.config
        if status is None:
            return ServiceError(
                f"{what}: {self.name}: {_outcome(error)}, tried for {config.retry_for_s:g} s; "
                f"check the address and the network (calls.timeout_s is {config.timeout_s:g} s)"
            )
        meaning, remedy = _REMEDIES.get(status, _SERVICE_FAILED)
        tried = f", tried for {config.retry_for_s:g} s" if status in _TEMPORARY else ""
        return ServiceError(
            f"{what}: {self.name} answered {status}, {meaning}{tried}{_message_of(error)}; {remedy}"
        )


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an exception of a client tells of, if any."""
    response = getattr(error, "response", None)
    for status in (
        getattr(error, "code", None),
        getattr(error, "status", None),
        getattr(response, "status_code", None),
    ):
        if isinstance(status, int) and status:
            return int(status)
    return None


def _may_pass(error: Exception) -> bool:
    status = status_of(error)
    return _is_lost_connection(error) if status is None else status in _TEMPORARY


def _is_lost_connection(error: BaseException) -> bool:
    import requests.exceptions
    import urllib3.exceptions
    from google.auth.exceptions import TransportError

    if isinstance(error, requests.exceptions.SSLError):
        return False
    return isinstance(
        error,
        ConnectionError
        | TimeoutError
        | TransportError
        | requests.exceptions.ConnectionError
        | requests.exceptions.Timeout
        | requests.exceptions.ChunkedEncodingError
        | urllib3.exceptions.ProtocolError
        | urllib3.exceptions.TimeoutError
        | urllib3.exceptions.MaxRetryError,
    )


def _outcome(error: BaseException) -> str:
    status = status_of(error)
    if status is not None:
        return f"answered {status}"
    return "no answer in time" if "timed out" in str(error).lower() else "the connection dropped"


def _message_of(error: BaseException) -> str:
    """Return what the service itself says, in brackets, or nothing."""
    response = getattr(error, "response", None)
    body = str(getattr(error, "body", None) or getattr(response, "text", ""))
    line = " ".join(_body_message(body).split())[:_LONGEST_MESSAGE]
    return f" ({line})" if line else ""


def _body_message(body: str) -> str:
    try:
        values = json.loads(body)
    except ValueError:
        return ""  # a page for people, by a proxy between
    if not isinstance(values, dict):
        return ""
    error = values.get("error")
    inner = error.get("message") if isinstance(error, dict) else error
    return str(values.get("message") or inner or "")
