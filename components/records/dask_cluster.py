"""A Dask cluster is looked at before it is given work."""

import socket
import struct

from albert_core.connection_failures import explain_failure
from albert_core.errors import InputError
from albert_core.progress import ReportProgress

_ANSWER_WITHIN_S = 3.0
_LONGEST_GREETING_BYTES = 1 << 20


_EXPECTED = "expected a running one (`dask scheduler`)"


def check_scheduler(address: str, progress: ReportProgress) -> None:
    """Refuse an address at which no Dask scheduler answers, within 10 seconds.

    A scheduler without workers is told of, not refused: they may be on their way.

    Args:
        address: The setting `beam.dask_scheduler`.
        progress: Called with what is told.

    Raises:
        InputError: There is none, or the address is not one of Dask's.
    """
    import distributed
    from distributed.comm import get_address_host_port

    setting = f"beam.dask_scheduler {address}"
    try:
        host, port = get_address_host_port(address, strict=True)
    except ValueError as error:
        raise InputError(f"{setting}: {error}; expected one such as tcp://host:8786") from error
    try:
        # Dask itself tries for half a minute where nothing listens, and for ever where nobody
        # answers. Its scheduler speaks first: the length of its greeting, and that.
        with socket.create_connection((host, port), timeout=_ANSWER_WITHIN_S) as connection:
            is_dask = address.startswith("tls://") or _is_greeting(connection.recv(8))
    except OSError as error:
        failure = explain_failure(error)
        reason = failure.reason if failure else "nobody answers in time"
        raise InputError(f"{setting}: {reason}; {_EXPECTED}") from error
    if not is_dask:
        raise InputError(f"{setting}: what answers is no Dask scheduler; {_EXPECTED}")
    try:
        with distributed.Client(
            address, timeout=int(_ANSWER_WITHIN_S), set_as_default=False
        ) as client:
            has_workers = bool(client.scheduler_info()["workers"])
    except (OSError, ValueError) as error:
        raise InputError(f"{setting}: {' '.join(str(error).split())}; {_EXPECTED}") from error
    if not has_workers:
        progress(0, 0, f"the Dask scheduler {address} has no workers yet: waiting for some")


def _is_greeting(beginning: bytes) -> bool:
    """Return whether 8 bytes are the length of what Dask sends to whoever connects."""
    return len(beginning) == 8 and 0 < struct.unpack("<Q", beginning)[0] < _LONGEST_GREETING_BYTES
