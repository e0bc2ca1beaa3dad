"""A fake of the parts of Vertex AI in which experiments are: metadata and TensorBoard."""

import itertools
from typing import Any

from tests.helpers.fakes.loopback import Answer, Call, refusal

_LOCATION = "projects/mine/locations/us-central1"


class VertexExperiments:
    """The API, and what it stores.

    Attributes:
        resources: Resources by their full names.
        points: Steps and values of each time series, by its name for people.
    """

    def __init__(self) -> None:
        store = f"{_LOCATION}/metadataStores/default"
        self.resources: dict[str, dict[str, Any]] = {store: {"name": store}}
        self.points: dict[str, list[tuple[int, float]]] = {}
        self._numbers = itertools.count(1)

    def __call__(self, call: Call) -> Answer:
        name, _, verb = call.path.removeprefix("/v1/").partition(":")
        if verb == "write":
            self._write(name, call.body["timeSeriesData"])
        if verb:
            return Answer({})
        is_collection = len(name.split("/")) % 2
        if is_collection:
            return self._create(name, call) if call.method == "POST" else self._list(name)
        if name not in self.resources:
            return refusal(404)
        if call.method == "PATCH":
            self.resources[name] |= call.body
        return Answer(self.resources[name])

    def _create(self, collection: str, call: Call) -> Answer:
        ids = [value for key, value in call.query.items() if key.endswith("Id")]
        name = f"{collection}/{ids[0] if ids else next(self._numbers)}"
        if name in self.resources:
            return refusal(409)
        resource = self.resources[name] = {**call.body, "name": name}
        if not collection.endswith("/tensorboards"):
            return Answer(resource)
        kind = {"@type": "type.googleapis.com/google.cloud.aiplatform.v1.Tensorboard"}
        operation = f"{name}/operations/1"
        return Answer({"name": operation, "done": True, "response": {**kind, **resource}})

    def _list(self, collection: str) -> Answer:
        found = [
            resource
            for name, resource in self.resources.items()
            if name.rpartition("/")[0] == collection
        ]
        kind = collection.rpartition("/")[2]
        return Answer({f"tensorboard{kind.title()}" if "/runs/" in collection else kind: found})

    def _write(self, run: str, series: list[dict[str, Any]]) -> None:
        for one in series:
            name = f"{run}/timeSeries/{one['tensorboardTimeSeriesId']}"
            points = self.points.setdefault(self.resources[name]["displayName"], [])
            points += [(int(p["step"]), p["scalar"]["value"]) for p in one["values"]]

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return the metadata of the runs of experiments, by their names."""
        return {
            resource["displayName"]: resource["metadata"]
            for resource in self.resources.values()
            if resource.get("schemaTitle") == "system.ExperimentRun"
        }
