"""`albert submit` and `albert schedule` from the command line, against platforms on loopback."""

import json
import shlex
import signal
from pathlib import Path

import pytest
import yaml
from fakes.loopback import loopback
from fakes.registry import Registry
from kfp import compiler
from object_storage import emulated_bucket
from platforms import CALLS, PLATFORMS, RUNS, SCHEDULES, running
from tiny_run import write_tiny_run

from albert_core import storage
from pipeline.albert import albert_pipeline
from pipeline.cli import main

PATIENCE = shlex.split(
    f"--calls.timeout_s {CALLS.timeout_s} --calls.retry_for_s {CALLS.retry_for_s} "
    f"--calls.first_pause_s {CALLS.first_pause_s}"
)
TASKS = {"pretrain": "RUNNING", "report": "PENDING"}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The configuration of a tiny run whose corpus and tasks are in a bucket."""
    folder = tmp_path_factory.mktemp("material")
    local = write_tiny_run(folder)
    with emulated_bucket() as bucket:
        for path in folder.rglob("*.*"):
            storage.write_bytes(f"{bucket}/{path.relative_to(folder)}", path.read_bytes())
        values = yaml.safe_load(local.read_text())
        values |= {"corpus": {"files": [f"{bucket}/corpus"]}, "data_dir": f"{bucket}/glue"}
        remote = folder / "remote.yaml"
        remote.write_text(yaml.safe_dump(values))
        yield remote


@pytest.fixture(scope="module")
def registry(compiled):
    """A registry with the images of the package, and a package that names it."""
    text = compiled.read_text()
    executors = yaml.safe_load(text)["deploymentSpec"]["executors"].values()
    images = {entry["container"]["image"].removeprefix("local/") for entry in executors}
    with loopback(Registry(*(f"albert/{image}" for image in images))) as server:
        package = compiled.with_name("package.yaml")
        package.write_text(text.replace("local/", f"127.0.0.1:{server.port}/albert/"))
        server.package = package
        yield server


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    path = tmp_path_factory.mktemp("compiled") / "albert.yaml"
    compiler.Compiler().compile(albert_pipeline, str(path))
    return path


@pytest.fixture(params=PLATFORMS)
def platform(request):
    with running(request.param) as started:
        yield started


@pytest.fixture
def vertex():
    with running("vertex") as started:
        yield started


def connection(platform):
    """The options that name the platform."""
    settings = platform.target.config
    names = {"kubeflow": ("host", "root"), "vertex": ("project", "location", "root", "endpoint")}
    options = [
        f"--{platform.name}.{name}={getattr(settings, name)}" for name in names[platform.name]
    ]
    return ["--target", platform.name, *options, *PATIENCE]


@pytest.fixture
def albert(config, registry, capsys):
    """Run a command for a platform; returns status, output and errors."""

    def run(command, platform, *options):
        words = shlex.split(command)
        if words[0] == "submit" or words[1:2] == ["create"]:
            words += ["--config", str(config), "--package", str(registry.package)]
            if platform.name == "kubeflow" and "--kubeflow.max_parameter_bytes" not in options:
                words += ["--kubeflow.max_parameter_bytes", "20000"]
        status = main([*words, *connection(platform), *options])
        captured = capsys.readouterr()
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
    status, out, err = albert("submit --run_id tiny-1 --wait true", platform)
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
    assert parameters["corpus"]["files"] == ["gs://albert-test/corpus/text.txt"]


def test_a_run_that_fails_names_the_step_and_the_reason(albert, platform):
    failed = {"pretrain": "FAILED", "report": "SKIPPED"}
    states(platform, ("FAILED", failed, "the loss is not a number"))
    status, _, err = albert("submit --run_id tiny-1 --wait true", platform)
    (line,) = err.splitlines()
    assert status == 1
    assert "tiny-1 ended as failed: pretrain: the loss is not a number; logs: http" in line


def test_ctrl_c_leaves_the_run_at_work_and_says_so(albert, platform):
    states(platform, *[("RUNNING", TASKS)] * 1000)
    watched = {"kubeflow": "/runs/", "vertex": "/pipelineJobs/tiny-1"}[platform.name]
    platform.server.send_signal(signal.SIGINT, "GET", watched, nth=4)
    status, _, err = albert("submit --run_id tiny-1 --wait true", platform)
    assert status == 1
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
        (["--corpus", "text/*.txt"], "corpus.files: got the local path text/*.txt, expected a gs"),
        (["--data_dir", "gs://albert-test/none"], "'gs://albert-test/none': no file matches"),
        (["--data_dir", "glue"], "data_dir: got the local path glue"),
        (["--tasks", "cola,nil"], "task 'nil': unknown"),
        (["--package", ""], "--package: got nothing"),
        (["--package", "nowhere.yaml"], "--package nowhere.yaml: No such file"),
        (["--package", "{config}"], "not a compiled pipeline"),
        (["--run_id", "Tiny 1"], "--run_id: got 'Tiny 1'"),
        (["--max_cost", "5"], "--accelerator: got '' with --max_cost 5"),
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
def test_bad_input_is_refused_before_anything_is_sent(albert, vertex, config, options, said):
    options = [option.replace("{config}", str(config)) for option in options]
    status, out, err = albert("submit", vertex, *options)
    (line,) = err.splitlines()
    assert (status, out) == (2, "")
    assert said in line
    assert not vertex.server.calls


def test_an_image_that_was_not_pushed_is_refused(albert, vertex, registry, tmp_path):
    package = tmp_path / "other.yaml"
    package.write_text(registry.package.read_text().replace("trainer:src-", "trainer:other-"))
    status, _, err = albert("submit", vertex, "--package", str(package))
    assert status == 2
    assert "albert-python-trainer:other-" in err
    assert "not in the registry; push it" in err
    assert not vertex.server.calls
    status, _, err = albert("submit", vertex, "--package", str(package), "--check_images", "false")
    assert status == 0, err


def test_parameters_must_be_those_of_the_package_and_under_the_limit(albert, registry, tmp_path):
    with running("kubeflow") as kubeflow:
        limit = ("--kubeflow.max_parameter_bytes", "1000")
        status, _, err = albert("submit", kubeflow, *limit)
        assert status == 2
        assert "expected at most 1,000; the largest is " in err
        package = tmp_path / "other.yaml"
        documents = list(yaml.safe_load_all(registry.package.read_text()))
        parameters = documents[0]["root"]["inputDefinitions"]["parameters"]
        parameters["more"] = {"parameterType": "STRING"}
        package.write_text(yaml.safe_dump_all(documents))
        status, _, err = albert("submit", kubeflow, "--package", str(package))
        assert status == 2
        assert f"--package {package}: needs more, which this version does not give" in err
        del parameters["more"], parameters["beam"]
        package.write_text(yaml.safe_dump_all(documents))
        status, _, err = albert("submit", kubeflow, "--package", str(package))
        assert "has no parameter beam" in err
        assert not kubeflow.server.calls


def test_without_caching_no_step_is_taken_from_the_cache(albert, vertex):
    assert albert("submit --run_id tiny-1 --caching false", vertex)[0] == 0
    ((job),) = vertex.stored("runs")
    assert "enableCache" not in json.dumps(job["pipelineSpec"])


@pytest.mark.slow
def test_a_run_above_the_most_it_may_cost_is_refused(albert, vertex, tmp_path):
    prices = tmp_path / "prices.yaml"
    values = {"date": "2026-11-25", "source": "the test", "per_chip_hour": {"v5e": 1e9}}
    prices.write_text(yaml.safe_dump(values))
    options = shlex.split(f"--accelerator v5e-1 --max_cost 0.5 --prices {prices}")
    status, _, err = albert("submit", vertex, *options)
    assert status == 2
    assert "--max_cost: got 0.50, but pretraining on v5e-1 is estimated at" in err
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
