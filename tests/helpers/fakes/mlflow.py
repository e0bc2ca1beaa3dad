"""A fake of the part of MLflow's server that is used: experiments, runs, batches of values."""

import itertools
import re
from typing import Any

from tests.helpers.fakes.loopback import Answer, Call

_FILTER = re.compile(r"tags\.`(?P<name>[^`]+)` = '(?P<value>[^']*)'")


class Mlflow:
    """The API, and what it stores.

    Attributes:
        experiments: Ids of experiments by their names.
        runs: Runs by their ids, as the API gives them.
    """

    def __init__(self) -> None:
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)

    def __call__(self, call: Call) -> Answer:
        name = call.path.partition("/mlflow/")[2].replace("/", "_").replace("-", "_")
        answer = getattr(self, f"_{name}", None)
        if answer is None:
            return _missing(call.path)
        return answer(call.body if call.method == "POST" else call.query)

    def _experiments_get_by_name(self, values: dict[str, Any]) -> Answer:
        name = values["experiment_name"]
        if name not in self.experiments:
            return _missing(name)
        experiment = {"experiment_id": self.experiments[name], "name": name}
        return Answer({"experiment": {**experiment, "lifecycle_stage": "active"}})

    def _experiments_create(self, values: dict[str, Any]) -> Answer:
        self.experiments[values["name"]] = str(next(self._numbers))
        return Answer({"experiment_id": self.experiments[values["name"]]})

    def _runs_search(self, values: dict[str, Any]) -> Answer:
        wanted = _FILTER.fullmatch(values["filter"])
        assert wanted
        tag = {"key": wanted["name"], "value": wanted["value"]}
        found = [run for run in self.runs.values() if tag in run["data"]["tags"] and is_active(run)]
        return Answer({"runs": found})

    def _runs_create(self, values: dict[str, Any]) -> Answer:
        number = str(next(self._numbers))
        info = {
            "run_id": number,
            "run_uuid": number,
            "run_name": values["run_name"],
            "experiment_id": values["experiment_id"],
            "status": "RUNNING",
            "start_time": values["start_time"],
            "lifecycle_stage": "active",
        }
        data = {"tags": values["tags"], "params": [], "metrics": []}
        self.runs[number] = {"info": info, "data": data}
        return Answer({"run": self.runs[number]})

    def _runs_get(self, values: dict[str, Any]) -> Answer:
        return Answer({"run": self.runs[values["run_id"]]})

    def _runs_update(self, values: dict[str, Any]) -> Answer:
        info = self.runs[values["run_id"]]["info"]
        info |= {name: value for name, value in values.items() if value is not None}
        return Answer({"run_info": info})

    def _runs_delete(self, values: dict[str, Any]) -> Answer:
        self.runs[values["run_id"]]["info"]["lifecycle_stage"] = "deleted"
        return Answer({})

    def _runs_log_batch(self, values: dict[str, Any]) -> Answer:
        data = self.runs[values["run_id"]]["data"]
        known = {param["key"]: param["value"] for param in data["params"]}
        for param in values.get("params", []):
            if known.get(param["key"], param["value"]) != param["value"]:
                message = f"Changing param values is not allowed: {param['key']}"
                return Answer({"error_code": "INVALID_PARAMETER_VALUE", "message": message}, 400)
        for kind in ("tags", "params", "metrics"):
            data[kind] += values.get(kind, [])
        return Answer({})

    def named(self, name: str) -> list[dict[str, Any]]:
        """Return the runs of a name."""
        return [run for run in self.runs.values() if run["info"]["run_name"] == name]


def is_active(run: dict[str, Any]) -> bool:
    """Return whether a run is not deleted."""
    return run["info"]["lifecycle_stage"] == "active"


def curve(run: dict[str, Any], name: str) -> list[tuple[int, float]]:
    """Return the steps and values of a metric of a run."""
    metrics = [metric for metric in run["data"]["metrics"] if metric["key"] == name]
    return [(int(metric.get("step", 0)), metric["value"]) for metric in metrics]


def _missing(what: str) -> Answer:
    return Answer({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"no {what}"}, 404)
