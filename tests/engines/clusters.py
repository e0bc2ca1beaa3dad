"""Clusters of Dask, Flink and Spark as processes, those of Java with small heaps."""

import contextlib
import dataclasses
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.engines.networks import Network
from tests.engines.processes import Processes, free_ports, read_page, wait_for

_OPENED = ("lang", "lang.invoke", "lang.reflect", "io", "net", "nio", "text", "time", "util")
OPEN_MODULES = (
    *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in _OPENED),
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
)
# On two cores that much else works on, a second thread compiles nothing faster.
QUICK_JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:CICompilerCount=1")


@dataclasses.dataclass
class RunningCluster:
    """A cluster that has started.

    Attributes:
        settings: Those of `beam` that lead to it.
        page: Root of its REST API; empty for Dask.
        workers: Its workers; of Flink the TaskManagers.
        start_worker: Starts another one, in a network of its own if one is given; not for Dask.
    """

    settings: dict[str, object]
    page: str
    workers: list[subprocess.Popen]
    start_worker: Callable[..., None]

    def with_pool(self, address: str) -> "RunningCluster":
        """Return the same cluster with the settings for a worker pool."""
        pool = {"environment_type": "EXTERNAL", "environment_config": address}
        return dataclasses.replace(self, settings=self.settings | pool)


@contextlib.contextmanager
def flink_cluster(
    engine: Path, folder: Path, *, num_workers: int = 2, host: str = "127.0.0.1"
) -> Iterator[RunningCluster]:
    """Run a Flink session cluster whose TaskManagers have a slot each; it listens at `host`."""
    rest, rpc = free_ports(2)
    conf = folder / "conf"
    conf.mkdir(parents=True)
    settings = {
        "jobmanager.rpc.address": host,
        "jobmanager.rpc.port": rpc,
        "rest.address": host,
        "rest.port": rest,
        "rest.bind-port": rest,
        "taskmanager.host": host,
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
        "heartbeat.timeout": 15000,
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
    java = ["java", *QUICK_JAVA, "-Xss512k", *OPEN_MODULES, f"-Dlog4j.configurationFile={log}"]
    java += ["-cp", f"{engine}/jars/*"]
    main = "org.apache.flink.runtime"
    workers: list[subprocess.Popen] = []
    numbers = itertools.count()
    with Processes(folder) as processes:
        processes.start(
            "jobmanager",
            [*_heap(java, "256m"), f"{main}.entrypoint.StandaloneSessionClusterEntrypoint"],
            ["--configDir", str(conf)],
        )

        def start_worker(network: Network | None = None) -> None:
            command = [*_heap(java, "320m"), f"{main}.taskexecutor.TaskManagerRunner"]
            arguments = ["--configDir", str(conf)]
            if network:
                command = network.command(command)
                arguments.append(f"-Dtaskmanager.host={network.inside}")
            workers.append(processes.start(f"taskmanager-{next(numbers)}", command, arguments))

        for _ in range(num_workers):
            start_worker()
        page = f"http://{host}:{rest}"
        wait_for(lambda: f'"slots-total":{num_workers}' in read_page(f"{page}/overview"))
        beam: dict[str, object] = {"runner": "flink", "flink_master": f"{host}:{rest}"}
        yield RunningCluster(beam, page, workers, start_worker)


@contextlib.contextmanager
def spark_cluster(
    engine: Path, folder: Path, *, num_workers: int = 2, host: str = "127.0.0.1"
) -> Iterator[RunningCluster]:
    """Run a Spark standalone cluster whose workers have a core each; it listens at `host`."""
    port, page_port = free_ports(2)
    java = ["java", *QUICK_JAVA, "-Xss512k", *OPEN_MODULES, "-Xmx256m", "-Dspark.worker.timeout=20"]
    java += ["-cp", f"{engine}/jars/*"]
    deploy = "org.apache.spark.deploy"
    environment = {
        "SPARK_HOME": str(engine),
        "SPARK_LOCAL_IP": host,
        "SPARK_SCALA_VERSION": "2.12",  # which its launcher looks for in a build otherwise
    }
    master = f"spark://{host}:{port}"
    workers: list[subprocess.Popen] = []
    numbers = itertools.count()
    folder.mkdir(parents=True, exist_ok=True)
    with Processes(folder) as processes:
        address = ["--host", host, "--port", str(port), "--webui-port", str(page_port)]
        processes.start("master", [*java, f"{deploy}.master.Master"], address, environment)
        page = f"http://{host}:{page_port}"

        def start_worker(network: Network | None = None) -> None:
            name, command = f"worker-{next(numbers)}", [*java, f"{deploy}.worker.Worker"]
            own_host = network.inside if network else host
            limits = ["--host", own_host, "--webui-port", "0", "--cores", "1", "--memory", "1g"]
            arguments = [*limits, "--work-dir", str(folder / name), master]
            own = {**environment, "SPARK_LOCAL_IP": own_host}
            command = network.command(command) if network else command
            workers.append(processes.start(name, command, arguments, own))

        wait_for(lambda: "workers" in read_page(f"{page}/json/"))
        for _ in range(num_workers):
            start_worker()
        wait_for(
            lambda: read_page(f"{page}/json/").count('"ALIVE"') > num_workers
        )  # and the master
        beam: dict[str, object] = {
            "runner": "spark",
            "spark_master": master,
            "spark_page": f"{host}:{page_port}",
        }
        yield RunningCluster(beam, page, workers, start_worker)


@contextlib.contextmanager
def dask_cluster(folder: Path, *, num_workers: int = 2) -> Iterator[RunningCluster]:
    """Run a Dask scheduler and workers of a thread each."""
    import distributed

    (port,) = free_ports(1)
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "dask"]
    workers: list[subprocess.Popen] = []
    folder.mkdir(parents=True, exist_ok=True)
    with Processes(folder) as processes:
        options = ["--host", address, "--no-dashboard", "--no-show"]
        processes.start("scheduler", [*dask, "scheduler"], options)

        def start_worker(_: Network | None = None) -> None:
            options = [address, "--nthreads=1", "--no-dashboard", "--no-nanny"]
            options += ["--local-directory", str(folder)]
            workers.append(processes.start(f"worker-{len(workers)}", [*dask, "worker"], options))

        for _ in range(num_workers):
            start_worker()
        with distributed.Client(address, timeout=60) as client:
            client.wait_for_workers(num_workers, timeout=60)
        yield RunningCluster(
            {"runner": "dask", "dask_scheduler": address}, "", workers, start_worker
        )


def _heap(java: Sequence[str], size: str) -> list[str]:
    """Return a command of Java with a largest heap."""
    return [java[0], f"-Xmx{size}", *java[1:]]
