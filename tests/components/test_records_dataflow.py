"""The records on Dataflow: the requests that the settings make, and what becomes of the job.

Dataflow is a fake of its API on the loopback; Beam's client and Google's are the real ones.
"""

import pytest

from albert_core import storage
from albert_core.corpus import CorpusConfig
from albert_core.errors import InputError, StepFailedError
from albert_core.records.config import RecordsConfig
from albert_core.tokenization.config import VocabConfig
from components.records import dataflow_run
from components.records.dataflow_config import DataflowConfig
from components.records.dataflow_options import check_dataflow_options
from components.records.dataflow_run import run_on_dataflow
from components.records.runners import BeamConfig
from components.records.step import make_records
from components.vocab.step import train_vocab
from tests.helpers.fakes.dataflow import PLACE, FakeDataflow
from tests.helpers.fakes.loopback import loopback
from tests.helpers.object_storage import emulated_bucket
from tests.helpers.tiny_run import write_corpus

IMAGE = "europe-docker.pkg.dev/proj-1/albert/albert-python-data:1.0"
KEY = "projects/keys/locations/us-central1/keyRings/ring/cryptoKeys/key"
SUBNETWORK = "regions/us-central1/subnetworks/inner"
PLACES = {"project": "proj-1", "region": "us-central1"}
WORK = {"shared_folder": "gs://bucket/work"}

# Beam leaves sockets and files to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(dataflow_run, "_POLL_S", 0.001)


def quiet(*_) -> None:
    """Take no notice of progress."""


def options_of(beam: BeamConfig):
    return beam.options_for(num_bytes=1, num_splits=1)


def submit_numbers(options) -> str:
    """Submit a pipeline of one number, and return the id of its job."""
    import apache_beam

    with apache_beam.Pipeline(options=options) as pipeline:
        _ = pipeline | apache_beam.Create([1])
    return pipeline.result.job_id()


def request_of(folder, **settings) -> dict:
    """The request that a job with these settings is made by; its files are staged in a folder."""
    dataflow = FakeDataflow(states=("DONE",))
    with loopback(dataflow) as running:
        config = DataflowConfig(
            image=IMAGE, endpoint=f"http://localhost:{running.port}", **PLACES, **settings
        )
        staging = (f"--temp_location={folder}", f"--staging_location={folder}")
        beam = BeamConfig(runner="dataflow", dataflow=config, options=staging, **WORK)
        run_on_dataflow(submit_numbers, options_of(beam), "mine", quiet)
        assert len(running.sent("POST", PLACE)) == 1
    return dataflow.created[0]


@pytest.fixture(scope="module")
def whole_request(tmp_path_factory) -> dict:
    return request_of(
        tmp_path_factory.mktemp("staged"),
        service_account="runner@proj-1.iam.gserviceaccount.com",
        machine_type="n2-standard-4",
        num_workers=4,
        max_workers=40,
        disk_size_gb=60,
        disk_type="pd-ssd",
        network="company",
        subnetwork=SUBNETWORK,
        public_addresses=False,
        encryption_key=KEY,
        labels={"team": "language", "cost": "records"},
    )


@pytest.fixture(scope="module")
def plain_request(tmp_path_factory) -> dict:
    return request_of(tmp_path_factory.mktemp("staged"))


def pool(request: dict) -> dict:
    (pool,) = request["environment"]["workerPools"]
    return pool


PRIVATE = 2  # WORKER_IP_PRIVATE
SETTINGS = [
    ("service_account", "environment", "serviceAccountEmail", "runner@proj-1.iam.gserviceaccount"),
    ("encryption_key", "environment", "serviceKmsKeyName", KEY),
    ("machine_type", "pool", "machineType", "n2-standard-4"),
    ("num_workers", "pool", "numWorkers", 4),
    ("max_workers", "pool", "autoscalingSettings", {"maxNumWorkers": 40}),
    ("disk_size_gb", "pool", "diskSizeGb", 60),
    ("disk_type", "pool", "diskType", "compute.googleapis.com/projects//zones//diskTypes/pd-ssd"),
    ("network", "pool", "network", "company"),
    ("subnetwork", "pool", "subnetwork", SUBNETWORK),
    ("public_addresses", "pool", "ipConfiguration", PRIVATE),
]


@pytest.mark.parametrize(("place", "key", "value"), [row[1:] for row in SETTINGS], ids=str)
def test_a_setting_is_in_the_request_and_only_if_it_is_set(
    whole_request, plain_request, place, key, value
):
    found, left_out = (
        (pool(request) if place == "pool" else request["environment"]).get(key)
        for request in (whole_request, plain_request)
    )
    if isinstance(value, str) and key == "serviceAccountEmail":
        assert found.startswith(value)
    elif isinstance(value, dict):
        assert value.items() <= found.items()
    else:
        assert found == value
    assert not left_out


