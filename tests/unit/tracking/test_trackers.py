"""What each tracker holds after a step, by its real client in the process that calls it."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from albert_core.tracking import client
from albert_core.tracking.client import TrackingClient
from albert_core.tracking.run import Row, TrackedRun
from tests.helpers.event_files import read_events, read_scalars
from tests.helpers.fakes.loopback import Answer, Loopback, loopback
from tests.helpers.fakes.mlflow import Mlflow, curve, is_active
from tests.helpers.fakes.vertex_experiments import VertexExperiments
from tests.helpers.wandb_files import key_of, read_records
from tests.helpers.zygote import Zygote

PARAMETERS = {"finetuning.learning_rate": 2e-5, "task": "cola", "frozen": False}
STEPS = range(1, 41)


def run_at(address: str, step: str = "finetune cola", **changes: Any) -> TrackedRun:
    values = {
        "key": "0123456789abcdef",
        "experiment": "tries",
        "group": "fedcba9876543210",
        "group_name": "Weekly",
        "parameters": PARAMETERS,
        "places": {"output": "gs://bucket/out"},
    }
    return TrackedRun(step=step, address=address, **{**values, **changes})


def track(name: str, run: TrackedRun, *, steps: Any = STEPS) -> list[str]:
    """Track a step with a row at each of some steps; return what is said."""
    said: list[str] = []
    tracker = TrackingClient(name, run, title=name, warn=said.append)
    for step in steps:
        values = {"loss": 1 / step, "evaluation/accuracy": step / 300}
        tracker.log(Row(step=step, time_s=1e9 + step, values=values))
    tracker.log_scores({"accuracy": 0.5, "num_left_out (long)": 3.0})
    tracker.close("finished")
    return said


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Time for clients on a machine that does much else."""
    monkeypatch.setattr(client, "FLUSH_S", 60.0)
    monkeypatch.setattr(client, "LONGEST_FLUSH_S", 120.0)
    monkeypatch.setattr(client, "START_S", 120.0)


def test_tensorboard_has_curves_scores_and_hyperparameters(tmp_path):
    assert track("tensorboard", run_at(str(tmp_path))) == []
    folder = tmp_path / "tries" / "Weekly fedcba9876543210" / "finetune-cola"
    curves = read_scalars(folder)
    assert [step for step, _ in curves["loss"]] == list(STEPS)
    assert curves["loss"][3] == (4, 0.25)
    assert curves["scores/accuracy"] == [(0, 0.5)]
    events = list(read_events(folder))
    assert [event.wall_time for event in events if event.step == 4] == [1e9 + 4]
    (start,) = [
        value for event in events for value in event.summary.value if value.HasField("metadata")
    ]
    assert start.tag == "_hparams_/session_start_info"
    assert b"finetuning.learning_rate" in start.metadata.plugin_data.content
    assert b"gs://bucket/out" in start.metadata.plugin_data.content


def test_a_folder_of_mlflow_has_a_parent_with_a_run_for_each_step(tmp_path, monkeypatch):
    address = str(tmp_path / "runs")
    assert track("mlflow", run_at(address)) == []
    assert track("mlflow", run_at(address, "evaluate cola", key="f" * 16), steps=()) == []
    assert track("mlflow", run_at(address), steps=range(40, 42)) == []

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow import MlflowClient

    store = MlflowClient(tracking_uri=f"file://{address}")
    experiment = store.get_experiment_by_name("tries")
    runs = store.search_runs([experiment.experiment_id])
    by_name = {run.info.run_name: run for run in runs}
    assert sorted(by_name) == ["Weekly", "evaluate cola", "finetune cola"]
    tuned, parent = by_name["finetune cola"], by_name["Weekly"]
    for name in ("finetune cola", "evaluate cola"):
        assert by_name[name].data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert by_name[name].info.status == "FINISHED"
    assert tuned.data.params == {name: str(value) for name, value in PARAMETERS.items()}
    assert tuned.data.tags["albert.output"] == "gs://bucket/out"
    points = store.get_metric_history(tuned.info.run_id, "loss")
    assert [(p.step, p.value, p.timestamp) for p in points[:2]] == [
        (1, 1.0, 1_000_000_001_000),
        (2, 0.5, 1_000_000_002_000),
    ]
    assert len(points) == len(STEPS) + 2  # that which went on
    assert tuned.data.metrics["scores/accuracy"] == 0.5
    assert tuned.data.metrics["scores/num_left_out _long_"] == 3
    assert parent.data.metrics["finetune cola/accuracy"] == 0.5
    assert parent.data.metrics["evaluate cola/accuracy"] == 0.5


