"""A fake of the parts of Vertex AI that are used: pipeline jobs, schedules, custom jobs, models."""

import itertools
import re
from typing import Any

from tests.helpers.fakes.loopback import Answer, Call, refusal

_FILTER_NAME = re.compile(r'display_name="([^"]*)"')
_FILTER_LABEL = re.compile(r'labels\.([\w-]+)="([^"]*)"')
_FILTER_STATE = re.compile(r'state="([^"]*)"')
_FIRST_STATES = {
    "pipelineJobs": "PIPELINE_STATE_PENDING",
    "schedules": "ACTIVE",
    "customJobs": "JOB_STATE_PENDING",
}


class Vertex:
    """The API, and what it stores.

    Attributes:
        resources: Resources by their full names.
        changes: Changes of a resource; each GET of one applies the next before it answers.
        models: Versions of models, oldest first, by the models' full names.
    """

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Any]] = {}
        self.changes: list[dict[str, Any]] = []
        self.models: dict[str, list[dict[str, Any]]] = {}
        self._numbers = itertools.count(1)

    def __call__(self, call: Call) -> Answer:
        name, _, verb = call.path.removeprefix("/v1/").partition(":")
        if call.method == "POST" and not verb:
            return self._create(name, call)
        if call.method == "GET" and name.rpartition("/")[2] in _FIRST_STATES:
            return self._list(name, call)
        if verb == "upload":
            return self._upload(name, call)
        if verb == "listVersions":
            versions = self.models.get(name)
            return Answer({"models": versions}) if versions else refusal(404)
        if name not in self.resources:
            return refusal(404)
        resource = self.resources[name]
        if call.method == "GET":
            if self.changes:
                resource |= self.changes.pop(0)
            return Answer(resource)
        if call.method == "DELETE":
            del self.resources[name]
            return Answer({"name": f"{name}/operations/1", "done": True, "response": _EMPTY})
        if call.method == "PATCH":
            resource |= call.body
        else:
            resource["state"] = {
                "pause": "PAUSED",
                "resume": "ACTIVE",
                "cancel": "JOB_STATE_CANCELLED",
            }[verb]
            return Answer({})
        return Answer(resource)

    def _create(self, collection: str, call: Call) -> Answer:
        kind = collection.rpartition("/")[2]
        number = call.query.get("pipelineJobId") or str(next(self._numbers))
        name = f"{collection}/{number}"
        if name in self.resources:
            return refusal(409)
        self.resources[name] = {**call.body, "name": name, "state": _FIRST_STATES[kind]}
        return Answer(self.resources[name])

    def _upload(self, collection: str, call: Call) -> Answer:
        """Enter a version of a new model, or of one that there is already."""
        name = call.body.get("parentModel") or f"{collection}/{call.body['modelId']}"
        is_new = "parentModel" not in call.body
        if is_new == (name in self.models):
            return refusal(409 if is_new else 404)
        versions = self.models.setdefault(name, [])
        number = str(len(versions) + 1)
        versions.append({**call.body["model"], "name": name, "versionId": number})
        response = {"@type": f"{_TYPES}.UploadModelResponse", "model": name}
        return Answer(
            {
                "name": f"{name}/operations/{number}",
                "done": True,
                "response": {**response, "modelVersionId": number},
            }
        )

    def _list(self, collection: str, call: Call) -> Answer:
        wanted = call.query.get("filter", "")
        found = [
            resource
            for name, resource in self.resources.items()
            if name.startswith(f"{collection}/") and _matches(resource, wanted)
        ]
        return Answer({collection.rpartition("/")[2]: found})


def _matches(resource: dict[str, Any], wanted: str) -> bool:
    name, label = _FILTER_NAME.search(wanted), _FILTER_LABEL.search(wanted)
    states = _FILTER_STATE.findall(wanted)
    return (
        (not name or resource["displayName"] == name[1])
        and (not label or resource.get("labels", {}).get(label[1]) == label[2])
        and (not states or resource["state"] in states)
    )


_TYPES = "type.googleapis.com/google.cloud.aiplatform.v1"
_EMPTY = {"@type": "type.googleapis.com/google.protobuf.Empty"}
