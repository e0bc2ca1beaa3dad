"""Errors that all storages of objects share, each as one line that names a remedy."""

from pathlib import Path

from albert_core.errors import InputError, NoAccessError, NoConnectionError, ServiceError
from albert_core.network.connection_failures import UnreachableError, explain_failure

_LONGEST_MESSAGE = 300


class WriteConflictError(InputError):
    """Object changed since it was read (a conditional write was refused)."""


class MissingObjectError(InputError):
    """Bucket or object that was asked for is not there."""


def conflict_error(path: str) -> WriteConflictError:
    """Return the error of a write that came after another process's."""
    return WriteConflictError(
        f"{path}: exists already; another run was faster, whose result is complete"
    )


def missing_error(path: str | Path) -> MissingObjectError:
    """Return the error of a request for a bucket or an object that is not there."""
    return MissingObjectError(f"{path}: no such bucket or object; check the address")


def no_object_error(path: str) -> MissingObjectError:
    """Return the error of an address at which there is no object."""
    return MissingObjectError(f"{path}: no such object; expected one that exists")


def failing_service_error(
    path: str | Path, service: str, status: int, message: str
) -> ServiceError:
    """Return the error of a service that kept failing.

    Args:
        path: The address that was asked for.
        service: Name of the service.
        status: Its last answer's status.
        message: Its last answer's message.
    """
    return ServiceError(f"{path}: {service} answered {status} ({message}); try again later")


def refused_request_error(path: str | Path, service: str, status: int, message: str) -> InputError:
    """Return the error of a request that a service does not take.

    Args:
        path: The address that was asked for.
        service: Name of the service.
        status: The answer's status.
        message: The answer's message.
    """
    return InputError(f"{path}: {service} answered {status} ({message}); correct it")


def unreachable_error(
    path: str | Path, error: UnreachableError
) -> NoAccessError | NoConnectionError:
    """Return the error for a service that is not reached; NoAccessError if waiting is in vain."""
    kind = NoAccessError if error.is_lasting else NoConnectionError
    return kind(f"{path}: {error}")


def lost_connection_error(path: str | Path, service: str, error: BaseException) -> ServiceError:
    """Return the error of a connection that was lost.

    It says why where `explain_failure` knows. It is no InputError: what was to be looked at may be
    there.
    """
    failure = explain_failure(error)
    reason = failure.reason if failure else f"{one_line(str(error))}; try again later"
    return ServiceError(f"{path}: the connection to {service} was lost: {reason}")


def one_line(text: str) -> str:
    """Return a text in one line, with single spaces as white space, cut after 300 characters.

    No ellipsis shows that it was cut.
    """
    return " ".join(text.split())[:_LONGEST_MESSAGE]