def test_labels_are_in_the_request(whole_request, plain_request):
    assert whole_request["labels"] == {"team": "language", "cost": "records"}
    assert not plain_request.get("labels")


def test_the_job_has_runner_v2_the_workers_image_and_nothing_to_install(plain_request):
    assert plain_request["name"] == "mine"
    assert "use_runner_v2" in plain_request["environment"]["experiments"]
    images = [image["containerImage"] for image in pool(plain_request)["sdkHarnessContainerImages"]]
    assert {*images, pool(plain_request)["workerHarnessContainerImage"]} == {IMAGE}
    packages = [package["name"] for package in pool(plain_request).get("packages", [])]
    assert not [name for name in packages if name.endswith((".whl", ".tar.gz", ".zip"))]


def test_a_fixed_number_of_workers(tmp_path):
    request = request_of(tmp_path, num_workers=3, autoscaling=False)
    assert pool(request)["numWorkers"] == 3
    assert pool(request)["autoscalingSettings"]["algorithm"] == 1  # NONE


def test_work_is_staged_beside_the_workers_files_where_nothing_else_is_said():
    beam = BeamConfig(runner="dataflow", dataflow=DataflowConfig(image=IMAGE, **PLACES), **WORK)
    assert check_dataflow_options(options_of(beam)).temp_location == "gs://bucket/work/dataflow"
    other = DataflowConfig(image=IMAGE, temp_location="gs://other/temp", **PLACES)
    beam = BeamConfig(runner="dataflow", dataflow=other, shared_folder="s3://bucket/work")
    assert check_dataflow_options(options_of(beam)).temp_location == "gs://other/temp"


def test_beams_own_options_will_do_and_come_last():
    own = ("--project=proj-2", "--region=europe-west1", f"--sdk_container_image={IMAGE}")
    for runner in ("dataflow", "DataflowRunner"):
        beam = BeamConfig(runner=runner, options=own, **WORK)
        assert check_dataflow_options(options_of(beam)).project == "proj-2"
    both = BeamConfig(
        runner="dataflow", dataflow=DataflowConfig(image=IMAGE, **PLACES), options=own[:1], **WORK
    )
    cloud = check_dataflow_options(options_of(both))
    assert (cloud.project, cloud.region) == ("proj-2", "us-central1")


def test_an_option_and_its_value_may_be_two():
    options = ("--project", "proj-2", "--region", "europe-west1", "--sdk_container_image", IMAGE)
    beam = BeamConfig(runner="dataflow", options=options, **WORK)
    assert check_dataflow_options(options_of(beam)).project == "proj-2"


