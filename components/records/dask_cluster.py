"""A Dask cluster is looked at before it is given work."""

import socket

from albert_core.errors import InputError
from albert_core.network.connection_failures import explain_failure
from albert_core.progress import ReportProgress, report_message

_CONNECT_WITHIN_S = 3.0
_ANSWER_WITHIN_S = 30.0
_LONGEST_GREETING_BYTES = 1 << 20
_LENGTH_BYTES = 8  # of the length that comes before a message
_EXPECTED = "expected a running one (`dask scheduler`)"


def check_scheduler(address: str, progress: ReportProgress) -> None:
    """Refuse an address at which no Dask scheduler answers.

    That nothing listens at a tcp:// address is told within 3 seconds. A scheduler that is busy has
    half a minute to answer. One without workers is told of, not refused: they may be on their
    way.

    Args:
        address: The setting `beam.dask_scheduler`.
        progress: Called with a message if there are no workers.

    Raises:
        InputError: There is none, or the address is not one of Dask's.
    """
    import distributed

    setting = f"beam.dask_scheduler {address}"
    _check_connection(address, setting)
    try:
        with distributed.Client(
            address, timeout=int(_ANSWER_WITHIN_S), set_as_default=False
        ) as client:
            has_workers = bool(client.scheduler_info()["workers"])
    except (OSError, ValueError) as error:
        raise InputError(f"{setting}: {' '.join(str(error).split())}; {_EXPECTED}") from error
    if not has_workers:
        report_message(
            progress, f"the Dask scheduler {address} has no workers yet: waiting for some"
        )


def _check_connection(address: str, setting: str) -> None:
    """Refuse a tcp:// address that cannot be connected to, or where another program answers.

    Dask itself tries for half a minute where nothing listens, and for ever where nobody answers.
    For addresses of Dask's other protocols only the form is checked.

    Args:
        address: The address.
        setting: What it is, for messages.

    Raises:
        InputError: The address has no host and port, nobody answers in time, or no Dask.
    """
    from distributed.comm import get_address_host_port

    try:
        host, port = get_address_host_port(address, strict=True)
    except ValueError as error:
        raise InputError(f"{setting}: {error}; expected one such as tcp://host:8786") from error
    if not address.startswith("tcp://"):
        return
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_WITHIN_S) as connection:
            connection.settimeout(_ANSWER_WITHIN_S)
            is_dask = _is_greeted(connection)
    except OSError as error:
        failure = explain_failure(error)
        reason = failure.reason if failure else "nobody answers in time"
        raise InputError(f"{setting}: {reason}; {_EXPECTED}") from error
    if not is_dask:
        raise InputError(f"{setting}: what answers is no Dask scheduler; {_EXPECTED}")


def _is_greeted(connection: socket.socket) -> bool:
    """Read what a server sends first; return whether it begins like the greeting of Dask's.

    That is a number of 8 bytes, the length of the greeting.

    Raises:
        OSError: Nothing came in time, or the connection was lost.
    """
    beginning = b""
    while len(beginning) < _LENGTH_BYTES:
        received = connection.recv(_LENGTH_BYTES - len(beginning))
        if not received:
            return False
        beginning += received
    return 0 < int.from_bytes(beginning, "little") < _LONGEST_GREETING_BYTES
