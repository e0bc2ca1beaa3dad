"""What the real clients of Kubeflow and Vertex AI send, request by request."""

import dataclasses
import json
from pathlib import Path

import pytest

from albert_core.errors import InputError
from pipeline.remote import schedules
from pipeline.remote.cron import CronSchedule
from pipeline.remote.package import read_package, with_target
from pipeline.remote.platforms.platform import Submission
from pipeline.remote.platforms.vertex.rules import VertexRules
from pipeline.remote.submission import submit
from tests.helpers.golden_files import check_golden
from tests.helpers.platforms import MONDAYS, SCHEDULES, running, submission

COMPILED = Path(__file__).parent / "goldens"
GOLDENS = COMPILED / "requests"
VERTEX = {
    "service_account": "runner@proj.iam.gserviceaccount.com",
    "network": "projects/1234/global/networks/albert",
    "encryption_key": "projects/proj/locations/us-central1/keyRings/albert/cryptoKeys/runs",
    "labels": {"team": "language"},
}
KUBEFLOW = {"namespace": "language", "service_account": "pipeline-runner"}


def check_requests(name, calls):
    recorded = [
        {"method": call.method, "path": call.path, "query": readable(call.query), "body": call.body}
        for call in calls
    ]
    check_golden(GOLDENS / f"{name}.json", recorded)


def readable(query):
    """Filters are JSON within the query."""
    return {
        name: json.loads(value) if value.startswith("{") else value for name, value in query.items()
    }


@pytest.fixture
def vertex():
    with running("vertex", **VERTEX) as platform:
        yield platform


@pytest.fixture
def kubeflow():
    with running("kubeflow", **KUBEFLOW) as platform:
        yield platform


def submission_for(platform):
    return submission(for_kubernetes=platform.name == "kubeflow")


def schedule_for(platform, title="tiny"):
    work = submission(title, for_kubernetes=platform.name == "kubeflow")
    request = platform.client.schedule_request(work, "weekly", MONDAYS)
    return schedules.set_schedule(platform.client, request, "weekly")


def test_a_run_on_vertex_is_a_pipeline_job_with_account_network_key_and_labels(vertex):
    run = submit(vertex.client, submission_for(vertex), "tiny-1")
    assert run.name == "projects/proj/locations/us-central1/pipelineJobs/tiny-1"
    check_requests("vertex_run", vertex.server.calls)


def test_a_run_on_kubeflow_has_the_part_for_kubernetes_with_it(kubeflow):
    run = submit(kubeflow.client, submission_for(kubeflow), "tiny-1")
    assert run.url.endswith("/#/runs/details/runs-2")
    check_requests("kubeflow_run", kubeflow.server.calls)


@pytest.mark.parametrize("name", ["vertex", "kubeflow"])
def test_what_a_dry_run_prints_is_what_is_sent(request, name):
    platform = request.getfixturevalue(name)
    work = submission_for(platform)
    printed = platform.client.run_request(work, "tiny-1")
    submit(platform.client, work, "tiny-1")
    (sent,) = platform.server.sent("POST", printed.path.partition("?")[0])
    if name == "vertex":
        assert sent.query["pipelineJobId"] == "tiny-1"
        # Enumerations travel as numbers.
        printed.body["runtimeConfig"]["failurePolicy"] = 1
        assert sent.body == printed.body
    else:
        assert sent.body == {**printed.body, "experiment_id": "experiments-1"}


@pytest.mark.parametrize("name", ["vertex", "kubeflow"])
def test_a_schedule_is_created_listed_paused_resumed_and_deleted(request, name):
    platform = request.getfixturevalue(name)
    client, server = platform.client, platform.server
    steps = {
        "create": lambda: schedule_for(platform),
        "list": lambda: schedules.list_schedules(client),
        "pause": lambda: schedules.pause_schedule(client, "weekly"),
        "resume": lambda: schedules.resume_schedule(client, "weekly"),
        "delete": lambda: schedules.delete_schedule(client, "weekly"),
    }
    results = {}
    for step, act in steps.items():
        server.calls.clear()
        results[step] = act()
        check_requests(f"{name}_schedule_{step}", server.calls)
    schedule, outcome = results["create"]
    assert outcome == "created"
    assert results["list"] == [schedule]
    assert not platform.stored("schedules")


@pytest.mark.parametrize("name", ["vertex", "kubeflow"])
def test_the_same_schedule_again_changes_nothing(request, name):
    platform = request.getfixturevalue(name)
    first, _ = schedule_for(platform)
    again, outcome = schedule_for(platform)
    assert (again.id, outcome) == (first.id, "unchanged")
    assert len(platform.server.sent("POST", SCHEDULES[name])) == 1