def test_no_image_is_told_before_anything_is_sent():
    beam = BeamConfig(runner="dataflow", dataflow=DataflowConfig(**PLACES), **WORK)
    with pytest.raises(InputError, match=r"beam\.dataflow\.image: got nothing.* the data image"):
        check_dataflow_options(options_of(beam))
    check_dataflow_options(options_of(beam.with_worker_image(IMAGE)))
    named = BeamConfig(runner="dataflow", dataflow=DataflowConfig(image="mine", **PLACES), **WORK)
    assert named.with_worker_image(IMAGE) == named


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"project": "12345"},
            r"project: got '12345', expected the id of a project \(not its numb",
        ),
        ({"region": "us-central1-a"}, r"region: got the zone 'us-central1-a', expected its region"),
        ({"temp_location": "s3://b/temp"}, r"temp_location: got 's3://b/temp', expected a gs://"),
        ({"service_account": "runner"}, r"service_account: got 'runner', expected an address"),
        ({"machine_type": "N2 4"}, r"machine_type: got 'N2 4', expected a machine type such as"),
        ({"num_workers": -1}, r"num_workers: got -1"),
        ({"num_workers": 9, "max_workers": 3}, r"max_workers: got 3 with num_workers 9, expected"),
        ({"autoscaling": False}, r"autoscaling: got false with num_workers 0 and max_workers 0"),
        (
            {"autoscaling": False, "num_workers": 3, "max_workers": 4},
            r"autoscaling: got false with num_workers 3 and max_workers 4, expected the fixed num",
        ),
        ({"disk_type": "SSD"}, r"disk_type: got 'SSD', expected a type of disk such as pd-ssd"),
        ({"network": "projects/p/global/networks/n"}, r"network: got .*expected the name of a net"),
        ({"subnetwork": "inner"}, r"subnetwork: got 'inner', expected regions/REGION/subnetworks"),
        (
            {"region": "europe-west1", "subnetwork": SUBNETWORK},
            r"subnetwork: got one in us-central1, expected it in beam\.dataflow\.region, europe-w",
        ),
        (
            {"region": "europe-west1", "encryption_key": KEY},
            r"encryption_key: got one in us-central1, expected it in beam\.dataflow\.region",
        ),
        ({"encryption_key": "key"}, r"encryption_key: got 'key', expected its full name, such"),
        (
            {"public_addresses": False},
            r"public_addresses: got false without beam\.dataflow\.subnetwork, .*Private Google Acc",
        ),
        ({"labels": {"Team": "x"}}, r"labels: got 'Team', expected names of 1 to 63 lower-case"),
    ],
)
def test_what_cannot_work_is_refused(settings, message):
    with pytest.raises(InputError, match=rf"^beam\.dataflow\.{message}"):
        DataflowConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataflow": DataflowConfig(**PLACES)}, r"beam\.dataflow: got settings with beam\.runner"),
        (
            {"runner": "dataflow"},
            r"beam\.dataflow\.project: got nothing with beam\.runner=dataflow",
        ),
        (
            {"runner": "dataflow", "dataflow": DataflowConfig(project="proj-1")},
            r"beam\.dataflow\.region: got nothing",
        ),
        (
            {
                "runner": "dataflow",
                "dataflow": DataflowConfig(**PLACES),
                "shared_folder": "s3://b/work",
            },
            r"beam\.dataflow\.temp_location: got nothing .*beam\.shared_folder is not in gs://",
        ),
        (
            {"runner": "DataflowRunner", "options": ("--template_location=gs://b/t",)},
            r"beam\.options: got --template_location, which does not suit: a template ends with",
        ),
        (
            {"runner": "DataflowRunner", "options": ("--experiments=x,disable_runner_v2",)},
            r"beam\.options: got --experiments=.*Runner v2 only; remove it",
        ),
        (
            {"runner": "DataflowRunner", "options": ("--experiments", "disable_runner_v2")},
            r"beam\.options: got --experiments=disable_runner_v2, .*Runner v2 only; remove it",
        ),
        (
            {"runner": "DataflowRunner", "options": ("--job_name=mine",)},
            r"beam\.options: got --job_name, which does not suit: jobs of the same work find each",
        ),
        (
            {"runner": "DataflowRunner", "options": ("--impersonate_service_account", "a@b")},
            r"got --impersonate_service_account, .*neither watched nor cancelled; log in as that",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        BeamConfig(**{**WORK, **settings} if settings.get("runner") else settings)


@pytest.mark.slow
def test_the_step_submits_the_whole_graph_and_tells_why_the_job_failed(tmp_path):
    from apache_beam.portability.api import beam_runner_api_pb2

    text = write_corpus(tmp_path / "corpus", num_documents=50) / "text.txt"
    train_vocab(
        corpus=CorpusConfig(files=(str(text),)),
        config=VocabConfig(size=60),
        output=tmp_path / "vocab",
    )
    dataflow = FakeDataflow(states=("RUNNING", "FAILED"), messages=[("ERROR", "no such disk")])
    with emulated_bucket() as bucket, loopback(dataflow) as running:
        storage.write_bytes(f"{bucket}/corpus/text.txt", text.read_bytes())

        def make(**settings) -> None:
            endpoint = f"http://localhost:{running.port}"
            config = DataflowConfig(endpoint=endpoint, **PLACES, **settings)
            make_records(
                corpus=CorpusConfig(files=(f"{bucket}/corpus/*",)),
                vocab=tmp_path / "vocab",
                config=RecordsConfig(sequence_length=24),
                output=tmp_path / "records",
                beam=BeamConfig(runner="dataflow", dataflow=config, shared_folder=f"{bucket}/work"),
            )

        with pytest.raises(InputError, match=r"beam\.dataflow\.image: got nothing"):
            make()
        assert not storage.has_files(f"{bucket}/work")
        with pytest.raises(StepFailedError, match=r"dataflow: job job-1 failed: no such disk; see"):
            make(image=IMAGE)
        (graph_path,) = [
            file.path
            for file in storage.find_files(f"{bucket}/work/dataflow")
            if file.path.endswith("pipeline.pb")
        ]
        graph = beam_runner_api_pb2.Pipeline.FromString(storage.read_bytes(graph_path))
    assert dataflow.created[0]["name"].startswith("albert-records-")
    names = {transform.unique_name for transform in graph.components.transforms.values()}
    assert {"Splits", "SpreadSplits", "EncodeSplit", "GroupByShard", "BuildShard"} <= names
    environments = [
        beam_runner_api_pb2.DockerPayload.FromString(environment.payload).container_image
        for environment in graph.components.environments.values()
        if environment.urn == "beam:env:docker:v1"
    ]
    assert set(environments) == {IMAGE}
