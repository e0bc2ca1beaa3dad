"""What `albert compile` refuses, and what it finds out of the buckets it can read."""

import json

import pytest
import yaml

from albert_core import storage
from albert_core.errors import InputError
from albert_core.settings import parse_settings
from components.finetune.job import parse_job
from components.image import check_image_variables
from pipeline.cli.main import main
from pipeline.config import RunConfig
from pipeline.remote import inputs
from pipeline.remote.compilation import compile_pipeline
from pipeline.remote.package import parse_package, read_package
from pipeline.remote.platforms.registry import PLATFORMS
from pipeline.remote.resources import default_resources
from tests.helpers.fakes.loopback import loopback
from tests.helpers.fakes.storage import BUCKET, Bucket
from tests.helpers.object_storage import emulated_bucket
from tests.helpers.tiny_run import write_corpus, write_tasks

CONFIG = {
    "corpus": {"files": ["gs://no-bucket/text/*.txt"]},
    "data_dir": "gs://no-bucket/glue",
    "tasks": ["cola"],
}


@pytest.fixture(scope="module")
def private():
    """A Google Cloud Storage that has private buckets only."""
    with loopback(Bucket(is_public=False)) as server:
        yield server.address


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path, private):
    monkeypatch.setenv("API_ENDPOINT_OVERRIDE", private)
    monkeypatch.setenv("ALBERT_REGISTRY", "europe-docker.pkg.dev/proj/albert")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("HOME", str(tmp_path))


def refuse(capsys, tmp_path, *options: str, target: str = "kubeflow", **changes: object) -> str:
    """Compile what must be refused; return the one line that says why."""
    config, output = tmp_path / "config.yaml", tmp_path / "pipeline.yaml"
    config.write_text(yaml.safe_dump({**CONFIG, **changes}))
    command = ["compile", "--target", target, "--config", str(config), "--output", str(output)]
    assert main([*command, "--work_root", "gs://no-bucket/work", *options]) == 2
    assert not output.exists()
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "not looked at" not in one]
    return line


def test_parquet_of_squad_1_is_not_taken_for_squad_2() -> None:
    names = [f"{split}-00000-of-00001.parquet" for split in ("train", "validation")]
    addresses = [f"gs://b/{folder}/{name}" for folder in ("squad", "squad_v2") for name in names]
    seen = inputs.RemoteInputs(date="", listing=addresses, with_hashes=False)
    config = parse_settings(RunConfig, {**CONFIG, "data_dir": "gs://b"}, source="test")
    assert seen.find_task("squad2", config, None).folder == "gs://b/squad_v2"
    assert seen.find_task("squad1", config, None).folder == "gs://b/squad"


def test_a_folder_with_a_dev_set_alone_gives_way_to_one_with_both() -> None:
    addresses = ["gs://b/squad/dev-v2.0.json", "gs://b/train-v2.0.json", "gs://b/dev-v2.0.json"]
    config = parse_settings(RunConfig, {**CONFIG, "data_dir": "gs://b"}, source="test")
    seen = inputs.RemoteInputs(date="", listing=addresses, with_hashes=False)
    with pytest.raises(InputError, match=r"no file gs://b/squad/train-v2.0.json"):
        seen.find_task("squad2", config, None)
    addresses += [f"gs://b/squad_v2/{name}-v2.0.json" for name in ("train", "dev")]
    seen = inputs.RemoteInputs(date="", listing=addresses, with_hashes=False)
    assert seen.find_task("squad2", config, None).folder == "gs://b/squad_v2"


def compile_small() -> str:
    """The text of the pipeline of `CONFIG` for Vertex AI."""
    return compile_pipeline(
        parse_settings(RunConfig, CONFIG, source="test"),
        resources=default_resources(PLATFORMS["vertex"].rules),
        work_root="gs://no-bucket/work",
    ).text


def test_a_bucket_of_an_impossible_name(capsys, tmp_path):
    line = refuse(capsys, tmp_path, data_dir="gs://No_Bucket/glue")
    assert "gs://No_Bucket/glue: got the bucket 'No_Bucket', expected 3 to 63 lower" in line
    line = refuse(capsys, tmp_path, data_dir="s3://no_bucket/glue")
    assert "s3://no_bucket/glue: got the bucket 'no_bucket', expected 3 to 63 lower" in line


