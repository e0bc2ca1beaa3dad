"""A platform that refuses, fails, hangs or drops the connection: what is said and sent again."""

import pytest

from albert_core.errors import InputError, ServiceError
from pipeline.remote import schedules
from pipeline.remote.submission import submit
from tests.helpers.platforms import (
    CALLS,
    MONDAYS,
    PLATFORMS,
    RUNS,
    SCHEDULES,
    SHORT_TIMEOUTS,
    running,
    submission,
)

LOST = ("hang", "drop before", "drop after")
TEMPORARY = (429, 500, 503)


@pytest.fixture(params=PLATFORMS)
def platform(request):
    with running(request.param) as started:
        yield started


def start(platform, run_id="tiny-1", **changes):
    return submit(platform.client, submission(**changes), run_id)


def create_schedule(platform):
    request = platform.client.schedule_request(submission(), "weekly", MONDAYS)
    return schedules.set_schedule(platform.client, request, "weekly")


@pytest.mark.parametrize("failure", [*TEMPORARY, *LOST])
def test_a_call_that_fails_once_is_made_again_and_starts_one_run(platform, failure, capsys):
    platform.server.fail("POST", RUNS[platform.name], failure)
    run = start(platform)
    (stored,) = platform.stored("runs")
    assert run.name in stored.values()
    assert "submit tiny-1: " in capsys.readouterr().err
    assert len(platform.server.sent("POST", RUNS[platform.name])) == (1 if arrived(failure) else 2)


def arrived(failure):
    """Whether the work was done although there was no answer: it is found, not done again."""
    return failure == "drop after"


@pytest.mark.parametrize("failure", [500, *LOST])
def test_a_schedule_is_not_made_twice_either(platform, failure):
    platform.server.fail("POST", SCHEDULES[platform.name], failure)
    schedule, _ = create_schedule(platform)
    assert schedule.state == "active"
    assert len(platform.stored("schedules")) == 1


def test_a_schedule_whose_deletion_arrived_unheard_is_gone(platform):
    create_schedule(platform)
    platform.server.fail("DELETE", SCHEDULES[platform.name], "drop after")
    schedules.delete_schedule(platform.client, "weekly")
    assert not platform.stored("schedules")


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (403, "answered 403, permission denied (Permission"),
        (404, "answered 404, not found (The requested resource was not found.); check the names"),
    ],
)
def test_what_will_not_pass_is_said_at_once(platform, failure, said):
    platform.server.fail("POST", RUNS[platform.name], failure)
    with pytest.raises(ServiceError) as caught:
        start(platform)
    message = str(caught.value)
    assert message.startswith(f"submit tiny-1: {platform.client.service.name} {said[:12]}")
    assert said in message
    assert "\n" not in message
    assert len(platform.server.sent("POST", RUNS[platform.name])) == 1


@pytest.mark.parametrize("name", PLATFORMS)
@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (429, "answered 429, quota exhausted, tried for 1 s (Quota exceeded"),
        (500, "answered 500, the service failed, tried for 1 s"),
        ("hang", "no answer in time, tried for 1 s; check the address and the network"),
        ("drop before", "the connection dropped, tried for 1 s"),
    ],
)
def test_what_does_not_pass_is_given_up_with_a_clear_message(name, failure, said):
    with running(name, SHORT_TIMEOUTS) as platform:
        platform.server.fail("POST", RUNS[name], *[failure] * 100)
        with pytest.raises(ServiceError) as caught:
            start(platform)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(platform.server.sent("POST", RUNS[name])) > 1
        assert not platform.stored("runs")


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_server_that_is_not_there(name):
    with running(name, SHORT_TIMEOUTS) as platform:
        target = platform.client
    with pytest.raises(ServiceError, match="nothing listens there; check host and port"):
        submit(target, submission(), "tiny-1")


def test_the_same_run_given_again_is_found_and_another_of_its_name_refused(platform):
    first = start(platform)
    assert start(platform) == first
    assert len(platform.stored("runs")) == 1
    with pytest.raises(InputError, match="tiny-1 is a run of other settings already"):
        start(platform, title="other")


def test_two_submissions_at_once_are_one_on_vertex():
    """Both look before either creates: the second is told that the name is taken, and looks."""
    with running("vertex") as platform:
        start(platform)
        platform.server.fail("GET", "/pipelineJobs/tiny-1", 404)
        assert start(platform).name.endswith("tiny-1")
        assert len(platform.server.sent("POST", RUNS["vertex"])) == 2
        assert len(platform.stored("runs")) == 1


def test_the_token_of_kubeflow_is_sent_and_nowhere_said(tmp_path, monkeypatch, capfd):
    token = tmp_path / "token"
    token.write_text("secret-token")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(token))
    with running("kubeflow") as platform:
        platform.server.fail("POST", "/runs", 503, 403)
        with pytest.raises(ServiceError, match="answered 403") as caught:
            start(platform)
        headers = {call.headers.get("authorization") for call in platform.server.calls}
        bodies = repr([call.body for call in platform.server.calls])
    assert headers == {"Bearer secret-token"}
    assert "secret" not in f"{caught.value} {bodies} {capfd.readouterr()}"


def test_patience_is_checked():
    with pytest.raises(InputError, match=r"calls\.timeout_s: got 0"):
        type(CALLS)(timeout_s=0)
