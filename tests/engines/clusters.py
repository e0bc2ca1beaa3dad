"""Clusters of Flink and Spark with small heaps, and Beam's worker pools, as processes."""

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

_OPENED = ("lang", "lang.invoke", "lang.reflect", "io", "net", "nio", "text", "time", "util")
OPEN_MODULES = (
    *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in _OPENED),
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
)
# On two cores that much else works on, a second thread compiles nothing faster.
_SMALL_JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:CICompilerCount=1", "-Xss512k")
_START_WITHIN_S = 120


@dataclasses.dataclass
class RunningCluster:
    """A cluster that has started.

    Attributes:
        settings: Those of `beam` that lead to it.
        page: Root of its REST API.
        workers: Its TaskManagers or Spark workers.
        start_worker: Starts another one.
    """

    settings: dict[str, str]
    page: str
    workers: list[subprocess.Popen]
    start_worker: Callable[[], None]


@contextlib.contextmanager
def flink_cluster(engine: Path, folder: Path, *, num_workers: int = 2) -> Iterator[RunningCluster]:
    """Run a Flink session cluster whose TaskManagers have a slot each."""
    rest, rpc = free_ports(2)
    conf = folder / "conf"
    conf.mkdir(parents=True)
    settings = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": rpc,
        "rest.address": "127.0.0.1",
        "rest.port": rest,
        "rest.bind-port": rest,
        "taskmanager.host": "127.0.0.1",
        "taskmanager.numberOfTaskSlots": 1,
        "taskmanager.cpu.cores": 1,
        # All of them, since no script of Flink's works them out here.
        "taskmanager.memory.framework.heap.size": "64m",
        "taskmanager.memory.framework.off-heap.size": "64m",
        "taskmanager.memory.jvm-metaspace.size": "128m",
        "taskmanager.memory.jvm-overhead.min": "64m",
        "taskmanager.memory.jvm-overhead.max": "64m",
        "taskmanager.memory.task.heap.size": "192m",
        "taskmanager.memory.task.off-heap.size": "32m",
        "taskmanager.memory.network.min": "48m",
        "taskmanager.memory.network.max": "48m",
        "taskmanager.memory.managed.size": "64m",
        "heartbeat.interval": 2000,
        "heartbeat.timeout": 8000,
        "io.tmp.dirs": folder,
        "restart-strategy.type": "none",
    }
    lines = "".join(f"{name}: {value}\n" for name, value in settings.items())
    (conf / "config.yaml").write_text(lines)
    log = conf / "log4j.properties"
    log.write_text(
        "rootLogger.level=INFO\nrootLogger.appenderRef.c.ref=C\nappender.c.name=C\n"
        "appender.c.type=CONSOLE\nappender.c.layout.type=PatternLayout\n"
        "appender.c.layout.pattern=%d %-5p %c - %m%n\n"
    )
    java = ["java", *_SMALL_JAVA, *OPEN_MODULES, f"-Dlog4j.configurationFile={log}"]
    java += ["-cp", f"{engine}/jars/*"]
    main = "org.apache.flink.runtime"
    workers: list[subprocess.Popen] = []
    with _Processes(folder) as processes:
        processes.start(
            "jobmanager",
            [*_heap(java, "256m"), f"{main}.entrypoint.StandaloneSessionClusterEntrypoint"],
            ["--configDir", str(conf)],
        )

        def start_worker() -> None:
            command = [*_heap(java, "320m"), f"{main}.taskexecutor.TaskManagerRunner"]
            name = f"taskmanager-{len(workers)}"
            workers.append(processes.start(name, command, ["--configDir", str(conf)]))

        for _ in range(num_workers):
            start_worker()
        page = f"http://127.0.0.1:{rest}"
        wait_for(lambda: f'"slots-total":{num_workers}' in _read(f"{page}/overview"))
        beam = {"runner": "flink", "flink_master": f"127.0.0.1:{rest}"}
        yield RunningCluster(beam, page, workers, start_worker)


@contextlib.contextmanager
def spark_cluster(engine: Path, folder: Path, *, num_workers: int = 2) -> Iterator[RunningCluster]:
    """Run a Spark standalone cluster whose workers have a core each."""
    port, page_port = free_ports(2)
    java = ["java", *_SMALL_JAVA, *OPEN_MODULES, "-Xmx256m", "-cp", f"{engine}/jars/*"]
    deploy = "org.apache.spark.deploy"
    environment = {
        "SPARK_HOME": str(engine),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_SCALA_VERSION": "2.12",  # which its launcher looks for in a build otherwise
    }
    master = f"spark://127.0.0.1:{port}"
    workers: list[subprocess.Popen] = []
    folder.mkdir(parents=True, exist_ok=True)
    with _Processes(folder) as processes:
        address = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page_port)]
        processes.start("master", [*java, f"{deploy}.master.Master"], address, environment)
        page = f"http://127.0.0.1:{page_port}"

        def start_worker() -> None:
            name = f"worker-{len(workers)}"
            limits = ["--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "1g"]
            arguments = [*limits, "--work-dir", str(folder / name), master]
            command = [*java, f"{deploy}.worker.Worker"]
            workers.append(processes.start(name, command, arguments, environment))

        wait_for(lambda: "workers" in _read(f"{page}/json/"))
        for _ in range(num_workers):
            start_worker()
        wait_for(lambda: _read(f"{page}/json/").count('"ALIVE"') > num_workers)  # and the master
        beam = {"runner": "spark", "spark_master": master, "spark_page": f"127.0.0.1:{page_port}"}
        yield RunningCluster(beam, page, workers, start_worker)


@contextlib.contextmanager
def worker_pool(folder: Path) -> Iterator[str]:
    """Run one of Beam's worker pools, which starts a process for each worker; yield its address."""
    (port,) = free_ports(1)
    # The pool starts `python`: it must be this one.
    environment = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    main = "apache_beam.runners.worker.worker_pool_main"
    folder.mkdir(parents=True, exist_ok=True)
    with _Processes(folder) as processes:
        command = [sys.executable, "-m", main]
        processes.start("pool", command, ["--service_port", str(port)], environment)
        wait_for(lambda: _listens(port))
        yield f"localhost:{port}"


def free_ports(number: int) -> list[int]:
    """Return ports of this machine that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_for(
    condition: Callable[[], bool], *, within_s: float = _START_WITHIN_S, poll_s: float = 0.2
) -> None:
    """Wait until something holds, which is tried every `poll_s` seconds.

    Raises:
        TimeoutError: It does not in time.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s:g} s")
        time.sleep(poll_s)


class _Processes:
    """Processes with a log each, which are killed with all their children in the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen:
        """Start a process whose output goes into NAME.log."""
        with (self._folder / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that its children are killed with it
                env={**os.environ, **(environment or {})},
            )
        self._running.append(process)
        return process

    def __enter__(self) -> "_Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            kill_with_children(process)


def kill_with_children(process: subprocess.Popen) -> None:
    """Kill a process that `clusters` started, and all that it started; wait for its end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _heap(java: Sequence[str], size: str) -> list[str]:
    """Return a command of Java with a largest heap."""
    return [java[0], f"-Xmx{size}", *java[1:]]


def _read(url: str) -> str:
    """Return the text at an address; empty if nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def _listens(port: int) -> bool:
    """Return whether something listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
