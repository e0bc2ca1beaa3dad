"""Calls to a service over HTTP: retried while that may help, never creating a thing twice.

The exceptions of Google's clients, of kfp's client and of requests are understood alike.
"""

import dataclasses
import json
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from albert_core.errors import InputError, ServiceError
from albert_core.network.connection_failures import (
    ConnectionFailure,
    UnreachableError,
    explain_failure,
)
from albert_core.network.first_answer import Attempts, connect_timeout, is_interactive
from albert_core.object_storage.google.errors import describe_refused_login
from albert_core.settings.checks import check_positive

Result = TypeVar("Result")

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
_MAX_MESSAGE_LENGTH = 300


@dataclasses.dataclass(frozen=True, kw_only=True)
class CallConfig:
    """Time-outs, retries and certificates of calls to a service.

    A number that is not above 0 raises InputError.

    Attributes:
        timeout_s: Seconds to wait for an answer.
        retry_for_s: Seconds to keep trying when a call fails in a way that may pass: 429, 5xx, no
            answer, a dropped connection. In a process that is `interactive` (as a command is that
            a person waits for) a service that has never answered and is not reached is given up
            after seconds.
        first_pause_s: Longest pause in seconds before the second attempt; doubled for each
            further one, up to 30. Each pause is drawn between 0 and the longest.
        ca_certificates: File of certificates in PEM that are trusted beside the known ones: of a
            private authority, or of a proxy that intercepts TLS.
    """

    timeout_s: float = 60.0
    retry_for_s: float = 180.0
    first_pause_s: float = 1.0
    ca_certificates: str = ""

    def __post_init__(self) -> None:
        """Refuse numbers that are not above 0.

        Raises:
            InputError: A number is 0 or below.
        """
        check_positive(self, "calls", "timeout_s", "retry_for_s", "first_pause_s")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Service:
    """A service, and the time-outs and retries of calls to it.

    Attributes:
        name: Its name and place for messages, such as `Vertex AI in us-central1`.
        config: Time-outs and retries.
    """

    name: str
    config: CallConfig
    _answered: threading.Event = dataclasses.field(
        default_factory=threading.Event, compare=False, repr=False
    )

    def call(self, action: str, function: Callable[[float], Result]) -> Result:
        """Call a function until it succeeds, and return its result.

        Failures that may pass (quota, 5xx, no answer, a lost connection) are retried with growing
        pauses, with a line on standard error, until `config.retry_for_s` seconds are over;
        others are raised at once. Before the first answer a certificate that is refused is final,
        and in an interactive process a service is given up after three attempts, or four seconds,
        without such lines, if the reason is known (no network, no such host, nothing that
        listens). Errors that are neither the service's, the connection's nor of
        the login, and InputError and ServiceError, are let through as they are.

        Args:
            action: What the call does, for messages, such as `submit run-1`.
            function: Makes the call; gets `config.timeout_s`, the seconds to wait for an answer.
                May be called again although it did its work, when the answer was lost.

        Raises:
            ServiceError: The service refused, or kept failing.
        """
        from google.api_core.exceptions import RetryError
        from google.api_core.retry import Retry

        def announce(error: Exception) -> None:
            """Tell of an attempt that failed, unless the call is given up in seconds."""
            if self._answered.is_set() or _reason_of(error) is None or not is_interactive():
                print(f"{action}: {_describe(error)}; trying again", file=sys.stderr, flush=True)

        def call_and_note(timeout_s: float) -> Result:
            """Call the function, and note that the service answered, be it with an error."""
            try:
                result = function(timeout_s)
            except Exception as error:
                if http_status(error) is not None:
                    self._answered.set()
                raise
            self._answered.set()
            return result

        retry = Retry(
            predicate=self._make_predicate(),
            initial=self.config.first_pause_s,
            maximum=30.0,
            timeout=self.config.retry_for_s,
            on_error=announce,
        )
        try:
            return retry(call_and_note)(self.config.timeout_s)
        except (InputError, ServiceError):
            raise
        except Exception as error:
            failed = error.cause if isinstance(error, RetryError) and error.cause else error
            if service_error := self.explain(action, failed):
                raise service_error from error
            raise

    def explain(self, action: str, error: BaseException) -> ServiceError | None:
        """Return the error of a call that failed, as people read it.

        None if it is neither of the service, nor of the connection, nor of the login.

        Args:
            action: What the call does, for messages.
            error: What a client raised.
        """
        from google.auth.exceptions import GoogleAuthError

        if isinstance(error, UnreachableError):
            return ServiceError(f"{action}: {error}")
        if http_status(error) is not None or _is_lost_connection(error):
            return self._service_error(action, error)
        if failure := explain_failure(error):
            return ServiceError(f"{action}: {self.name}: {failure.reason}")
        if isinstance(error, GoogleAuthError):
            return ServiceError(f"{action}: {self.name}: {describe_refused_login(error)}")
        return None

    def _make_predicate(self) -> Callable[[Exception], bool]:
        """Return a function that tells of an error of a call whether the call is made again.

        It is for one call, and to be asked once for each of its failed attempts, which it counts.
        """
        attempts = Attempts()

        def is_worth_another(error: Exception) -> bool:
            """Return whether the same call may succeed later."""
            failure = _reason_of(error)
            if self._answered.is_set():
                # Whatever keeps it from being reached was not there before: also a certificate.
                return failure is not None or _is_temporary(error)
            is_over = attempts.end_with(failure)
            return _is_temporary(error) if failure is None else not is_over

        return is_worth_another

    def timeouts(self, timeout_s: float) -> tuple[float, float]:
        """Return the seconds to connect in and to read in, as requests and urllib3 take them.

        Before the first answer an interactive process connects in two seconds or not at all.

        Args:
            timeout_s: Seconds to wait for an answer.
        """
        connect_s = connect_timeout(timeout_s, has_answered=self._answered.is_set())
        return connect_s or timeout_s, timeout_s

    def create_once(
        self,
        action: str,
        *,
        find: Callable[[float], Result | None],
        create: Callable[[float], Result],
    ) -> Result:
        """Return what exists, or create it; retried as in `call`.

        Every attempt looks before it creates: an answer may be lost after the service did the
        work, and a command may be given again. Neither creates a second one. What exists is
        returned as it is, not changed.

        Args:
            action: What the call does, for messages.
            find: Returns it; None if it does not exist. Gets the seconds to wait for an answer.
            create: Creates and returns it. Gets the seconds to wait for an answer.

        Raises:
            ServiceError: The service refused, or kept failing.
        """

        def find_or_create(timeout_s: float) -> Result:
            """Find or create it in one attempt; on 409 (conflict) find again before raising."""
            existing = find(timeout_s)
            if existing is not None:
                return existing
            try:
                return create(timeout_s)
            except Exception as error:
                # Taken since `find` looked: by a call of ours whose answer came too late.
                existing = find(timeout_s) if http_status(error) == CONFLICT else None
                if existing is None:
                    raise
                return existing

        return self.call(action, find_or_create)

    def _service_error(self, action: str, error: BaseException) -> ServiceError:
        """Return an error that says what failed, where, and what to do about it.

        For failures that are retried it says how long that was tried, too.

        Args:
            action: What the call does.
            error: What a client raised; without an HTTP status it counts as a lost connection.
        """
        status = http_status(error)
        config = self.config
        if failure := _reason_of(error):
            return ServiceError(f"{action}: {self.name}: {failure.reason}")
        if status is None:
            return ServiceError(
                f"{action}: {self.name}: {_describe(error)}, tried for {config.retry_for_s:g} s; "
                f"check the address and the network (calls.timeout_s is {config.timeout_s:g} s)"
            )
        meaning, remedy = _REMEDIES.get(status, _SERVICE_FAILED)
        tried = f", tried for {config.retry_for_s:g} s" if status in _TEMPORARY else ""
        return ServiceError(
            f"{action}: {self.name} answered {status}, {meaning}{tried}"
            f"{_service_message(error)}; {remedy}"
        )


