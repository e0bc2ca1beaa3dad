"""Where Kubeflow Pipelines is, and as whom it is called."""

import dataclasses

from pipeline.remote.cron import check_time_zone


@dataclasses.dataclass(frozen=True, kw_only=True)
class KubeflowConfig:
    """Kubeflow Pipelines: where, and as whom.

    Attributes:
        host: Address of its API, such as https://kubeflow.example.org/pipeline.
        namespace: Namespace of a server with several users; nothing for one without.
        experiment: Experiment that the runs belong to.
        root: Folder for artifacts, in a storage that the server knows: gs://, s3:// or minio://.
        work_root: gs:// folder of work in progress; `work` in `root` when empty.
        service_account: Kubernetes service account of the steps; the server's own when empty.
        time_zone: What the server schedules by, its CRON_SCHEDULE_TIMEZONE.
    """

    host: str = ""
    namespace: str = ""
    experiment: str = "albert"
    root: str = ""
    work_root: str = ""
    service_account: str = ""
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse a time zone that there is not.

        Raises:
            InputError: It is one.
        """
        check_time_zone("kubeflow.time_zone", self.time_zone)
