"""`albert submit` and `albert schedule` from the command line, against platforms on loopback."""

import json
import re
import shlex
import signal
from pathlib import Path

import pytest
import yaml

from pipeline.cli.main import main
from pipeline.remote.package import read_package
from pipeline.remote.submission import new_run_id
from tests.helpers.fakes.loopback import loopback
from tests.helpers.fakes.registry import Registry
from tests.helpers.platforms import PLATFORMS, RUNS, SCHEDULES, connection, running

TASKS = {"pretrain": "RUNNING", "report": "PENDING"}


@pytest.fixture(scope="module")
def registry():
    """A registry for the images, which is empty at first."""
    with loopback(Registry()) as server:
        yield server


@pytest.fixture(scope="module")
def packages(config, registry, tmp_path_factory):
    """What `albert compile` makes of the configuration, with images of that registry.

    The steps' images are named when the components are first imported, as other tests do.
    """
    folder = tmp_path_factory.mktemp("compiled")
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALBERT_REGISTRY", f"127.0.0.1:{registry.port}/albert")
        for name in PLATFORMS:
            path = folder / f"{name}.yaml"
            options = f"--target {name} --config {config} --work_root gs://bucket/albert/work"
            assert main(["compile", *shlex.split(options), "--output", str(path)]) == 0
            own = f"127.0.0.1:{registry.port}/albert/albert-python"
            path.write_text(re.sub(r"[\w./:-]+/albert-python", own, path.read_text()))
            made[name] = path
    images = {image for path in made.values() for image in read_package(str(path)).images()}
    registry.service.images = {image.partition("/")[2] for image in images}
    return made


@pytest.fixture
def albert(config, packages, capfd, monkeypatch):
    """Run a command for a platform; returns status, output and errors.

    What is submitted is the compiled pipeline, or with `compiles` the configuration.
    """
    monkeypatch.setenv("ALBERT_REGISTRY", "us-docker.pkg.dev/proj/albert")

    def run(command, platform, *options, compiles=False):
        words = shlex.split(command)
        if words[0] == "submit" or words[1:2] == ["create"]:
            source = ("--config", config) if compiles else ("--package", packages[platform.name])
            words += [*map(str, source), "--check_images", "false"]
        status = main([*words, *connection(platform), *options])
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return run


def states(platform, *changes):
    """Let the run read as these are, one after another: (state of the run, states of tasks)."""
    platform.service.changes = [platform_state(platform, *change) for change in changes]


def platform_state(platform, state, tasks, error=""):
    if platform.name == "vertex":
        details = [{"taskName": name, "state": value} for name, value in tasks.items()]
        if error:
            details[0]["error"] = {"code": 9, "message": error}
        return {"state": f"PIPELINE_STATE_{state}", "jobDetail": {"taskDetails": details}}
    details = [{"display_name": name, "state": value} for name, value in tasks.items()]
    if error:
        details[0]["error"] = {"code": 9, "message": error}
    return {"state": state, "run_details": {"task_details": details}}


def test_the_pipeline_is_submitted_with_every_parameter_and_watched(albert, platform):
    done = dict.fromkeys(TASKS, "SUCCEEDED")
    states(platform, ("RUNNING", TASKS), ("RUNNING", TASKS), ("SUCCEEDED", done))
    status, out, err = albert("submit --run_id tiny-1 --wait true", platform, compiles=True)
    assert status == 0, err
    first, *lines = out.splitlines()
    assert first.startswith("tiny-1: http")
    assert [line.split("  ")[1] for line in lines] == [
        "pretrain: running",
        "report: pending",
        "the run: running",
        "pretrain: succeeded",
        "report: succeeded",
        "the run: succeeded",
    ]
    (body,) = [call.body for call in platform.server.sent("POST", RUNS[platform.name])]
    parameters = (
        body.get("runtime_config", {}).get("parameters") or body["runtimeConfig"]["parameterValues"]
    )
    (job,) = parameters["jobs"]
    assert job["data"] == "gs://albert-test/glue/topic"
    assert parameters["work_root"] == "gs://bucket/albert/work"
    assert parameters["corpus"]["files"] == ["gs://albert-test/corpus"]


