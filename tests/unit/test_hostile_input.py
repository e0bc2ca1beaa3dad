"""Files from outside run no code of theirs, and are read and written where they should be."""

import ast
import http.server
import io
import json
import pickle
import struct
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import yaml

from albert_core import storage
from albert_core.checkpoints import read_checkpoint
from albert_core.checkpoints.tf1 import find_tf1_checkpoint, write_tf1_checkpoint
from albert_core.corpus.overlap import OverlapIndex
from albert_core.errors import InputError
from albert_core.files.checksums import describe_file, write_sealed
from albert_core.finetuning.cache import cached_features
from albert_core.model.weights import read_weights
from albert_core.tasks.declarations import read_task_file
from pipeline.config_files import read_config
from tests.helpers.checkpoint_samples import CONFIG

ROOT = Path(__file__).resolve().parents[2]
TASK = {"name": "mine", "texts": [0], "label": 1, "labels": ["a", "b"], "metrics": ["accuracy"]}


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path: Path):
    """The file that code from a hostile file would make; it must not be there in the end."""
    path = tmp_path / "it-ran"
    yield path
    assert not path.exists()


@pytest.fixture
def bomb(mark: Path) -> bytes:
    return pickle.dumps(Bomb(mark))


def test_the_bomb_works(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "other")))
    assert (tmp_path / "other").exists()


def huggingface_folder(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "albert", **CONFIG.to_dict()}))
    return folder


def test_pickled_weights_are_refused(bomb, tmp_path):
    folder = huggingface_folder(tmp_path / "hf")
    (folder / "pytorch_model.bin").write_bytes(bomb)
    with pytest.raises(InputError, match=r"got pytorch_model\.bin, expected model\.safetensors"):
        read_checkpoint(folder)


def header(**entries: object) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


BEYOND = {"dtype": "F32", "shape": [4], "data_offsets": [0, 1 << 40]}
OVERLAPPING = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
HOSTILE_SAFETENSORS = {
    "huge header": struct.pack("<Q", 1 << 60) + b"{}",
    "no header": b"",
    "values beyond the file": header(a=BEYOND) + bytes(16),
    "values twice": header(a=OVERLAPPING, b=OVERLAPPING) + bytes(4),
    "shape that overflows": header(a={**OVERLAPPING, "shape": [1 << 62, 1 << 62]}) + bytes(4),
}


