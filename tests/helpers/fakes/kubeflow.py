"""A fake of Kubeflow Pipelines' API v2beta1: experiments, runs, recurring runs.

Like the real one it lets names repeat.
"""

import itertools
import json
from typing import Any

from tests.helpers.fakes.loopback import Answer, Call, refusal

_API = "/apis/v2beta1/"
_KINDS = {
    "experiments": ("experiment_id", "experiments", {}),
    "runs": ("run_id", "runs", {"state": "PENDING"}),
    "recurringruns": ("recurring_run_id", "recurringRuns", {"status": "ENABLED"}),
}
_PAGE_SIZE = 2


class Kubeflow:
    """The API, and what it stores.

    Attributes:
        resources: Resources by kind and id.
        changes: Changes of a resource; each GET of one applies the next before it answers.
        health: What it says of itself.
    """

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in _KINDS}
        self.changes: list[dict[str, Any]] = []
        self.health: Any = {"commit_sha": "unknown", "tag_name": "2.16.0", "multi_user": False}
        self._numbers = itertools.count(1)

    def __call__(self, call: Call) -> Answer:
        if call.path == f"{_API}healthz":
            return Answer(self.health)
        kind, _, rest = call.path.removeprefix(_API).partition("/")
        name, _, verb = rest.partition(":")
        stored = self.resources[kind]
        if call.method == "POST" and not name:
            return self._create(kind, call)
        if call.method == "GET" and not name:
            return self._list(kind, call)
        if name not in stored:
            return refusal(404)
        if call.method == "GET" and self.changes:
            stored[name] |= self.changes.pop(0)
        if call.method == "DELETE":
            del stored[name]
            return Answer({})
        if verb:
            stored[name]["status"] = {"disable": "DISABLED", "enable": "ENABLED"}[verb]
            return Answer({})
        return Answer(stored[name])

    def _create(self, kind: str, call: Call) -> Answer:
        id_field, _, state = _KINDS[kind]
        name = f"{kind}-{next(self._numbers)}"
        resource = {**call.body, **state, id_field: name}
        if call.body.get("mode") == "DISABLE":
            resource["status"] = "DISABLED"
        self.resources[kind][name] = resource
        return Answer(resource)

    def _list(self, kind: str, call: Call) -> Answer:
        predicates = json.loads(call.query.get("filter", "{}")).get("predicates", [])
        names = {predicate["stringValue"] for predicate in predicates}
        found = [
            resource
            for resource in self.resources[kind].values()
            if (not names or resource["display_name"] in names)
            and call.query.get("experiment_id") in (None, resource.get("experiment_id"))
        ]
        first = int(call.query.get("page_token") or 0)
        page = {_KINDS[kind][1]: found[first : first + _PAGE_SIZE]}
        if first + _PAGE_SIZE < len(found):
            page["next_page_token"] = str(first + _PAGE_SIZE)
        return Answer(page)