def http_status(error: BaseException) -> int | None:
    """Return the HTTP status in an exception of a client; None if it has none, or 0.

    Google's clients have it as `code`, kfp's as `status`, requests in the response; the first of
    these that is set counts.
    """
    response = getattr(error, "response", None)
    for status in (
        getattr(error, "code", None),
        getattr(error, "status", None),
        getattr(response, "status_code", None),
    ):
        if isinstance(status, int) and status:
            return int(status)
    return None


def _reason_of(error: BaseException) -> ConnectionFailure | None:
    """Return why a service was not reached; None if it answered, or nothing says why."""
    return None if http_status(error) is not None else explain_failure(error)


def _is_temporary(error: Exception) -> bool:
    """Return whether the same call may succeed later: quota, a failing service, a lost call.

    These are the statuses in `_TEMPORARY`, lost connections of exceptions without a status, and
    logins that Google calls worth another try.
    """
    status = http_status(error)
    if status is not None:
        return status in _TEMPORARY
    return _is_lost_connection(error) or bool(getattr(error, "retryable", False))


def _is_lost_connection(error: BaseException) -> bool:
    """Return whether an exception tells of a connection that dropped or did not answer in time.

    A certificate that is refused is not one: to requests it is a connection error, too, but it
    will be refused again.
    """
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


def _describe(error: BaseException) -> str:
    """Return in a few words how a call failed, such as `answered 503` or `no answer in time`.

    What has no HTTP status, no known reason and is no time-out is called a dropped connection.
    """
    status = http_status(error)
    if status is not None:
        return f"answered {status}"
    if failure := explain_failure(error):
        return failure.reason
    return "no answer in time" if "timed out" in str(error).lower() else "the connection dropped"


def _service_message(error: BaseException) -> str:
    """Return the service's own message after a space, in brackets; empty if there is none.

    In one line of at most 300 characters.
    """
    response = getattr(error, "response", None)
    body = str(getattr(error, "body", None) or getattr(response, "text", ""))
    line = " ".join(_body_message(body).split())[:_MAX_MESSAGE_LENGTH]
    return f" ({line})" if line else ""


def _body_message(body: str) -> str:
    """Return the message in the JSON of an answer: `message`, else `error.message`, else `error`.

    Empty for anything else.
    """
    try:
        values = json.loads(body)
    except ValueError:
        return ""  # such as the HTML page of a proxy
    if not isinstance(values, dict):
        return ""
    error = values.get("error")
    inner = error.get("message") if isinstance(error, dict) else error
    return str(values.get("message") or inner or "")
