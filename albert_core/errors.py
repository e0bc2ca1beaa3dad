"""Exceptions that commands print in one line, without a traceback."""


class InputError(ValueError):
    """Bad input: a setting, a file or a folder that cannot be used as given.

    The message is one line that names the thing, what was got, what was expected and the remedy.
    Exit status 2.
    """


class NoAccessError(InputError):
    """A bucket cannot be read or written from here, however often that is tried.

    There are no credentials, they are refused or lack a right, or the connection fails for good, as
    where a certificate is not trusted. Exit status 2.
    """


class StepFailedError(RuntimeError):
    """A step of a run failed; the message names the step and its log. Exit status 1."""


class StoppedError(StepFailedError):
    """A step was stopped by a signal, and what it had done is saved. Exit status 130 or 143."""


class ServiceError(RuntimeError):
    """A service refused a call or kept failing; the message names call, service and remedy.

    Exit status 1.
    """


class NoConnectionError(ServiceError):
    """A service was not reached, which may pass. Exit status 1."""
