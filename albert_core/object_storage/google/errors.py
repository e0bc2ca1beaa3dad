"""Errors of Google Cloud Storage and of logging in there, as one line that names a remedy."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from albert_core.errors import InputError, NoAccessError, ServiceError
from albert_core.network.connection_failures import UnreachableError
from albert_core.object_storage.errors import (
    conflict_error,
    failing_service_error,
    lost_connection_error,
    missing_error,
    one_line,
    refused_request_error,
    unreachable_error,
)
from albert_core.object_storage.google.client import is_anonymous, login_remedy
from albert_core.object_storage.settings import USER_PROJECT_VARIABLE, user_project

_SERVICE = "Google Cloud Storage"
_REQUEST = re.compile(r"^[A-Z]+ https?://\S+: ")


@contextlib.contextmanager
def input_errors(path: str | Path) -> Iterator[None]:
    """Turn errors of Google Cloud Storage into errors of one line that name a remedy.

    Any other error passes as it is.

    Raises:
        WriteConflictError: A generation precondition failed.
        NoAccessError: There are no credentials, they are refused or have no right to this, or
            the connection to Google fails whenever it is tried (a certificate).
        InputError: There is no such bucket or object, or Google does not take the request.
        NoConnectionError: There is no way to Google now, such as no network.
        ServiceError: Google failed, or the connection was lost, for as long as it was tried again.
    """
    import requests.exceptions
    import urllib3.exceptions
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption

    dropped = (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, DataCorruption)
    try:
        yield
    except exceptions.PreconditionFailed as error:
        raise conflict_error(str(path)) from error
    except exceptions.RetryError as error:
        raise _lost_connection(path, error.cause or error) from error
    except exceptions.GoogleAPICallError as error:
        raise _refusal(path, error) from error
    except UnreachableError as error:
        raise unreachable_error(path, error) from error
    except GoogleAuthError as error:
        raise _login_error(path, error) from error
    except dropped as error:
        raise _lost_connection(path, error) from error


def no_error_behind_end() -> contextlib.AbstractContextManager[bool | None]:
    """Return a context that ends without an error where a range begins behind an object's end."""
    from google.api_core.exceptions import RequestRangeNotSatisfiable

    return contextlib.suppress(RequestRangeNotSatisfiable)


def _refusal(path: str | Path, error: Any) -> InputError | ServiceError:
    """Return the error of a request that Google answered with an error's status.

    It is a ServiceError for 429 and from 500 on; a NoAccessError for 401, 403 and a bucket whose
    readers pay; otherwise an InputError.
    """
    message = _message_of(error)
    if "requester pays" in message.lower() and not user_project():
        login = f"{login_remedy()}, and " if is_anonymous() else ""
        return NoAccessError(
            f"{path}: readers of this bucket pay (Requester Pays); {login}set "
            f"storage.user_project, or {USER_PROJECT_VARIABLE}, to a Google Cloud project of yours"
        )
    if error.code == 404:
        return missing_error(path)
    if error.code in (401, 403):
        return _no_right(path, message)
    if error.code == 429 or error.code >= 500:
        return failing_service_error(path, _SERVICE, error.code, message)
    return refused_request_error(path, _SERVICE, error.code, message)


def _no_right(path: str | Path, message: str) -> NoAccessError:
    """Return the error of a request that the account, or an anonymous client, may not make.

    It says whether credentials are missing, the right to make a project pay, or one on the bucket.

    Args:
        path: The address that was asked for.
        message: What Google answered; it names `serviceusage` where the right to make a project
            pay is missing.
    """
    if is_anonymous():
        return NoAccessError(
            f"{path}: not public, and there are no Google credentials; {login_remedy()}"
        )
    if "serviceusage" in message:
        return NoAccessError(
            f"{path}: permission denied; give this account the role Service Usage Consumer on "
            f"{user_project() or 'the project'}, which pays (storage.user_project)"
        )
    return NoAccessError(
        f"{path}: permission denied; give this account a role such as Storage Object Admin"
    )


def _login_error(path: str | Path, error: Any) -> NoAccessError | ServiceError:
    """Return the error of a failed login at Google: expired, revoked, impossible or interrupted.

    A connection that was lost meanwhile is a ServiceError.
    """
    from google.auth.exceptions import OAuthError, RefreshError, TransportError

    if isinstance(error, TransportError):
        return _lost_connection(path, error)
    if isinstance(error, RefreshError | OAuthError):
        return NoAccessError(f"{path}: {describe_refused_login(error)}")
    if is_anonymous():
        return _no_right(path, "")
    return NoAccessError(f"{path}: no usable Google credentials; {login_remedy()}")


def describe_refused_login(error: BaseException) -> str:
    """Return the remedy for credentials that Google gives no token for, in part of a line."""
    message = one_line(str(error.args[0]) if error.args else str(error))
    return f"the Google login has expired or is refused ({message}); {login_remedy()}"


def _lost_connection(path: str | Path, error: BaseException) -> ServiceError:
    """Return the error of a lost connection, or of a service that kept failing.

    The service kept failing if the error has the status of an answer.

    Args:
        path: The address that was asked for.
        error: What a client raised.
    """
    if code := getattr(error, "code", None):
        return failing_service_error(path, _SERVICE, code, _message_of(error))
    return lost_connection_error(path, _SERVICE, error)


def _message_of(error: Any) -> str:
    """Return the message of an answer in one line, without the request that comes before it."""
    return one_line(_REQUEST.sub("", getattr(error, "message", "") or str(error)))