def test_the_project_that_pays_goes_to_every_step(tmp_path, monkeypatch):
    monkeypatch.setenv("ALBERT_STORAGE_USER_PROJECT", "")  # so that the test's end removes it
    config, output = tmp_path / "config.yaml", tmp_path / "pipeline.yaml"
    config.write_text(yaml.safe_dump({**CONFIG, "storage": {"user_project": "my-project-1"}}))
    options = ["--config", str(config), "--output", str(output), "--target", "vertex"]
    assert main(["compile", *options, "--work_root", "gs://no-bucket/work"]) == 0
    executors = read_package(str(output)).spec["deploymentSpec"]["executors"]
    variable = {"name": "ALBERT_STORAGE_USER_PROJECT", "value": "my-project-1"}
    assert len(executors) > 5
    for executor in executors.values():
        assert variable in executor["container"]["env"]


def test_the_project_of_the_environment_goes_to_the_steps_too(monkeypatch):
    monkeypatch.setenv("ALBERT_STORAGE_USER_PROJECT", "My Project")
    with pytest.raises(InputError, match="ALBERT_STORAGE_USER_PROJECT: got 'My Project'"):
        compile_small()
    monkeypatch.setenv("ALBERT_STORAGE_USER_PROJECT", "my-project-1")
    assert "my-project-1" in compile_small()


def test_where_a_run_is_tracked_goes_to_its_steps_and_into_no_parameter(tmp_path):
    plain = compile_small()
    tracking = {"to": "mlflow", "address": "https://mlflow.example.org", "experiment": "tries"}
    values = {**CONFIG, "title": "Weekly {{ds}}", "tracking": tracking}
    text = compile_pipeline(
        parse_settings(RunConfig, values, source="test"),
        resources=default_resources(PLATFORMS["vertex"].rules),
        work_root="gs://no-bucket/work",
    ).text
    package = parse_package(text, source="test")
    assert "tracking" not in json.dumps(package.parameters())
    variables = {
        "ALBERT_TRACKING": json.dumps({**tracking, "run": "Weekly"}),
        "ALBERT_TRACKING_GROUP": "of-output",
    }
    executors = package.spec["deploymentSpec"]["executors"]
    for name in ("exec-finetune", "exec-evaluate"):
        env = {item["name"]: item["value"] for item in executors[name]["container"]["env"]}
        assert variables.items() <= env.items()
    # The job on TPUs has them among its settings.
    assert text.count("https://mlflow.example.org") > len(executors) - 1
    assert "mlflow" not in plain


def test_a_tracker_in_a_folder_of_this_machine_is_refused(capsys, tmp_path):
    line = refuse(capsys, tmp_path, tracking={"to": "mlflow", "address": "runs"})
    assert "tracking.address: got the folder" in line
    assert "expected a server that steps on Kubeflow reach" in line


def test_a_checkpoint_in_a_bucket_that_may_be_read_but_not_listed(monkeypatch):
    with loopback(Bucket(is_listed=False)) as server:
        monkeypatch.setenv("API_ENDPOINT_OVERRIDE", server.address)
        address = f"gs://{BUCKET}/a/b.json"
        assert [file.path for file in inputs._checkpoint_files(address)] == [address]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("corpus.files", {"corpus": {"files": ["text/*.txt"]}}),
        ("data_dir", {"data_dir": "glue"}),
        ("cleaning.evaluation_sets.squad", {"cleaning": {"evaluation_sets": {"squad": ["dev"]}}}),
        ("pretraining.init_checkpoint", {"pretraining": {"init_checkpoint": "albert_base"}}),
        ("vocab.source", {"vocab": {"source": "albert_base"}}),
        ("retraining.accepted", {"retraining": {"accepted": "accepted"}}),
    ],
)
def test_an_input_of_this_machine(capsys, tmp_path, name, changes):
    line = refuse(capsys, tmp_path, **changes)
    assert f"{name}: got " in line
    assert "expected an address such as gs://bucket/folder" in line


def test_a_work_root_of_this_machine(capsys, tmp_path):
    assert "--work_root: got work, expected" in refuse(capsys, tmp_path, "--work_root", "work")


def test_a_run_without_tasks(capsys, tmp_path):
    assert "tasks: got none" in refuse(capsys, tmp_path, tasks=[])