def test_a_folder_of_wandb_has_a_run_to_upload_later(tmp_path):
    assert track("wandb", run_at(str(tmp_path), experiment="team/tries")) == []
    (path,) = tmp_path.glob("wandb/offline-run-*-0123456789abcdef/*.wandb")
    records = list(read_records(path))
    (run,) = [record.run for record in records if record.HasField("run")]
    assert (run.entity, run.project, run.display_name) == ("team", "tries", "finetune cola")
    assert (run.run_group, run.job_type) == ("Weekly fedcba9876543210", "finetune")
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert config["finetuning.learning_rate"] == 2e-5
    assert config["places"] == {"output": "gs://bucket/out"}
    histories = [record.history.item for record in records if record.HasField("history")]
    rows = [{key_of(item): item.value_json for item in items} for items in histories]
    assert [int(row["global_step"]) for row in rows] == list(STEPS)
    assert float(rows[3]["loss"]) == 0.25
    summaries = [record.summary.update for record in records if record.HasField("summary")]
    assert "scores/accuracy" in {key_of(item) for items in summaries for item in items}
    assert not Path("wandb").exists(), "the client wrote into the current folder"


def test_an_experiment_of_vertex_has_a_run_that_goes_on(monkeypatch):
    service = VertexExperiments()
    with loopback(service) as server:
        address = f"{server.address}/projects/mine/locations/us-central1"
        run = run_at(address)
        assert track("vertex", run, steps=(1, 2)) == []
        assert track("vertex", run, steps=(2, 3)) == []
    ((name, metadata),) = service.runs().items()
    assert name == "weekly-finetune-cola-0123456789abcdef"
    assert metadata["_state"] == "COMPLETE"
    assert metadata["_metrics"]["accuracy"] == 0.5
    assert metadata["_params"]["finetuning.learning_rate"] == 2e-5
    assert metadata["_params"]["place.output"] == "gs://bucket/out"
    assert metadata["_params"]["run"] == "Weekly fedcba9876543210"
    assert service.points["loss"] == [(1, 1.0), (2, 0.5), (2, 0.5), (3, pytest.approx(1 / 3))]


@pytest.fixture(scope="module")
def zygote(tmp_path_factory) -> Iterator[Zygote]:
    """A process that has imported the clients of MLflow and Vertex AI, and forks."""
    modules = ("mlflow", "google.cloud.aiplatform")
    zygote = Zygote(tmp_path_factory.mktemp("forks"), {}, modules=modules)
    yield zygote
    zygote.close()


@pytest.fixture
def forked(zygote, monkeypatch) -> None:
    """Call trackers in forks; the tests above start a process of each as a training does."""
    monkeypatch.setattr(sys, "executable", str(zygote.python))


@pytest.fixture
def mlflow(forked) -> Iterator[tuple[Mlflow, Loopback]]:
    service = Mlflow()
    with loopback(service) as server:
        yield service, server


def test_a_run_that_goes_on_by_other_code_keeps_its_parameters(mlflow):
    service, server = mlflow
    for version in ("1", "2"):
        run = run_at(server.address, parameters={**PARAMETERS, "code_version": version})
        assert track("mlflow", run, steps=(int(version),)) == []
    (tuned,) = service.named("finetune cola")
    assert curve(tuned, "loss") == [(1, 1.0), (2, 0.5)]
    params = {param["key"]: param["value"] for param in tuned["data"]["params"]}
    assert params["code_version"] == "1"


def test_steps_of_a_run_whose_name_has_a_quote_have_one_parent(mlflow):
    service, server = mlflow
    for name in ("finetune cola", "finetune rte"):
        run = run_at(server.address, name, key=name[-4:], group="Bob's", group_name="Bob's")
        assert track("mlflow", run, steps=()) == []
    (parent,) = service.named("Bob's")
    for name in ("finetune cola", "finetune rte"):
        (run,) = service.named(name)
        tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
        assert tags["mlflow.parentRunId"] == parent["info"]["run_id"]


