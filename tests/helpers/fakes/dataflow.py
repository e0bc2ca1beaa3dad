"""Dataflow as its API shows it: jobs, their states one after another, and their messages."""

import dataclasses

from tests.helpers.fakes.loopback import Answer, Call, refusal

PLACE = "/v1b3/projects/proj-1/locations/us-central1/jobs"


@dataclasses.dataclass
class FakeDataflow:
    """Jobs of one project.

    Attributes:
        states: States of a job in turn, one for each question; the last one stays.
        messages: Importance, text and, unless it is noon, time of each message of any job.
        jobs: Name of each active job, by id.
        page_size: Messages on a page.
        created: What jobs were made of.
    """

    states: tuple[str, ...] = ("PENDING", "RUNNING", "DONE")
    messages: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    jobs: dict[str, str] = dataclasses.field(default_factory=dict)
    page_size: int = 2
    created: list[dict] = dataclasses.field(default_factory=list)
    asked: int = 0

    def __call__(self, call: Call) -> Answer:
        if not call.path.startswith(PLACE):
            return refusal(404)
        job = call.path.removeprefix(PLACE).strip("/")
        if call.method == "POST":
            self.created.append(call.body)
            self.jobs["job-1"] = call.body["name"]
            return Answer({"id": "job-1", "name": call.body["name"]})
        if call.method == "PUT":
            self.jobs.pop(job)
            return Answer({"id": job})
        if job.endswith("/messages"):
            return Answer(self._page_of_messages(call.query))
        if job:
            self.asked += 1
            states = self.states[min(self.asked, len(self.states)) - 1 :]
            return Answer({"id": job, "currentState": f"JOB_STATE_{states[0]}"})
        return Answer({"jobs": [{"id": job, "name": name} for job, name in self.jobs.items()]})

    def _page_of_messages(self, query: dict[str, str]) -> dict:
        listed = [
            {
                "id": text,
                "time": f"2026-11-27T{time[0] if time else '12:00:00'}Z",
                "messageImportance": f"JOB_MESSAGE_{importance}",
                "messageText": text,
            }
            for importance, text, *time in self.messages
        ]
        listed = [message for message in listed if message["time"] >= query.get("startTime", "")]
        first = int(query.get("pageToken") or 0)
        end = first + self.page_size
        return {
            "jobMessages": listed[first:end],
            "nextPageToken": str(end) if end < len(listed) else "",
        }
