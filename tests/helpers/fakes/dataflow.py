"""Dataflow as its API shows it: jobs, their states one after another, and their messages."""

import dataclasses
import itertools

from tests.helpers.fakes.loopback import Answer, Call, refusal

PLACE = "/v1b3/projects/proj-1/locations/us-central1/jobs"


@dataclasses.dataclass
class FakeDataflow:
    """Jobs of one project.

    Attributes:
        states: States of a job in turn, one for each question; the last one stays.
        messages: Importance and text of each message of any job.
        jobs: Name of each active job, by id.
        page_size: Messages on a page.
        created: What jobs were made of.
    """

    states: tuple[str, ...] = ("PENDING", "RUNNING", "DONE")
    messages: list[tuple[str, str]] = dataclasses.field(default_factory=list)
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
            return Answer(self._page_of_messages(int(call.query.get("pageToken") or 0)))
        if job:
            self.asked += 1
            states = self.states[min(self.asked, len(self.states)) - 1 :]
            return Answer({"id": job, "currentState": f"JOB_STATE_{states[0]}"})
        return Answer({"jobs": [{"id": job, "name": name} for job, name in self.jobs.items()]})

    def _page_of_messages(self, first: int) -> dict:
        page = itertools.islice(enumerate(self.messages), first, first + self.page_size)
        return {
            "jobMessages": [
                {
                    "id": str(number),
                    "time": "2026-11-27T12:00:00Z",
                    "messageImportance": f"JOB_MESSAGE_{importance}",
                    "messageText": text,
                }
                for number, (importance, text) in page
            ],
            "nextPageToken": str(first + self.page_size)
            if first + self.page_size < len(self.messages)
            else "",
        }