def test_a_run_that_fails_names_the_step_and_the_reason(albert, platform):
    failed = {"pretrain": "FAILED", "report": "SKIPPED"}
    states(platform, ("FAILED", failed, "the loss is not a number"))
    status, _, err = albert("submit --run_id tiny-1 --wait true", platform)
    (line,) = err.splitlines()
    assert status == 1
    assert "tiny-1 ended as failed: pretrain: the loss is not a number; logs: http" in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_the_run_at_work_and_says_so(albert, platform, number):
    states(platform, *[("RUNNING", TASKS)] * 1000)
    watched = {"kubeflow": "/runs/", "vertex": "/pipelineJobs/tiny-1"}[platform.name]
    platform.server.send_signal(number, "GET", watched, nth=4)
    status, _, err = albert("submit --run_id tiny-1 --wait true", platform)
    assert status == 128 + number
    assert "stopped watching; the run goes on: http" in err
    assert err.rstrip().endswith("--run_id tiny-1")
    assert not platform.server.sent("DELETE")
    assert len(platform.stored("runs")) == 1


def test_a_dry_run_prints_the_request_and_sends_nothing(albert, platform):
    status, out, err = albert("submit --run_id tiny-1 --dry_run true", platform)
    assert status == 0, err
    first, _, body = out.partition("\n")
    assert first.startswith("POST /")
    assert RUNS[platform.name] in first
    assert "gs://bucket/albert/work" in json.dumps(json.loads(body))
    assert not platform.server.calls
    # What a person reads is beside what a program reads.
    assert re.search(r"^ step +image +machine +price +inputs", err, re.MULTILINE)
    assert re.search(r"^ Vocabulary +data +4 cores, 16 GiB", err, re.MULTILINE)


def test_a_refusal_is_one_line_and_exit_status_1(albert, platform):
    platform.server.fail("POST", RUNS[platform.name], 403)
    status, out, err = albert("submit --run_id tiny-1", platform)
    (line,) = err.splitlines()
    assert (status, out) == (1, "")
    assert line.startswith("albert: submit tiny-1: ")
    assert "answered 403, permission denied" in line


def test_a_schedule_from_its_creation_to_its_end(albert, platform):
    command = "schedule {} --name weekly"
    create = command.format("create") + " --cron '0 3 * * 1'"
    cron = {"kubeflow": "0 0 3 * * 1", "vertex": "TZ=UTC 0 3 * * 1"}[platform.name]
    assert albert(create, platform)[:2] == (0, f"weekly: created, active, {cron}\n")
    assert albert(create, platform)[:2] == (0, f"weekly: unchanged, active, {cron}\n")
    assert albert(command.format("pause"), platform)[:2] == (0, "weekly: paused\n")
    assert albert("schedule list", platform)[:2] == (0, f"weekly  paused  {cron}\n")
    assert albert(command.format("resume"), platform)[:2] == (0, "weekly: active\n")
    assert albert(command.format("delete"), platform)[:2] == (0, "weekly: gone\n")
    assert albert(command.format("delete"), platform)[:2] == (0, "weekly: gone\n")
    status, _, err = albert(command.format("pause"), platform)
    assert (status, err.count("\n")) == (2, 1)
    assert "schedule 'weekly': there is none" in err
    assert len(platform.server.sent("POST", SCHEDULES[platform.name])) >= 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--corpus", "gs://albert-test/none/*"], "'gs://albert-test/none/*': no file matches"),
        (
            ["--corpus", "text/*.txt"],
            "corpus.files: got text/*.txt, expected an address such as gs",
        ),
        (["--data_dir", "gs://albert-test/none"], "'gs://albert-test/none': no file matches"),
        (["--data_dir", "glue"], "data_dir: got glue, expected an address"),
        (["--tasks", "cola,nil"], "gs://albert-test/glue/nil/task.yaml: no such object"),
        (["--resources", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["--max_cost", "-5"], "--max_cost: got -5.0, expected 0 or more"),
        (["--utilisation", "0.5"], "--utilisation: got 0.5 without --max_cost"),
        (["--prices", "prices.yaml"], "--prices: got prices.yaml without --max_cost or --dry_run"),
        (["--vertex.root", "runs/tiny"], "vertex.root: got 'runs/tiny', expected a gs:// folder"),
        (["--vertex.labels", '{"Team": "x"}'], "vertex.labels: got 'Team'"),
        (["--vertex.endpoint", "http://example.org"], "credentials are not sent in the clear"),
        (["--vertex.project", ""], "vertex.project: got nothing"),
        (
            ["--kubeflow.host", "http://x"],
            "kubeflow: got settings of kubeflow with --target vertex",
        ),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(albert, vertex, options, said):
    status, out, err = albert("submit", vertex, *options, compiles=True)
    (line,) = err.splitlines()
    assert (status, out) == (2, "")
    assert said in line
    assert not vertex.server.calls


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--run_id", "Tiny 1"], "--run_id: got 'Tiny 1'"),
        (["--package", "nowhere.yaml"], "nowhere.yaml: No such file"),
        (["--package", __file__], "not YAML"),
        (["--caching", "true"], "a compiled pipeline has its own"),
        (["--tasks", "cola"], "a compiled pipeline has its own"),
    ],
)
def test_what_a_compiled_pipeline_cannot_have(albert, vertex, options, said):
    status, _, err = albert("submit", vertex, *options)
    assert (status, err.count("\n")) == (2, 1)
    assert said in err
    assert not vertex.server.calls


