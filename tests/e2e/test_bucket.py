"""The pipeline's components with everything in a bucket, each on a machine that has seen nothing.

The emulators keep to generations, as Google and S3 do. A machine is an empty folder for temporary
files. Artifacts have gs:// addresses as on Vertex AI; metrics and page are local files.
"""

import contextlib
import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from albert_core import storage
from albert_core.artifacts import work_sync
from albert_core.artifacts.manifest import parse_manifest
from albert_core.errors import InputError
from albert_core.files.atomic import sha256_of_file
from albert_core.finetuning.config import FinetuningConfig
from albert_core.presets import ModelConfig
from albert_core.pretraining.config import PretrainingConfig
from albert_core.records.config import RecordsConfig
from albert_core.settings import parse_settings, plain_values
from albert_core.tasks import find_task
from components.evaluate.component import evaluate
from components.finetune.component import finetune
from components.finetune.job import TaskJob
from components.pretrain.component import pretrain
from components.pretrain.step import pretrain as pretrain_step
from components.records.component import make_records
from components.records.job import RecordsJob
from components.report.component import report
from components.vocab.component import train_vocab
from tests.helpers.object_storage import s3_bucket, strict_bucket
from tests.helpers.tiny_pretraining import OVERRIDES
from tests.helpers.tiny_run import TINY_CONFIG, write_corpus, write_tasks
from tests.helpers.zygote import Fork, Zygote

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]

NUM_STEPS = 80
MODEL = {"preset": "tiny", "overrides": {**OVERRIDES, "hidden_dropout_prob": 0.1}}
PRETRAINING = {
    "optimizer": "lamb",
    "learning_rate": 0.005,
    "num_train_steps": NUM_STEPS,
    "num_warmup_steps": 5,
    "batch_size": 256,
    "evaluation_interval_steps": 40,
    "checkpoint_interval_steps": 10,
    "jit_compile": False,
}


class Cloud:
    """Artifacts and work folders in a bucket, and the machines that come and go.

    Attributes:
        bucket: Its address.
        folder: Local folder of the machines.
    """

    def __init__(self, bucket: str, folder: Path) -> None:
        self.bucket, self.folder = bucket, folder
        self._num_machines = 0

    @property
    def text(self) -> dict[str, Any]:
        return {"corpus": {"files": [f"{self.bucket}/corpus/*"]}, "corpus_fingerprint": "1"}

    def artifact(self, name: str) -> dsl.Artifact:
        return dsl.Artifact(uri=f"{self.bucket}/run/{name}")

    def local(self, name: str) -> dsl.Artifact:
        return dsl.Artifact(uri=str(self.folder / name))

    def metrics(self) -> dsl.Metrics:
        return dsl.Metrics(uri=str(self.folder / "metrics.json"))

    def scores(self, name: str) -> dict[str, dsl.Artifact]:
        """Return what an evaluation writes to."""
        classification = dsl.ClassificationMetrics(uri=str(self.folder / "classification.json"))
        shown = {"metrics": self.metrics(), "classification": classification}
        return {"evaluation": self.artifact(name), **shown}

    def new_machine(self) -> Path:
        self._num_machines += 1
        machine = self.folder / f"machine-{self._num_machines}"
        machine.mkdir()
        return machine

    def run(self, component: Any, *, work_root: str = "", **arguments: Any) -> None:
        """Run a component's function on a new machine."""
        before, tempfile.tempdir = tempfile.tempdir, str(self.new_machine())
        try:
            component.python_func(work_root=work_root or f"{self.bucket}/work", **arguments)
        finally:
            tempfile.tempdir = before

    def manifest(self, artifact: dsl.Artifact) -> Any:
        return parse_manifest(storage.read_bytes(f"{artifact.uri}/manifest.json"), artifact.uri)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cloud")
    with strict_bucket() as bucket, pytest.MonkeyPatch.context() as patch:
        patch.setattr(work_sync, "LEASE_S", 2.0)
        upload(write_corpus(folder / "corpus"), f"{bucket}/corpus")
        upload(write_tasks(folder / "glue"), f"{bucket}/glue")
        yield Cloud(bucket, folder)


