"""A Dask cluster is looked at before it is given work."""

import socket

from albert_core.connection_failures import explain_failure
from albert_core.errors import InputError
from albert_core.progress import ReportProgress

_CONNECT_WITHIN_S = 3.0
_ANSWER_WITHIN_S = 5


def check_scheduler(address: str, progress: ReportProgress) -> None:
    """Refuse an address at which no Dask scheduler answers, within 8 seconds.

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
        # Dask itself would try for half a minute where nothing listens.
        socket.create_connection((host, port), timeout=_CONNECT_WITHIN_S).close()
        with distributed.Client(address, timeout=_ANSWER_WITHIN_S, set_as_default=False) as client:
            has_workers = bool(client.scheduler_info()["workers"])
    except (OSError, ValueError) as error:
        failure = explain_failure(error)
        reason = failure.reason if failure else "no Dask scheduler answers in time"
        raise InputError(
            f"{setting}: {reason}; expected a running one (`dask scheduler`)"
        ) from error
    if not has_workers:
        progress(0, 0, f"the Dask scheduler {address} has no workers yet: waiting for some")