def test_a_compiled_pipeline_is_submitted_once_all_its_images_are_pushed(
    albert, platform, registry
):
    options = ("--check_images", "true")
    assert albert("submit --run_id tiny-1", platform, *options)[0] == 0
    calls = [call.path.partition("/manifests/") for call in registry.sent("GET")]
    asked = {name for name, is_manifest, _ in calls if is_manifest}
    assert {name.rpartition("-")[2] for name in asked} == {"data", "trainer", "tpu"}
    assert albert("schedule create --name weekly --cron '0 3 * * 1'", platform, *options)[0] == 0
    with pytest.MonkeyPatch.context() as patch:
        kept = {image for image in registry.service.images if "-tpu:" not in image}
        patch.setattr(registry.service, "images", kept)
        status, _, err = albert("submit --run_id tiny-2", platform, *options)
    assert status == 2
    assert "albert-python-tpu:" in err
    assert "not in the registry; push it" in err
    assert len(platform.stored("runs")) == 1


def test_a_package_for_another_work_root_or_without_values_is_refused(
    albert, vertex, packages, tmp_path
):
    def status_and_line(text):
        package = tmp_path / "other.yaml"
        package.write_text(text)
        status, _, err = albert("submit", vertex, "--package", str(package))
        return status, err

    text = packages["vertex"].read_text()
    status, err = status_and_line(text.replace("gs://bucket/albert/work", "gs://other/work"))
    assert status == 2
    assert "compiled with --work_root gs://other/work, expected gs://bucket/albert/work" in err
    spec = yaml.safe_load(text)
    del spec["root"]["inputDefinitions"]["parameters"]["title"]["defaultValue"]
    status, err = status_and_line(yaml.safe_dump(spec))
    assert status == 2
    assert "got no value of title, expected a value of every parameter" in err
    assert not vertex.server.calls


def test_an_old_kubeflow_is_sent_nothing_but_its_schedules_are_listed(albert):
    with running("kubeflow") as kubeflow:
        kubeflow.service.health = {"tag_name": "2.14.0"}
        for command in ("submit --run_id tiny-1", "schedule create --name w --cron '0 3 * * 1'"):
            status, _, err = albert(command, kubeflow)
            assert status == 2
            assert "is version 2.14.0, expected 2.16.0 or newer" in err
        assert albert("schedule list", kubeflow)[0] == 0
        assert not kubeflow.server.sent("POST")


def test_too_many_parameters_for_kubeflow(albert):
    with running("kubeflow") as kubeflow:
        options = ("--export.formats", "huggingface", "--export.card.name", "x" * 9_000)
        status, _, err = albert("submit", kubeflow, *options, compiles=True)
        assert status == 2
        assert "expected at most 10,000, the limit of Kubeflow" in err
        assert not kubeflow.server.calls


@pytest.mark.parametrize(("target", "most"), [("kubeflow", 255), ("vertex", 128)])
def test_a_title_that_is_too_long(albert, target, most):
    with running(target) as service:
        status, _, err = albert("submit", service, "--title", "x" * (most + 1), compiles=True)
        assert status == 2
        assert f"title: got {most + 1} characters, expected {most} at most" in err
        assert not service.server.calls


def test_the_name_of_a_run_of_a_long_title_is_one_that_all_platforms_take():
    assert re.fullmatch(r"a-long-title[a-z0-9-]{10,51}", new_run_id("A long title, " * 9))


def test_the_job_on_tpus_runs_as_the_other_steps_do(albert, vertex):
    account = "runner@proj.iam.gserviceaccount.com"
    options = ("--vertex.service_account", account, "--vertex.labels", '{"team": "language"}')
    assert albert("submit --run_id tiny-1", vertex, *options, compiles=True)[0] == 0
    (job,) = vertex.stored("runs")
    assert job["serviceAccount"] == account
    text = json.dumps(job["pipelineSpec"])
    assert f'"service_account": "{account}"' in text
    assert '"labels": {"team": "language"}' in text


NETWORK, KEY = "projects/1/global/networks/a", "projects/p/locations/l/keyRings/r/cryptoKeys/k"
OWN = ("--vertex.network", NETWORK, "--vertex.encryption_key", KEY)