@pytest.mark.parametrize("content", HOSTILE_SAFETENSORS.values(), ids=HOSTILE_SAFETENSORS)
def test_weights_that_lie_about_themselves_are_refused(content, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        read_weights(path)


def test_weights_that_are_a_pickle_or_an_archive_are_refused(bomb, tmp_path):
    path = tmp_path / "model.safetensors"
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as file:
        file.addfile(tarfile.TarInfo("../../escaped"))
    for content in (bomb, archive.getvalue()):
        path.write_bytes(content)
        with pytest.raises(InputError, match="cannot be read as safetensors"):
            read_weights(path)
    assert not list(tmp_path.parent.rglob("escaped"))


def test_names_of_weights_are_no_paths(tmp_path):
    folder = huggingface_folder(tmp_path / "hf")
    arrays = {"../../escaped": np.zeros(1, np.float32)}
    safetensors.numpy.save_file(arrays, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"\.\./\.\./escaped"):
        read_checkpoint(folder)
    assert not list(tmp_path.parent.rglob("escaped"))


def test_objects_in_numpy_files_are_not_unpickled(mark, tmp_path):
    objects = np.array([Bomb(mark)], dtype=object)
    np.savez(tmp_path / "index.npz", hashes=objects, owners=objects, described=objects)
    with pytest.raises(ValueError, match="allow_pickle"):
        OverlapIndex.load(str(tmp_path / "index.npz"))
    np.save(tmp_path / "ids.npy", objects)
    facts = {"targets": [], "files": {"ids.npy": describe_file(tmp_path / "ids.npy")}}
    write_sealed(tmp_path / "features.json", facts, work="key")
    with pytest.raises(ValueError, match=r"mmap|[Pp]ython objects"):
        cached_features(tmp_path, make=lambda: pytest.fail("made anew"), key="key")


def test_a_checkpoint_file_that_points_elsewhere_stays_in_its_folder(tmp_path):
    for place in ("elsewhere/model.ckpt-2", "here/model.ckpt-1", "here/model.ckpt-2"):
        write_tf1_checkpoint(tmp_path / place, {"a": np.zeros(1, np.float32)})
    state = tmp_path / "here" / "checkpoint"
    state.write_text('model_checkpoint_path: "../elsewhere/model.ckpt-2"\n')
    assert find_tf1_checkpoint(tmp_path / "here") == tmp_path / "here" / "model.ckpt-2"


def test_a_saved_model_is_not_run(bomb, tmp_path):
    """Of a TF-Hub module variables, configuration and vocabulary are read, and never the graph."""
    module = tmp_path / "module"
    (module / "assets").mkdir(parents=True)
    (module / "saved_model.pb").write_bytes(bomb)
    CONFIG.to_json_file(module / "assets" / "albert_config.json")
    weights = {"module/bert/pooler/dense/bias": np.zeros(16, np.float32)}
    write_tf1_checkpoint(module / "variables" / "variables", weights)
    (module / "assets" / "vocab.txt").write_bytes(bomb)
    with pytest.raises(InputError, match=r"vocab\.txt"):
        read_checkpoint(module)


YAML_TAGS = "!!python/object/apply:pathlib.Path.touch [{}]"


@pytest.mark.parametrize("read", [read_config, read_task_file])
def test_yaml_makes_no_objects(read, mark, tmp_path):
    path = tmp_path / "hostile.yaml"
    path.write_text(f"title: {YAML_TAGS.format(mark)}\n")
    with pytest.raises(InputError, match="not YAML"):
        read(path)


@pytest.mark.parametrize(
    "setting",
    ["title", "model", "model.overrides.hidden_size", "finetuning.per_task.cola.learning_rate"],
)
def test_settings_name_no_classes(setting, mark, tmp_path):
    arguments = {"args": f"touch {mark}", "shell": True}
    values: object = {"class_path": "subprocess.Popen", "init_args": arguments}
    for name in reversed(setting.split(".")):
        values = {name: values}
    path = tmp_path / "hostile.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(InputError):
        read_config(path)
    time.sleep(0.2)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../escaped"},
        {"name": ".hidden"},
        {"train": "../../../etc/passwd"},
        {"dev": "/etc/passwd"},
        {"test": {"file": "test.tsv", "submission": "../escaped.tsv"}},
    ],
    ids=str,
)
def test_a_task_leads_nowhere_else(change, tmp_path):
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump({**TASK, **change}))
    with pytest.raises(InputError, match=r"got (name|file) '"):
        read_task_file(path)


class HostileStorage(http.server.BaseHTTPRequestHandler):
    """Google Cloud Storage's answers, of a bucket with one object whose name leads out of it."""

    def do_GET(self):
        item = {"name": "model/../../escaped", "bucket": "b", "size": "1", "crc32c": "AAAAAA=="}
        is_list = self.path.partition("?")[0].endswith("/o")
        body = json.dumps({"items": [item]} if is_list else item).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_objects_are_fetched_into_their_folder_only(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with http.server.ThreadingHTTPServer(("localhost", 0), HostileStorage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://localhost:{server.server_port}")
        monkeypatch.setenv("NO_PROXY", "localhost")
        with pytest.raises(InputError, match="leads out of"):
            storage.local_folder("gs://bucket/model")
        server.shutdown()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


DANGEROUS_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve", "tarfile"}
DANGEROUS_CALLS = {
    *("eval", "exec", "unsafe_load", "full_load"),
    *("extract", "extractall", "unpack_archive", "makefile"),  # files of an archive on the disk
}
# Corpora may be archives: their members are read as streams, and their names are only shown.
READS_STREAMS = {
    "albert_core/files/compression.py": {"tarfile"},  # its errors alone
    "albert_core/corpus/containers.py": {"tarfile"},
    "albert_core/corpus/signatures.py": {"tarfile"},
}


@pytest.mark.parametrize("package", ["albert_core", "components", "pipeline"])
def test_no_code_of_ours_unpickles_unpacks_or_evaluates(package):
    found = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)} {name}"
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in dangerous_names(node)
        - READS_STREAMS.get(path.relative_to(ROOT).as_posix(), set())
    ]
    assert not found


def dangerous_names(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names} & DANGEROUS_MODULES
    if isinstance(node, ast.ImportFrom):
        return {str(node.module)} & DANGEROUS_MODULES
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = node.func.id if isinstance(node.func, ast.Name) else called
        true_arguments = {
            str(keyword.arg)
            for keyword in node.keywords
            if isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        }
        return ({called} & DANGEROUS_CALLS) | (true_arguments & {"allow_pickle", "shell"})
    return set()
