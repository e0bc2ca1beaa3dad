"""The records pipeline as Dataflow would receive it: job request and staged graph, on loopback."""

import http.server
import json
import threading

import pytest

from albert_core import storage
from albert_core.corpus import CorpusConfig, corpus_splits
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.records.config import RecordsConfig
from albert_core.tokenization import load_tokenizer
from albert_core.tokenization.config import VocabConfig
from components.records.beam_pipeline import name_splits, run_beam
from components.records.runners import BeamConfig
from components.records.worker_context import WorkerContext
from components.vocab.step import train_vocab
from tests.helpers.object_storage import emulated_bucket
from tests.helpers.tiny_run import write_corpus

IMAGE = "europe-docker.pkg.dev/proj/albert/data:1.0"
JOB = {"id": "job-1", "name": "records", "projectId": "proj", "location": "us-central1"}

pytestmark = pytest.mark.filterwarnings("ignore")


class Dataflow(http.server.BaseHTTPRequestHandler):
    """Accepts jobs and says they are done; keeps what it was sent."""

    requests: list[tuple[str, dict]] = []  # noqa: RUF012 emptied by the fixture

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append((self.path, body))
        self._answer({**JOB, "currentState": "JOB_STATE_DONE"})

    def do_GET(self):
        answer = {"jobMessages": []} if "messages" in self.path else JOB
        self._answer({**answer, "currentState": "JOB_STATE_DONE"})

    def _answer(self, values):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(values).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    Dataflow.requests.clear()
    server = http.server.ThreadingHTTPServer(("localhost", 0), Dataflow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_the_job_is_submitted_with_the_data_image_and_the_whole_graph(endpoint, tmp_path):
    from apache_beam.portability.api import beam_runner_api_pb2

    text = write_corpus(tmp_path / "corpus", num_documents=50) / "text.txt"
    train_vocab(
        corpus=CorpusConfig(files=(str(text),)),
        config=VocabConfig(size=60),
        output=tmp_path / "vocab",
    )
    with emulated_bucket() as bucket:
        storage.write_bytes(f"{bucket}/corpus/text.txt", text.read_bytes())
        corpus = CorpusConfig(files=(f"{bucket}/corpus/*",))
        beam = BeamConfig(
            runner="DataflowRunner",
            shared_folder=f"{bucket}/work",
            options=(
                "--project=proj",
                "--region=us-central1",
                f"--dataflow_endpoint={endpoint}",
                f"--staging_location={bucket}/staging",
                f"--temp_location={bucket}/temp",
                f"--sdk_container_image={IMAGE}",
                "--sdk_location=container",
                "--no_auth",
            ),
        )
        job = WorkerContext(
            corpus=corpus,
            cleaning=CleaningConfig(),
            config=RecordsConfig(sequence_length=24),
            tokenizer=load_tokenizer(tmp_path / "vocab"),
            folder=f"{bucket}/work/records",
        )
        splits = name_splits(corpus_splits(corpus))
        run_beam(job, splits, beam.options_for(num_bytes=1, num_splits=len(splits)))
        (graph_path,) = [
            file.path
            for file in storage.find_files(f"{bucket}/staging")
            if file.path.endswith("pipeline.pb")
        ]
        graph = beam_runner_api_pb2.Pipeline.FromString(storage.read_bytes(graph_path))
    ((path, request), *_) = Dataflow.requests
    assert path.startswith("/v1b3/projects/proj/locations/us-central1/jobs")
    images = [pool["workerHarnessContainerImage"] for pool in request["environment"]["workerPools"]]
    assert images == [IMAGE]
    names = {transform.unique_name for transform in graph.components.transforms.values()}
    assert {"Splits", "SpreadSplits", "EncodeSplit", "GroupByShard", "BuildShard"} <= names
    environments = [
        beam_runner_api_pb2.DockerPayload.FromString(environment.payload).container_image
        for environment in graph.components.environments.values()
        if environment.urn == "beam:env:docker:v1"
    ]
    assert set(environments) == {IMAGE}
