"""Beam's worker pools, which start processes of Python, and the boot program of Beam's images."""

import contextlib
import ensurepip
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.engines.networks import Network
from tests.engines.processes import (
    Processes,
    children,
    free_ports,
    kill_with_children,
    listens,
    wait_for,
)
from tests.helpers.zygote import Zygote

# Beam numbers the processes for each TaskManager or executor from 1 on, so that it needs a pool of
# its own: a request of one of them to stop its process would stop the other one's. Here they share
# a machine, and so an address; the processes end with their connections, too.
_POOL = """
import sys
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.worker import worker_pool_main as pool
stopped = lambda *_: beam_fn_api_pb2.StopWorkerResponse()
pool.BeamFnExternalWorkerPoolServicer.StopWorker = stopped
pool.main(sys.argv)
"""


def boot_environment() -> dict[str, str]:
    """Return the variables with which the boot program starts the Python of this process.

    It asks pip whether Beam is installed; environments without pip get that which is in Python.
    """
    pip = next(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"))
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(pip),
        "RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT": "1",
    }


class WorkerPool:
    """One of Beam's worker pools: a process that starts another for each worker.

    Args:
        folder: Receives its log.
        port: Where it listens; a free one when 0.
        network: The network that it is in; this machine's when None.
        boot: The boot program by which it starts them; it does so by Python when None.

    Attributes:
        port: Where it listens, also when it has been started again.
        address: The same, as its workers call it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        network: Network | None = None,
        boot: Path | None = None,
    ) -> None:
        self.port = port or free_ports(1)[0]
        self.address = f"localhost:{self.port}"
        self._network, self._boot = network, boot
        self._processes = Processes(folder)
        self.start()

    def start(self) -> None:
        """Start it and wait until it listens."""
        arguments = ["--service_port", str(self.port)]
        if self._boot:
            arguments += ["--container_executable", str(self._boot)]
        command, host = [sys.executable, "-c", _POOL], "127.0.0.1"
        if self._network:
            command, host = self._network.command(command), self._network.inside
        self._process = self._processes.start("pool", command, arguments, boot_environment())
        wait_for(lambda: listens(host, self.port))

    def kill(self) -> None:
        """Kill it and the processes that it has started."""
        kill_with_children(self._process)

    def workers(self) -> list[int]:
        """Return the ids of the processes that it has started and that have not ended."""
        return children(self._process.pid)

    def kill_workers(self) -> int:
        """Kill the processes that it has started, and return their number."""
        workers = self.workers()
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        return len(workers)


@contextlib.contextmanager
def worker_pool(
    folder: Path,
    *,
    port: int = 0,
    network: Network | None = None,
    boot: Path | None = None,
) -> Iterator[WorkerPool]:
    """Run a worker pool, as `WorkerPool` describes it; its log is in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pool = WorkerPool(folder, port=port, network=network, boot=boot)
    try:
        yield pool
    finally:
        pool.kill()


@contextlib.contextmanager
def forked_pool(zygote: Zygote) -> Iterator[str]:
    """Run a worker pool as a fork, which starts forks; yield its address, as its workers call it.

    Signals to those that it has started do not reach the forks, which end with their connections.
    """
    (port,) = free_ports(1)
    path = f"{zygote.python.parent}{os.pathsep}{os.environ['PATH']}"
    pool = zygote.start(["--service_port", str(port)], {"PATH": path}, _POOL)
    try:
        wait_for(lambda: listens("127.0.0.1", port))
        yield f"localhost:{port}"
    finally:
        pool.kill()
