"""Errors of S3 and of credentials for it, as one line that names a remedy."""

import contextlib
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
from albert_core.object_storage.s3.client import (
    SERVICE,
    ForeignServerError,
    cause_of,
    endpoint_in_use,
    is_amazon,
    is_anonymous,
    login_remedy,
    look_for_credentials_again,
)

# Codes of S3, or of a status where an answer has no code.
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired")
_WRONG_KEYS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidSecurity")
_CONFLICTS = ("PreconditionFailed", "ConditionalRequestConflict", "412")
_OTHER_REGION = (
    "301",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
)
_MISSING = ("404", "NoSuchBucket", "NoSuchKey", "NotFound")


@contextlib.contextmanager
def s3_errors(path: str | Path) -> Iterator[None]:
    """Turn errors of S3 into errors of one line that name a remedy; others pass as they are.

    Raises:
        WriteConflictError: A conditional write was refused.
        NoAccessError: There are no credentials, they are refused or have no right to this, or
            the connection fails whenever it is tried (a certificate).
        InputError: There is no such bucket or object, it is in another region, or S3 does not take
            the request.
        NoConnectionError: There is no way to the server now, such as no network.
        ServiceError: S3 failed, or the connection was lost, for as long as it was tried again.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        raise _refusal(path, error) from error
    except UnreachableError as error:
        raise unreachable_error(path, error) from error
    except (ForeignServerError, ResponseParserError) as error:
        raise InputError(
            f"{path}: what answers at {endpoint_in_use()} does not speak S3; correct "
            "storage.endpoint, or AWS_ENDPOINT_URL_S3"
        ) from error
    except BotoCoreError as error:
        raise _client_error(path, error) from error
    except HTTPError as error:
        raise lost_connection_error(path, SERVICE, error) from error


def code_of(error: Any) -> str:
    """Return S3's code for what went wrong, or else the status, of an error of botocore's client.

    Empty for an answer without either.
    """
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: Any) -> int:
    """Return the status of the answer that an error of botocore's client tells of; 0 without it."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _refusal(path: str | Path, error: Any) -> InputError | ServiceError:
    """Return the error of a request that S3 refused or failed at.

    It is a ServiceError for failures that may be temporary, otherwise an InputError; of these
    classes the most specific subclass.
    """
    details, status, code = error.response.get("Error", {}), status_of(error), code_of(error)
    message = one_line(f"{code}: {details['Message']}" if details.get("Message") else code)
    if code in _CONFLICTS:
        return conflict_error(str(path))
    if code in _MISSING:
        return missing_error(path)
    if code in _OTHER_REGION:
        return _other_region(path, message, details.get("Region"))
    if refusal := _refused_login(path, code, message):
        return refusal
    if status in (429, 500, 502, 503, 504) or code in ("NoSuchUpload", "SlowDown"):
        return failing_service_error(path, SERVICE, status, message)
    return refused_request_error(path, SERVICE, status, message)


def _refused_login(path: str | Path, code: str, message: str) -> NoAccessError | None:
    """Return the error if credentials are refused or have no right to this; else None.

    After a refusal without credentials, the next call looks for some anew.
    """
    if code in _EXPIRED:
        return NoAccessError(f"{path}: the login at S3 has expired ({code}); {login_remedy()}")
    if code in _WRONG_KEYS:
        return NoAccessError(
            f"{path}: the credentials are refused at {endpoint_in_use()} ({code}); correct them, "
            "or the endpoint"
        )
    if code == "RequestTimeTooSkewed":
        return NoAccessError(f"{path}: refused ({code}); set this machine's clock")
    if code not in ("AccessDenied", "AllAccessDisabled", "AccountProblem", "401", "403"):
        return None
    if is_anonymous():
        look_for_credentials_again()
        return NoAccessError(
            f"{path}: not public, and there are no credentials for S3; {login_remedy()}"
        )
    return NoAccessError(
        f"{path}: permission denied ({message}); give this account s3:ListBucket, s3:GetObject, "
        "s3:PutObject and s3:DeleteObject on the bucket"
    )


def _other_region(path: str | Path, message: str, region: str | None) -> InputError:
    """Return the error for a bucket in another region, which it names if S3 named it."""
    named = region or "the bucket's region"
    remedy = f"set AWS_DEFAULT_REGION to {named}"
    if not is_amazon():
        remedy += f", or correct the endpoint {endpoint_in_use()}"
    return InputError(f"{path}: the bucket is in another region ({message}); {remedy}")


def _client_error(path: str | Path, error: Any) -> InputError | ServiceError:
    """Return the error for what botocore itself raised about a connection, credentials or settings.

    A lost connection is a ServiceError, an impossible address an InputError; anything else is taken
    for credentials that cannot be used.
    """
    from botocore import exceptions

    lost = (
        exceptions.ConnectionError,
        exceptions.HTTPClientError,
        exceptions.IncompleteReadError,
    )
    message = one_line(str(error)).rstrip(".")
    if isinstance(error, lost):
        return lost_connection_error(path, SERVICE, cause_of(error))
    if isinstance(error, exceptions.ValidationError | exceptions.ParamValidationError):
        return InputError(f"{path}: {message}; correct the address")
    if isinstance(error, exceptions.NoCredentialsError):
        return NoAccessError(f"{path}: there are no credentials for S3; {login_remedy()}")
    return NoAccessError(f"{path}: no usable credentials for S3 ({message}); {login_remedy()}")