def test_settings_for_a_task_that_does_not_exist(capsys, tmp_path):
    line = refuse(capsys, tmp_path, finetuning={"per_task": {"colla": {"num_epochs": 1}}})
    assert "finetuning.per_task: got colla, expected names of tasks" in line


def test_no_registry(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("ALBERT_REGISTRY", "")
    assert "ALBERT_REGISTRY: got nothing" in refuse(capsys, tmp_path)
    monkeypatch.delenv("ALBERT_REGISTRY")
    assert "ALBERT_REGISTRY: got nothing" in refuse(capsys, tmp_path)


@pytest.mark.parametrize(
    ("registry", "tag"),
    [
        *(
            (name, "")
            for name in ("https://gcr.io/proj", "gcr.io/Proj", "gcr.io/proj/", "gcr.io/a b")
        ),
        *((name, "") for name in (" gcr.io/proj", "gcr.io/proj:1", "gcr.io//proj", "gs://proj")),
        *(("gcr.io/proj", tag) for tag in ("a:b", ".a", "-a", "a b", "a" * 129, "ä")),
    ],
)
def test_an_image_that_cannot_be_named(capsys, tmp_path, monkeypatch, registry, tag):
    monkeypatch.setenv("ALBERT_REGISTRY", registry)
    monkeypatch.setenv("ALBERT_TAG", tag)
    name, got = ("ALBERT_TAG", tag) if tag else ("ALBERT_REGISTRY", registry)
    assert f"{name}: got {got!r}, expected" in refuse(capsys, tmp_path)


@pytest.mark.parametrize(
    "registry", ["local", "localhost:5000", "10.0.0.1:5000/a-b/c_d.e", "Ghcr.io/user/x__y"]
)
def test_names_of_registries(monkeypatch, registry):
    monkeypatch.setenv("ALBERT_REGISTRY", registry)
    monkeypatch.setenv("ALBERT_TAG", "V1.0_rc-1")
    check_image_variables()


def test_a_file_that_is_no_pipeline_is_not_written_over(capsys, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    command = ["compile", "--target", "kubeflow", "--config", str(config), "--work_root", "gs://w"]
    assert main([*command, "--output", str(config)]) == 2
    assert "exists and is not a compiled pipeline" in capsys.readouterr().err
    assert yaml.safe_load(config.read_text()) == CONFIG


def test_a_title_of_several_lines_is_compiled_as_it_is_and_again_over_itself(tmp_path):
    config, output = tmp_path / "config.yaml", tmp_path / "pipeline.yaml"
    command = ["compile", "--target", "kubeflow", "--config", str(config), "--output", str(output)]
    for title in ("News\n# of today: yes\n", "News"):
        config.write_text(yaml.safe_dump({**CONFIG, "title": title}))
        assert main([*command, "--work_root", "gs://no-bucket/work"]) == 0
        assert read_package(str(output)).parameters()["title"] == title


def test_more_parameters_than_kubeflow_takes(capsys, tmp_path):
    files = [f"gs://no-bucket/text/part-{number:05}.txt" for number in range(300)]
    line = refuse(capsys, tmp_path, corpus={"files": files})
    assert "bytes as JSON, of which corpus is " in line
    assert "expected at most 10,000" in line
    assert "name folders or globs instead of many files" in line


def test_hashes_of_inputs_that_cannot_be_read(capsys, tmp_path):
    line = refuse(capsys, tmp_path, "--caching", "true")
    assert "not public, and there are no Google credentials" in line


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """A bucket with a corpus and two tasks, one of which declares itself."""
    folder = tmp_path_factory.mktemp("inputs")
    write_corpus(folder / "text", num_documents=3)
    write_tasks(folder / "glue")
    with emulated_bucket() as address:
        for path in folder.rglob("*"):
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                storage.write_bytes(f"{address}/{name}", path.read_bytes())
        yield address


def config_of(bucket: str, **changes: object) -> RunConfig:
    values = {
        "corpus": {"files": [f"{bucket}/text/*.txt"]},
        "data_dir": f"{bucket}/glue",
        "tasks": ["cola", "topic"],
    }
    return parse_settings(RunConfig, {**values, **changes}, source="the test")


def compiled(config: RunConfig, *, caching: bool) -> tuple[dict, str]:
    made = compile_pipeline(
        config,
        resources=default_resources(PLATFORMS["vertex"].rules),
        work_root="gs://bucket/work",
        caching=caching,
    )
    return dict(made.parameters), made.text


def test_inputs_in_a_bucket_are_found_and_their_hashes_let_the_platform_skip_steps(bucket):
    parameters, text = compiled(config_of(bucket), caching=True)
    cola, topic = (parse_job(job) for job in parameters["jobs"])
    assert (cola.data, topic.data) == (f"{bucket}/glue/CoLA", f"{bucket}/glue/topic")
    assert topic.task.labels == ("sea", "farm", "town")
    hashes = {parameters["corpus_fingerprint"], cola.data_fingerprint, topic.data_fingerprint}
    assert {len(value) for value in hashes} == {64}
    assert len(hashes) == 3
    assert text.count("enableCache: true") == 6


def test_files_in_a_bucket_are_found_by_their_names(bucket):
    declaration = b"name: hub\ntexts: text\nlabels: [a, b]\nmetrics: accuracy\n"
    files = {
        "task.yaml": declaration,
        "README.md": b"# Data",
        "data/train-00000-of-00002.parquet": b"",
        "data/train-00001-of-00002.parquet": b"",
        "data/test.csv": b"text,label\nA text.,-1\n",
    }
    for name, data in files.items():
        storage.write_bytes(f"{bucket}/glue/hub/{name}", data)
    try:
        parameters, _ = compiled(config_of(bucket, tasks=["hub"]), caching=True)
    finally:
        storage.remove_folder(f"{bucket}/glue/hub")
    (job,) = map(parse_job, parameters["jobs"])
    assert job.data == f"{bucket}/glue/hub"
    assert job.task.splits_off_dev
    assert [source.file for source in job.task.train] == ["data/train-*-of-00002.parquet"]
    assert [(one.file, one.is_labelled) for one in job.task.test] == [("data/test.csv", False)]


def test_changed_text_is_new_work(bucket):
    before, _ = compiled(config_of(bucket), caching=True)
    storage.write_bytes(f"{bucket}/text/more.txt", b"One more sentence.\n")
    try:
        after, _ = compiled(config_of(bucket), caching=True)
    finally:
        storage.remove_file(f"{bucket}/text/more.txt")
    changed = [name for name in before if before[name] != after[name]]
    assert changed == ["corpus_fingerprint"]


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        ("no file matches", {"corpus": {"files": ["{bucket}/none/*.txt"]}}),
        ("task rte: no dev.tsv in", {"tasks": ["rte"]}),
        ("no such object", {"tasks": ["unknown"]}),
        ("no file matches", {"cleaning": {"evaluation_sets": {"x": ["{bucket}/dev.json"]}}}),
        ("base/model.ckpt", {"pretraining": {"init_checkpoint": "{bucket}/base/model.ckpt"}}),
        ("no file matches", {"vocab": {"source": "{bucket}/vocab"}}),
    ],
)
def test_an_input_missing_in_its_bucket(bucket, message, changes):
    named = json.loads(json.dumps(changes).replace("{bucket}", bucket))
    with pytest.raises(InputError, match=message):
        compiled(config_of(bucket, **named), caching=False)


