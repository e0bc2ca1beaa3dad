"""A Flink or Spark cluster as its REST API shows it, and the settings that name it."""

import dataclasses

from components.records.runners import BeamConfig
from tests.helpers.fakes.loopback import Answer, Call, Loopback

IMAGE = "registry/albert-python-data:1"
WORK = {"shared_folder": "gs://bucket/work"}


@dataclasses.dataclass
class FakeCluster:
    """A cluster of either engine: what it answers, and the jobs that run on it.

    Attributes:
        version: Of the engine.
        slots: Of each TaskManager or worker.
        memory: Of each Spark worker, in MiB.
        jobs: Name of each running job, by id; each takes a slot of the first TaskManager.
        ended: Name and state of jobs that have ended, by id.
        ends: Whether a job that is cancelled ends.
        state: Of the running jobs.
    """

    version: str = "1.19.3"
    slots: tuple[int, ...] = (2, 3)
    memory: int = 4096
    jobs: dict[str, str] = dataclasses.field(default_factory=dict)
    ended: dict[str, tuple[str, str]] = dataclasses.field(
        default_factory=lambda: {"old": ("mine-0", "FAILED")}
    )
    ends: bool = True
    state: str = "RUNNING"

    def __call__(self, call: Call) -> Answer:
        if call.method == "PATCH":
            self._end(call.path.rpartition("/")[2])
            return Answer({}, 202)
        if call.method == "POST" and call.path == "/app/kill/":
            assert call.body.endswith("&terminate=true")
            self._end(call.body.removeprefix("id=").partition("&")[0])
            return Answer({}, 302)
        taken = [1 + len(self.jobs), *[1] * len(self.slots)]
        machines = [
            {"slotsNumber": slots, "freeSlots": max(0, slots - used)}
            for slots, used in zip(self.slots, taken, strict=False)
        ]
        alive = {"state": "ALIVE", "memory": self.memory}
        workers = [{"cores": slots, **alive} for slots in self.slots]
        running = [_job(job, name, self.state) for job, name in self.jobs.items()]
        ended = [_job(job, *rest) for job, rest in self.ended.items()]
        page = f'<span class="version" style="margin-right: 15px;">{self.version}</span>'
        return {
            "/config": Answer({"flink-version": self.version}),
            "/taskmanagers": Answer({"taskmanagers": machines}),
            "/jobs/overview": Answer({"jobs": [*running, *ended]}),
            "/json/": Answer(
                {
                    "workers": [*workers, {"cores": 9, "state": "DEAD"}],
                    "activeapps": running,
                    "completedapps": ended,
                }
            ),
            "/": Answer(page.encode(), headers={"Content-Type": "text/html"}),
        }[call.path]

    def _end(self, job: str) -> None:
        if self.ends:
            is_flink = self.version.startswith("1.")
            self.ended[job] = (self.jobs.pop(job), "CANCELED" if is_flink else "KILLED")


def _job(number: str, name: str, state: str) -> dict[str, str]:
    """A job as both engines list it: Flink's `jid` is Spark's `id`."""
    return {"jid": number, "id": number, "name": name, "state": state}


def flink(running: Loopback, **settings) -> BeamConfig:
    master = running.address.removeprefix("http://")
    return BeamConfig(
        **{"runner": "flink", "flink_master": master, "environment_config": IMAGE, **WORK}
        | settings
    )


def spark(running: Loopback, **settings) -> BeamConfig:
    page = running.address.removeprefix("http://")
    return BeamConfig(
        **{
            "runner": "spark",
            "spark_master": "spark://127.0.0.1:7077",
            "spark_page": page,
            "environment_config": IMAGE,
            **WORK,
        }
        | settings
    )


def quiet(*_) -> None:
    """Take no notice of progress."""