@pytest.mark.parametrize("name", ["vertex", "kubeflow"])
def test_another_schedule_of_that_name_replaces_it_and_stays_paused(request, name):
    platform = request.getfixturevalue(name)
    schedule_for(platform)
    schedules.pause_schedule(platform.client, "weekly")
    platform.server.calls.clear()
    changed, outcome = schedule_for(platform, title="other")
    check_requests(f"{name}_schedule_change", platform.server.calls)
    assert (changed.state, outcome) == ("paused", "changed")
    assert len(platform.stored("schedules")) == 1


def test_schedules_of_others_are_neither_listed_nor_needed_on_one_page(kubeflow):
    names = ["one", "two", "three"]
    for name in names:
        request = kubeflow.client.schedule_request(submission_for(kubeflow), name, MONDAYS)
        schedules.set_schedule(kubeflow.client, request, name)
    kubeflow.stored("schedules")[0]["description"] = "made by hand"
    listed = schedules.list_schedules(kubeflow.client)
    assert [schedule.name for schedule in listed] == ["three", "two"]


def test_the_time_zone_goes_with_a_schedule_on_vertex_and_must_be_the_servers_on_kubeflow():
    rome = CronSchedule(cron="30  2 1 * mon-fri", time_zone="Europe/Rome")
    with running("vertex") as vertex:
        request = vertex.client.schedule_request(submission(), "weekly", rome)
        assert request.body["cron"] == "TZ=Europe/Rome 30 2 1 * mon-fri"
    with running("kubeflow", time_zone="Europe/Rome") as kubeflow:
        request = kubeflow.client.schedule_request(submission(), "weekly", rome)
        assert request.body["trigger"]["cron_schedule"]["cron"] == "0 30 2 1 * mon-fri"
    said = r"got Europe/Rome, expected UTC.*CRON_SCHEDULE_TIMEZONE"
    with running("kubeflow") as utc, pytest.raises(InputError, match=said):
        utc.client.schedule_request(submission(), "weekly", rome)


def test_a_package_for_kubeflow_is_refused_on_vertex(vertex):
    with pytest.raises(InputError, match="compiled for Kubeflow"):
        vertex.client.run_request(submission(for_kubernetes=True), "tiny-1")


def plain_submission(title):
    """One without anything that only a platform has, but the name of its platform."""
    work = submission()
    info = {"name": "albert", "description": with_target("Raw text in.", title)}
    package = dataclasses.replace(work.package, spec={**work.package.spec, "pipelineInfo": info})
    return dataclasses.replace(work, package=package)


def test_plain_packages_are_told_apart_by_the_platform_in_their_description(vertex, kubeflow):
    for_vertex, for_kubeflow = map(plain_submission, ("Vertex AI", "Kubeflow"))
    vertex.client.run_request(for_vertex, "tiny-1")
    kubeflow.client.run_request(for_kubeflow, "tiny-1")
    with pytest.raises(InputError, match=r"compiled for Kubeflow, expected .* --target vertex"):
        vertex.client.run_request(for_kubeflow, "tiny-1")
    with pytest.raises(InputError, match=r"compiled for Vertex AI, expected .* --target kubeflow"):
        kubeflow.client.schedule_request(for_vertex, "weekly", MONDAYS)


def submission_of(name, **parameters):
    package = read_package(str(COMPILED / f"{name}.yaml"))
    return Submission(
        title="tiny", package=package, parameters={**package.parameters(), **parameters}
    )


@pytest.mark.parametrize(
    "work",
    [
        submission_of("vertex"),  # has a job on TPUs
        submission_of("vertex_from_checkpoint", date=VertexRules.scheduled_date),
    ],
    ids=["job", "date"],
)
def test_a_package_that_says_it_is_for_vertex_is_refused_on_kubeflow(kubeflow, work):
    said = r"vertex\S*\.yaml: compiled for Vertex AI, expected .* --target kubeflow"
    with pytest.raises(InputError, match=said):
        kubeflow.client.run_request(work, "tiny-1")
    with pytest.raises(InputError, match=said):
        kubeflow.client.schedule_request(work, "weekly", MONDAYS)


@pytest.mark.parametrize("name", ["kubeflow", "kubeflow_from_checkpoint"])
def test_compiled_packages_for_kubeflow_are_taken_there(kubeflow, name):
    kubeflow.client.run_request(submission_of(name), "tiny-1")