@pytest.mark.parametrize("target", ["kubeflow", "vertex"])
def test_the_date_of_a_dated_run_is_what_its_schedule_puts_there(target, monkeypatch):
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)  # of the bucket of other tests here
    values = {
        **CONFIG,
        "title": "news of {{ds}}",
        "corpus": {"files": ["gs://no-bucket/text/{{ds}}/*.txt"]},
        "retraining": {"accepted": "gs://no-bucket/accepted"},
    }
    compiled = compile_pipeline(
        parse_settings(RunConfig, values, source="test"),
        resources=default_resources(PLATFORMS[target].rules),
        work_root="gs://no-bucket/work",
    )
    assert compiled.parameters["date"] == PLATFORMS[target].rules.scheduled_date
    assert compiled.parameters["corpus"]["files"] == ["gs://no-bucket/text/{{ds}}/*.txt"]
    spec = next(iter(yaml.safe_load_all(compiled.text)))
    tasks = next(
        component["dag"]["tasks"]
        for component in spec["components"].values()
        if "resolve" in component.get("dag", {}).get("tasks", {})
    )
    assert tasks["resolve"]["cachingOptions"] == {}
    assert "resolve" in tasks["train-vocab"]["dependentTasks"]
    assert "promote" in tasks["report"]["dependentTasks"]