def test_a_server_that_fails_for_a_while_misses_nothing_and_is_said_once(mlflow):
    service, server = mlflow
    server.fail("POST", "log-batch", 503, 503, 503, 503)
    said = track("mlflow", run_at(server.address), steps=range(1, 251))  # more than a call takes
    assert len(said) <= 1, said
    (tuned,) = service.named("finetune cola")
    assert curve(tuned, "loss") == [(step, 1 / step) for step in range(1, 251)]
    assert tuned["info"]["status"] == "FINISHED"


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize(
    ("status", "remedy"), [(401, "MLFLOW_TRACKING_TOKEN"), (403, "let this user edit")]
)
def test_a_server_of_mlflow_that_lets_nobody_in_is_asked_once(status, remedy):
    with loopback(lambda call: Answer(b"no", status)) as server:
        said = track("mlflow", run_at(server.address))
    assert len(server.calls) == 1
    assert "41 of 41 rows of values did not reach it" in said[-1]
    assert f"(nothing more is sent: it answers {status}: " in said[-1]
    assert remedy in said[-1]


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize(
    ("status", "remedy"), [(401, "MLFLOW_TRACKING_TOKEN"), (403, "let this user edit")]
)
def test_a_refusal_of_a_proxy_before_mlflow_is_told_with_its_status_and_body(status, remedy):
    with loopback(lambda call: Answer({"detail": "not on the list"}, status)) as server:
        said = track("mlflow", run_at(server.address), steps=range(1, 5))
    assert len(server.calls) == 1
    assert f"(nothing more is sent: it answers {status}: " in said[-1]
    assert remedy in said[-1]
    assert f"status {status}, with JSON that is not MLflow's: " in said[-1]
    assert "not on the list" in said[-1]


def test_an_outage_that_a_proxy_tells_in_json_misses_nothing(mlflow):
    service, server = mlflow
    answers = [Answer({"detail": "no upstream"}, 502)] * 2
    server.service = lambda call: answers.pop() if answers else service(call)
    assert len(track("mlflow", run_at(server.address), steps=range(1, 5))) <= 1
    (tuned,) = service.named("finetune cola")
    assert [step for step, _ in curve(tuned, "loss")] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(401, "the key was refused: set WANDB_API_KEY"), (403, "correct tracking.experiment")],
)
def test_a_key_that_wandb_refuses_is_said_and_not_tried_again(
    status, remedy, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    answer = Answer({"errors": [{"message": "user is not logged in"}]}, status)
    with loopback(lambda call: answer) as server:
        said = track("wandb", run_at(server.address), steps=range(1, 5))
        num_calls = len(server.calls)
    assert "5 of 5 rows of values did not reach it" in said[-1]
    assert f"(nothing more is sent: it answers {status}: " in said[-1]
    assert remedy in said[-1]
    assert num_calls == 1


def test_a_missing_key_of_wandb_is_said_and_not_tried_again(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # where the client keeps keys
    for name in ("WANDB_API_KEY", "WANDB_MODE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    with loopback(lambda call: Answer(b"no", 401)) as server:
        said = track("wandb", run_at(server.address), steps=range(1, 5))
    assert "5 of 5 rows of values did not reach it (nothing more is sent: " in said[-1]
    assert "No API key" in said[-1]
    assert "set WANDB_API_KEY to a key of the server" in said[-1]


def test_a_setting_that_wandb_refuses_is_not_taken_for_a_missing_key(tmp_path):
    said = track("wandb", run_at(str(tmp_path), experiment="a:b"), steps=range(1, 5))
    assert "nothing more is sent: correct the setting (Invalid project name 'a:b'" in said[-1]
    assert "WANDB_API_KEY" not in said[-1]


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize(
    ("status", "remedy"), [(403, "give this account the role"), (404, "correct project and")]
)
def test_vertex_is_not_asked_again_for_what_it_will_never_take(status, remedy):
    service = VertexExperiments()
    with loopback(service) as server:
        server.fail("POST", ":write", status)
        run = run_at(f"{server.address}/projects/mine/locations/us-central1")
        said = track("vertex", run, steps=range(1, 5))
    assert len(server.sent("POST", ":write")) == 1
    assert f"nothing more is sent: it answers {status}: {remedy}" in said[-1]


def test_steps_that_begin_together_make_one_parent(mlflow):
    service, server = mlflow
    names = ("finetune cola", "finetune rte")
    said: list[str] = []
    steps = [
        TrackingClient(
            "mlflow", run_at(server.address, name, key=name[-4:]), title="", warn=said.append
        )
        for name in names
    ]
    for step in steps:
        step.close("failed")
    assert said == []
    parents = [run for run in service.named("Weekly") if is_active(run)]
    tags = [run["data"]["tags"] for name in names for run in service.named(name)]
    parent_ids = {t["value"] for each in tags for t in each if t["key"] == "mlflow.parentRunId"}
    assert parent_ids == {min(run["info"]["run_id"] for run in parents)}
    assert {run["info"]["status"] for name in names for run in service.named(name)} == {"FAILED"}