def upload(folder: Path, address: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            storage.write_file(f"{address}/{path.relative_to(folder).as_posix()}", path)


@pytest.fixture(scope="module")
def vocab(cloud):
    vocab = cloud.artifact("vocab")
    cloud.run(train_vocab, **cloud.text, config={"size": 60}, vocab=vocab, metrics=cloud.metrics())
    return vocab


@pytest.fixture(scope="module")
def records(cloud, vocab):
    records = cloud.artifact("records")
    settings = parse_settings(RecordsConfig, TINY_CONFIG["records"], source="records")
    job = plain_values(dataclasses.asdict(RecordsJob(step="records", records=settings)))
    others = {"cleaning": {}, "beam": {}, "vocab": vocab, "metrics": cloud.metrics()}
    cloud.run(make_records, **cloud.text, job=job, records=records, **others)
    return records


@pytest.fixture(scope="module")
def pretrained(cloud, vocab, records):
    pretrained = cloud.artifact("pretrained")
    arguments = {"model": MODEL, "config": PRETRAINING, "vocab": vocab, "records": [records]}
    cloud.run(pretrain, **arguments, pretrained=pretrained, metrics=cloud.metrics())
    return pretrained


@pytest.fixture(scope="module")
def job(cloud):
    task, data = find_task("topic", cloud.folder / "glue")
    job = TaskJob(
        task=task,
        data=f"{cloud.bucket}/glue/{data.name}",
        data_fingerprint="1",
        initialization="pretrained",
        finetuning=parse_settings(FinetuningConfig, TINY_CONFIG["finetuning"], source="finetuning"),
    )
    return plain_values(dataclasses.asdict(job))


@pytest.fixture(scope="module")
def finetuned(cloud, pretrained, job):
    finetuned = cloud.artifact("finetuned")
    arguments = {"job": job, "pretrained": pretrained, "metrics": cloud.metrics()}
    cloud.run(finetune, **arguments, finetuned=finetuned)
    return finetuned


def test_from_text_to_report_everything_is_in_the_bucket(
    cloud, vocab, records, pretrained, finetuned, job
):
    scores, summary, page = cloud.scores("scores"), cloud.artifact("summary"), cloud.local("page")
    cloud.run(evaluate, job=job, finetuned=finetuned, **scores)
    assert json.loads((cloud.folder / "metrics.json").read_text())["accuracy"] > 0.4
    cloud.run(
        report,
        title="in a bucket",
        vocab=vocab,
        records=[records],
        pretrained=pretrained,
        finetuned=[finetuned],
        evaluations=[scores["evaluation"]],
        summary=summary,
        page=page,
    )
    assert storage.read_bytes(f"{summary.uri}/index.html").decode() == Path(page.path).read_text()
    for artifact in (vocab, records, pretrained, finetuned, scores["evaluation"], summary):
        sizes = {file.path: file.num_bytes for file in storage.find_files(artifact.uri)}
        for name, entry in cloud.manifest(artifact).files.items():
            assert sizes[f"{artifact.uri}/{name}"] == entry["bytes"]
    kept = [file.path for file in storage.find_files(f"{cloud.bucket}/work")]
    assert [path for path in kept if "/results/" in path]
    assert not [path for path in kept if "/progress" in path]


KILLED = """
import json, sys
from kfp import dsl
from albert_core.artifacts import work_sync
from components.pretrain.component import pretrain
work_sync.SYNC_EVERY_S = 0.05
values = json.loads(sys.argv[1])
pretrain.python_func(
    **values["settings"],
    vocab=dsl.Artifact(uri=values["vocab"]),
    records=[dsl.Artifact(uri=values["records"])],
    pretrained=dsl.Artifact(uri=values["pretrained"]),
    metrics=dsl.Metrics(uri=values["metrics"]),
)
"""


@contextlib.contextmanager
def inputs_in(scheme: str, cloud: Cloud, *artifacts: dsl.Artifact) -> Iterator[tuple[str, ...]]:
    """Yield a bucket of a storage, and the addresses of artifacts there."""
    if scheme == "gs":
        yield cloud.bucket, *(artifact.uri for artifact in artifacts)
        return
    with s3_bucket() as bucket:
        addresses = [artifact.uri.replace(cloud.bucket, bucket) for artifact in artifacts]
        for artifact, address in zip(artifacts, addresses, strict=True):
            for file in storage.find_files(artifact.uri):
                storage.copy_to_bucket(file.path, file.path.replace(artifact.uri, address))
        yield bucket, *addresses


@pytest.mark.parametrize("scheme", ["gs", "s3"])
def test_a_killed_pretraining_goes_on_from_the_bucket_on_another_machine(
    scheme, cloud, vocab, records, pretrained, run_zygote
):
    with inputs_in(scheme, cloud, vocab, records) as addresses:
        output = pretrain_killed_once(run_zygote, cloud, *addresses)
        manifest = parse_manifest(storage.read_bytes(f"{output}/manifest.json"), output)
    whole = cloud.manifest(pretrained).files["model.safetensors"]
    assert manifest.files["model.safetensors"]["sha256"] == whole["sha256"]


def pretrain_killed_once(
    zygote: Zygote, cloud: Cloud, bucket: str, vocab: str, records: str
) -> str:
    """Pretrain, be killed, go on elsewhere; return the output's address, whose file is whole."""
    work_root, output = f"{bucket}/killed/work", f"{bucket}/killed/pretrained"
    values = {
        "settings": {"model": MODEL, "config": PRETRAINING, "work_root": work_root},
        "vocab": vocab,
        "records": records,
        "pretrained": output,
        "metrics": cloud.metrics().uri,
    }
    environment = {**os.environ, "TMPDIR": str(cloud.new_machine())}
    process = zygote.start([json.dumps(values)], environment, KILLED)
    kill_at(process, lambda: newest_checkpoint(work_root) >= 20)
    reached = newest_checkpoint(work_root)
    assert 20 <= reached < NUM_STEPS
    reported: list[int] = []
    before, tempfile.tempdir = tempfile.tempdir, str(cloud.new_machine())
    pretrain_step(
        records=records,
        vocab=vocab,
        model=parse_settings(ModelConfig, MODEL, source="model"),
        config=parse_settings(PretrainingConfig, PRETRAINING, source="pretraining"),
        output=output,
        work_root=work_root,
        progress=lambda done, total, text: reported.append(done),
    )
    tempfile.tempdir = before
    assert min(step for step in reported if step) > reached
    fetched = storage.local_file(f"{output}/model.safetensors")
    recorded = parse_manifest(storage.read_bytes(f"{output}/manifest.json"), output)
    assert sha256_of_file(fetched) == recorded.files["model.safetensors"]["sha256"]
    return output


def newest_checkpoint(work_root: str) -> int:
    """Return the step of the newest checkpoint that a work root in the bucket lists; or 0."""
    if not storage.has_files(work_root):
        return 0
    indices = [f for f in storage.find_files(work_root) if f.path.endswith(work_sync.INDEX_NAME)]
    files = [json.loads(storage.read_bytes(index.path))["files"] for index in indices]
    names = [Path(name).parts[0] for own in files for name in own if "checkpoint-" in name]
    return max((int(name.removeprefix("checkpoint-")) for name in names), default=0)


def kill_at(process: Fork, condition: Callable[[], bool]) -> None:
    """SIGKILL a process as soon as a condition holds."""
    deadline = time.monotonic() + 300
    try:
        while not condition():
            assert process.returncode is None, "it ended before the condition held"
            assert time.monotonic() < deadline
            time.sleep(0.1)  # a look at the bucket takes both this process and the one in question
    finally:
        process.kill()
        process.wait(timeout=60)


def test_a_lost_object_is_named_and_comes_back_without_being_computed(
    cloud, pretrained, finetuned, job
):
    before = cloud.manifest(finetuned)
    storage.remove_file(f"{finetuned.uri}/model.safetensors")
    scores = cloud.scores("later scores")
    message = f"{finetuned.uri}: model.safetensors is missing, .* run `albert finetune`"
    with pytest.raises(InputError, match=message):
        cloud.run(evaluate, job=job, finetuned=finetuned, **scores)
    storage.remove_folder(finetuned.uri)
    arguments = {"job": job, "pretrained": pretrained, "metrics": cloud.metrics()}
    cloud.run(finetune, **arguments, finetuned=finetuned)
    assert cloud.manifest(finetuned) == before
    cloud.run(evaluate, job=job, finetuned=finetuned, **scores)
