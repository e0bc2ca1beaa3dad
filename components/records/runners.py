"""Where the Beam pipeline runs: this machine, a Dask, Flink or Spark cluster, or Beam's options."""

import dataclasses
import importlib.util
import re
from typing import TYPE_CHECKING, Literal

from albert_core.errors import InputError
from albert_core.processes.machine import num_usable_cores
from albert_core.settings.checks import check_at_least
from components.records.cluster_options import ENGINES, check_cluster_settings
from components.records.dataflow_config import (
    DataflowConfig,
    check_dataflow_settings,
    is_dataflow,
)
from components.records.dataflow_options import dataflow_options
from components.records.worker_containers import refuse_local_work

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

_LOCAL_RUNNER = "components.records.local_runner.LocalRunner"
# Beam's own, in lower case; it takes them with and without `runner` at the end. Listed, because
# settings are checked where Beam is not installed, too.
RUNNERS = (
    "bundlebaseddirectrunner",
    "dataflowrunner",
    "directrunner",
    "flinkrunner",
    "fnapirunner",
    "interactiverunner",
    "kafkastreamsrunner",
    "portablerunner",
    "prismrunner",
    "pythonrpcdirectrunner",
    "sparkrunner",
    "switchingdirectrunner",
    "testdataflowrunner",
    "testdirectrunner",
)
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_IMAGE_OPTION = "--sdk_container_image"
_BYTES_PER_PROCESS = 32 << 20  # less text than this does not pay for starting another process
_SECRET_OPTION = re.compile(
    r"--?[\w.]*(secret|password|token|connection_string)[\w.]*", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeamConfig:
    """Where and how widely the records are made; the bytes are the same everywhere.

    Settings that the runner does not have, or lacks, are refused with an InputError.

    Attributes:
        runner: `local`; `dask`, `flink` or `spark` for a cluster; `dataflow`; or any runner Beam
            knows, such as `FlinkRunner`, with its own settings in `options` and no checks.
        mode: How local workers run: `in_memory` (one), `multi_threading` or `multi_processing`;
            `auto` takes processes where there is text enough for more than one.
        num_workers: Local workers; 0 for as many as there are cores and the text is worth.
        dask_scheduler: Address of the Dask scheduler, such as `tcp://host:8786`.
        flink_master: Address of Flink's REST API, the JobManager's `host:8081`.
        spark_master: Address of the master of a Spark standalone cluster, `spark://host:7077`.
        spark_page: Address of that master's page, which tells its version; port 8080 of its host
            when not given.
        parallelism: Tasks at a time on Flink or Spark; 0 for all slots or cores that there are.
        environment_type: Where Flink and Spark run the Python code: in containers of an image
            (`DOCKER`), in Beam's worker pools that run beside their workers (`EXTERNAL`), or in
            processes that they start by a program (`PROCESS`).
        environment_config: The image (on a platform the data image when not given), the worker
            pools' `host:port` as Flink's and Spark's workers see it, or the path of the program.
        job_server_jar: Beam's job server for Flink or Spark: the jar, or a folder with it, local,
            gs:// or s3://; Beam's cache, `~/.apache_beam/cache/jars`, when not given.
        java_options: Options of Java for the job server, such as `-Xmx1g`; for Spark its
            properties, too, such as `-Dspark.executor.memory=4g`.
        job_endpoint: `host:port` of a job server that runs already; none is started then, and
            neither Java nor its jar are needed here.
        dataflow: Where and on which machines Dataflow works.
        shared_folder: Folder that all workers reach, local, gs:// or s3://, for work in progress;
            the step's own work folder when not given, which suits workers on this machine.
            Containers that Flink and Spark start reach no local one.
        options: Further options of Beam, such as `--project=mine`.
    """

    runner: str = "local"
    mode: Literal["auto", "in_memory", "multi_threading", "multi_processing"] = "auto"
    num_workers: int = 0
    dask_scheduler: str = ""
    flink_master: str = ""
    spark_master: str = ""
    spark_page: str = ""
    parallelism: int = 0
    environment_type: Literal["DOCKER", "EXTERNAL", "PROCESS"] = "DOCKER"
    environment_config: str = ""
    job_server_jar: str = ""
    java_options: tuple[str, ...] = ()
    job_endpoint: str = ""
    dataflow: DataflowConfig = dataclasses.field(default_factory=DataflowConfig)
    shared_folder: str = ""
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse settings that the runner does not have, or lacks.

        Refused are a negative number of workers; a runner that Beam does not know; local settings
        with another runner; a Dask address without Dask and the reverse; settings of Flink, Spark
        and Dataflow alike; options that look like secrets by their name; a runner other than the
        local one and Dask without a shared folder; and a local one that containers would share.

        Raises:
            InputError: A setting is refused; the message names it.
        """
        check_at_least(self, "beam", num_workers=0, parallelism=0)
        self._check_runner()
        if self.runner != "local" and (self.mode != "auto" or self.num_workers):
            raise InputError(
                f"beam.runner: got {self.runner} with beam.mode or beam.num_workers, which are for "
                "local workers; remove them, or set them in beam.options as that runner knows them"
            )
        if (self.runner == "dask") != bool(self.dask_scheduler):
            raise InputError(
                f"beam.dask_scheduler: got {self.dask_scheduler!r} with beam.runner={self.runner}; "
                "expected an address such as tcp://host:8786 with beam.runner=dask, else nothing"
            )
        check_cluster_settings(self)
        check_dataflow_settings(self)
        for name in ("options", "java_options"):
            if secrets := list(filter(_SECRET_OPTION.match, getattr(self, name))):
                raise InputError(
                    f"beam.{name}: got {secrets[0].partition('=')[0]}, expected no secrets, since "
                    "settings are kept with every run; give workers theirs by environment or "
                    "account"
                )
        if self.runner not in ("local", "dask") and not self.shared_folder:
            raise InputError(
                f"beam.shared_folder: got nothing with beam.runner={self.runner}; expected a "
                "folder that all workers reach, such as gs://bucket/work"
            )
        refuse_local_work(self)

    def _check_runner(self) -> None:
        """Refuse a runner that is neither this program's, nor Beam's, nor the path of a class.

        Raises:
            InputError: The name is no known runner's and has not the form of a class's.
        """
        name = self.runner.lower()
        is_ours = self.runner in ("local", "dask", *ENGINES)
        is_known = is_ours or not {name, f"{name}runner"}.isdisjoint(RUNNERS)
        if not is_known and not _CLASS.fullmatch(self.runner):
            raise InputError(
                f"beam.runner: got {self.runner!r}, expected local, dask, flink, spark, "
                "dataflow, another of Beam's, or the full name of a class"
            )

    def with_worker_image(self, image: str) -> "BeamConfig":
        """Return a copy with `image` for the workers of Dataflow, and for those of Flink and Spark.

        This configuration is returned where it names an image, for workers that need none, and for
        other runners.
        """
        if self.runner in ENGINES and self.environment_type == "DOCKER":
            return dataclasses.replace(self, environment_config=self.environment_config or image)
        is_named = self.dataflow.image or any(
            option.startswith(_IMAGE_OPTION) for option in self.options
        )
        if "dataflow" not in self.runner.lower() or is_named:
            return self
        # As in `dataflow_options`: without `--sdk_location`, workers would install Beam once more.
        image_options = (f"{_IMAGE_OPTION}={image}", "--sdk_location=container")
        return dataclasses.replace(self, options=(*self.options, *image_options))

    def options_for(self, *, num_bytes: int, num_splits: int) -> "PipelineOptions":
        """Return Beam's options for a corpus of this size; those in `options` come last and win.

        Not for `flink` and `spark`, whose options `cluster_options` returns. The class of a runner
        that is neither `local` nor `dask` is imported.

        Args:
            num_bytes: Size of the text; decides the number of local workers where none is set.
            num_splits: Number of splits; the number of Dask's partitions.

        Raises:
            InputError: The runner is the name of a class that there is not, or that is no runner,
                or what it needs is not installed.
        """
        from apache_beam.options.pipeline_options import PipelineOptions

        if self.runner == "dask":
            runner_options = [
                "--runner=apache_beam.runners.dask.dask_runner.DaskRunner",
                f"--dask_client_address={self.dask_scheduler}",
                f"--dask_npartitions={num_splits}",
            ]
        elif self.runner == "local":
            runner_options = self._local_options(num_bytes)
        else:
            self._import_runner()
            runner_options = [f"--runner={self.runner}"]
            if is_dataflow(self.runner):
                runner_options += dataflow_options(self)
        return PipelineOptions([*runner_options, *self.options])

    def _import_runner(self) -> None:
        """Import the runner, as Beam will once the pipeline is built.

        Raises:
            InputError: There is no such class, what it needs is not installed, or it is no runner.
        """
        from apache_beam.runners.runner import PipelineRunner, create_runner

        # Beam itself would find it missing when the pipeline is submitted.
        if "dataflow" in self.runner.lower() and importlib.util.find_spec("apitools") is None:
            raise InputError(
                f"beam.runner {self.runner}: needs the package apitools, which is not installed; "
                "it comes with pip install 'albert-pipeline[dataflow]', from a checkout "
                "`make setup-all`"
            )
        try:
            runner = create_runner(self.runner)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"beam.runner {self.runner}: {reason}; correct its name") from error
        if not isinstance(runner, PipelineRunner):
            raise InputError(f"beam.runner {self.runner}: no runner of Beam's; correct its name")

    def _local_options(self, num_bytes: int) -> list[str]:
        """Return the options of Beam's local runner: its name, its mode, its number of workers.

        Unless `num_workers` is set there is one worker for each 32 MiB of text begun, at most as
        many as this process may use cores, and a single one in the mode `in_memory`.
        """
        cores = num_usable_cores()
        worthwhile = 1 if self.mode == "in_memory" else 1 + num_bytes // _BYTES_PER_PROCESS
        num_workers = self.num_workers or min(cores, worthwhile)
        mode = self.mode
        if mode == "auto":
            mode = "multi_processing" if num_workers > 1 else "in_memory"
        return [
            # Named in full: DirectRunner would first try to download another runner.
            f"--runner={_LOCAL_RUNNER}",
            f"--direct_running_mode={mode}",
            f"--direct_num_workers={num_workers}",
        ]