def test_what_a_job_on_tpus_has_of_its_own_leaves_the_rest_as_vertex_yaml_says(
    albert, vertex, tmp_path
):
    resources = tmp_path / "resources.yaml"
    own = {"labels": {"step": "pretrain"}, "encryption_key": f"{KEY}2"}
    resources.write_text(yaml.safe_dump({"custom_job": own}))
    options = (*OWN, "--vertex.labels", '{"team": "language"}', "--resources", str(resources))
    assert albert("submit --run_id tiny-1", vertex, *options, compiles=True)[0] == 0
    text = json.dumps(vertex.stored("runs")[0]["pipelineSpec"])
    assert f'"network": "{NETWORK}"' in text
    assert f'"encryption_key": "{own["encryption_key"]}"' in text
    # Maps of protobuf have no order.
    labels = [json.loads(found) for found in re.findall(r'"labels": (\{[^{}]*\})', text)]
    assert {"step": "pretrain", "team": "language"} in labels


def test_a_setting_of_vertex_yaml_can_be_taken_from_the_jobs_on_tpus(albert, vertex, tmp_path):
    resources = tmp_path / "resources.yaml"
    resources.write_text(yaml.safe_dump({"custom_job": {"network": None}}))
    options = (*OWN, "--resources", str(resources))
    assert albert("submit --run_id tiny-1", vertex, *options, compiles=True)[0] == 0
    text = json.dumps(vertex.stored("runs")[0]["pipelineSpec"])
    assert '"network": ""' in text
    assert f'"encryption_key": "{KEY}"' in text


def test_jobs_on_tpus_of_a_compiled_pipeline_have_what_vertex_yaml_says(albert, vertex):
    status, _, err = albert("submit --run_id tiny-1", vertex, *OWN)
    assert status == 0, err
    text = json.dumps(vertex.stored("runs")[0]["pipelineSpec"])
    assert f'"network": "{NETWORK}"' in text
    assert f'"encryption_key": "{KEY}"' in text


def test_a_dated_run_has_its_date_and_a_schedule_that_of_each_run(albert, platform):
    title = "weekly {{ds}}"
    command = f"submit --run_id tiny-1 --date 2026-11-23 --title '{title}'"
    status, _, err = albert(command, platform, compiles=True)
    assert status == 0, err
    (run,) = platform.stored("runs")
    assert '"date": "2026-11-23"' in json.dumps(run)
    if platform.name == "vertex":
        assert run["displayName"] == "weekly 2026-11-23"
    command = f"schedule create --name weekly --cron '0 3 * * 1' --title '{title}'"
    status, _, err = albert(command, platform, compiles=True)
    assert status == 0, err
    (schedule,) = platform.stored("schedules")
    assert f'"date": "{platform.client.rules.scheduled_date}"' in json.dumps(schedule)


def test_a_date_that_nothing_depends_on_is_refused(albert, vertex):
    status, _, err = albert("submit --date 2026-11-23", vertex)
    assert status == 2
    assert "--date: got 2026-11-23, expected none" in err


def test_a_dated_package_of_another_platform_is_named_as_such(albert, config, vertex, tmp_path):
    package = tmp_path / "dated.yaml"
    options = "--target kubeflow --work_root gs://bucket/albert/work --title 'news {{ds}}'"
    command = ["compile", "--config", str(config), *shlex.split(options), "--output", str(package)]
    assert main(command) == 0
    given = ("--package", str(package), "--date", "2026-11-23")
    status, _, err = albert("submit", vertex, *given)
    assert status == 2
    assert "dated.yaml: compiled for Kubeflow, expected a package for Vertex AI" in err


@pytest.mark.parametrize("command", ["submit", "schedule create --name weekly --cron '0 3 * * 1'"])
def test_a_limit_of_cost_needs_an_estimate(albert, vertex, tmp_path, command):
    resources = tmp_path / "resources.yaml"
    resources.write_text(yaml.safe_dump({"pretrain": {"tpu": None, "timeout_s": 0}}))
    options = ("--resources", str(resources), "--max_cost", "5")
    status, _, err = albert(command, vertex, *options, compiles=True)
    assert status == 2
    assert "--max_cost: got it for pretraining without TPUs" in err
    assert not vertex.server.calls


def test_a_platforms_settings_may_be_a_file(albert, vertex, tmp_path):
    settings = Path(tmp_path / "vertex.yaml")
    settings.write_text(yaml.safe_dump({"project": "other", "labels": {"team": "language"}}))
    (status, out, err) = albert(
        "submit --dry_run true --run_id tiny-1", vertex, "--vertex", str(settings)
    )
    assert status == 0, err
    assert "/v1/projects/other/" in out
    assert json.loads(out.partition("\n")[2])["labels"]["team"] == "language"
