"""Sessions with Google's servers, which end in a reason where there is no way to a server.

Imports Google's packages at the first call.
"""

from typing import Any

from albert_core.network.connection_failures import UnreachableError, explain_failure
from albert_core.network.first_answer import Attempts, connect_timeout

_LOGIN = "logging in at Google"


def mount_adapters(session: Any, service: str) -> None:
    """Let a session, and the session that it logs in with, end with an `UnreachableError`.

    Adapters of https that send client certificates (mTLS) stay. So does the adapter of http for
    logins: the metadata server of a new pod answers late, and is asked several times.

    Args:
        session: A `google.auth.transport.requests.AuthorizedSession` that logs in by itself.
        service: Name of the server that it calls, for messages.
    """
    session.mount("http://", _make_adapter(service))
    if not session.is_mtls:
        session.mount("https://", _make_adapter(service))
        session._auth_request_session.mount("https://", _make_adapter(_LOGIN))


def login_request() -> Any:
    """Return a `google.auth.transport.requests.Request`, by which credentials get their tokens.

    Its https connections end with an `UnreachableError` where Google is not reached. Makes no
    request.
    """
    import requests
    from google.auth.transport.requests import Request

    session = requests.Session()
    session.mount("https://", _make_adapter(_LOGIN))
    return Request(session)


def _make_adapter(service: str) -> Any:
    """Return an adapter of requests that ends with an `UnreachableError` before the first answer.

    That is when `Attempts` end, as at once where a certificate is refused. Once the server has
    answered, errors are raised unchanged, except for a missing file of certificates.

    Args:
        service: Name of the server, for messages.
    """
    from requests.adapters import HTTPAdapter
    from requests.exceptions import RequestException

    class Adapter(HTTPAdapter):
        """Sends requests; knows whether there was an answer yet."""

        has_answered = False
        attempts: Attempts | None = None

        def send(self, request: Any, *args: Any, timeout: Any = None, **kwargs: Any) -> Any:
            """Send a request and return the answer; the first connection may have to be quick.

            Raises:
                UnreachableError: The server has not answered, and `Attempts` end; or the file of
                    certificates is not there.
                requests.exceptions.RequestException: The attempt failed in any other case.
            """
            connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
            timeout = (connect_timeout(connect, has_answered=self.has_answered), read)
            self.attempts = self.attempts or Attempts()
            try:
                response = super().send(request, *args, timeout=timeout, **kwargs)
            except RequestException as error:
                self._end_if_hopeless(error)
                raise
            except OSError as error:  # a file of certificates that is not there
                raise UnreachableError(f"{service}: {error}", is_lasting=True) from error
            self.has_answered = True
            return response

        def _end_if_hopeless(self, error: Exception) -> None:
            """Count a failed attempt; returns where the server has answered, or may be tried again.

            Raises:
                UnreachableError: `Attempts` end.
            """
            if self.has_answered:
                return
            failure = explain_failure(error)
            attempts = self.attempts or Attempts()
            if attempts.end_with(failure) and failure:
                self.attempts = None  # a later call of the same process starts anew
                reason = f"{service}: {failure.reason}"
                raise UnreachableError(reason, is_lasting=failure.is_lasting) from error

    return Adapter()
