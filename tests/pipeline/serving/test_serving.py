"""`albert serve` as a process: right answers, refusals with a reason, batches, an orderly end."""

import dataclasses
import gzip
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import SENTENCES

from albert_core.inference import load
from albert_core.model_function import ModelInputs, ModelOutputs
from albert_core.tokenization import SentencePieceTokenizer
from pipeline.cli.main import main
from pipeline.serving.app import make_app
from pipeline.serving.config import ServingConfig
from tests.helpers.served import Answer, Server, half_open, in_a_thread, serving
from tests.helpers.served_models import TASKS_BY_NAME, save_pretrained_model, save_task_model

WAIT_MS = 200
ORIGIN = "https://example.org"
OPTIONS = (
    *("--max_examples", "4", "--max_queued_examples", "8", "--max_wait_ms", str(WAIT_MS)),
    *("--cors_origins", f"{ORIGIN},http://localhost:3000", "--header_timeout_s", "60"),
)
OPEN_FILES = 256


@pytest.fixture(scope="module")
def topic_model(
    tokenizer: SentencePieceTokenizer, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return save_task_model(
        tmp_path_factory.mktemp("served") / "topic", TASKS_BY_NAME["topic"], tokenizer
    )


@pytest.fixture(scope="module")
def server(topic_model: Path) -> Iterator[Server]:
    with serving(topic_model, *OPTIONS, open_files=OPEN_FILES) as running:
        yield running
        assert running.end(signal.SIGINT) == (0, "Stopped\n")


def asking(*texts: Any) -> dict[str, Any]:
    return {"examples": [{"text": text} for text in texts]}


def at_once(count: int, send: Callable[[int], Answer]) -> list[Answer]:
    """Send requests at the same time."""
    barrier = threading.Barrier(count)

    def wait_and_send(number: int) -> Answer:
        barrier.wait()
        return send(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(wait_and_send, range(count)))


def test_answers_are_the_models(server: Server, topic_model: Path) -> None:
    expected = load(topic_model).predict(SENTENCES[:4])
    answer = server.post("/predict", asking(*SENTENCES[:4]))
    assert answer.status == 200
    for got, wanted in zip(answer.body["predictions"], expected, strict=True):
        assert got["label"] == wanted.label
        assert got["probabilities"] == pytest.approx(wanted.probabilities, abs=1e-5)


BAD_BODIES = {
    "cut short": (b'{"examples": [', 400, "body"),
    "no body": (b"", 422, "body"),
    "not an object": (b"[]", 422, "body"),
    "not UTF-8": (b'{"examples": [{"text": "\xff"}]}', 400, "body"),
    "deep": (b"[" * 100_000, 400, "body"),
    "deep objects": (b'{"a":' * 100_000, 400, "body"),
    "a number without end": (b'{"examples": ' + b"9" * 9_000 + b"}", 400, "body"),
    "NaN": (b'{"examples": NaN}', 422, "examples"),
    "Infinity": (b'{"examples": [{"text": Infinity}]}', 422, "examples[0].text"),
    "lone surrogate": (b'{"examples": [{"text": "\\ud800"}]}', 422, "examples[0].text"),
    "no examples": ({}, 422, "examples"),
    "none": ({"examples": []}, 422, "examples"),
    "too many": (asking(*"abcde"), 422, "examples"),
    "number": (asking("a", 5), 422, "examples[1].text"),
    "null": (asking(None), 422, "examples[0].text"),
    "empty": (asking(""), 422, "examples[0].text"),
    "blank": (asking(" \n\t"), 422, "examples[0].text"),
    "10,000 characters": (asking("x" * 10_000), 422, "examples[0].text"),
    "unknown field": ({**asking("a"), "top_k": 3}, 422, "top_k"),
    "field of another kind": (
        {"examples": [{"text": "a", "text_b": "b"}]},
        422,
        "examples[0].text_b",
    ),
    "10 MB": (asking("x" * 10_000_000), 413, "body"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bad_bodies_are_refused_with_a_reason(server: Server, name: str) -> None:
    body, status, what = BAD_BODIES[name]
    answer = server.post("/predict", body)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    error = answer.body["error"]
    assert error.keys() == {"what", "got", "expected"}
    assert error["what"] == what
    assert all(error.values())
    assert len(answer.content) < 400


def test_a_long_body_is_refused_though_nobody_says_how_long(server: Server) -> None:
    parts = (b"x" * 50_000 for _ in range(200))
    answer = server.send("POST", "/predict", parts, {"Transfer-Encoding": "chunked"}, chunked=True)
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert answer.body["error"]["expected"] == "at most 1,000,000 bytes"


def test_compressed_bodies_are_answered(server: Server) -> None:
    body, headers = json.dumps(asking("a")).encode(), {"Content-Type": "application/json"}
    plain = server.send("POST", "/predict", body, headers)
    headers["Content-Encoding"] = "gzip"
    assert server.send("POST", "/predict", gzip.compress(body), headers).body == plain.body
    bomb = gzip.compress(bytes(100_000_000))
    refused = server.send("POST", "/predict", bomb, headers)
    assert (refused.status, refused.body["error"]["what"]) == (413, "body")
    assert server.send("POST", "/predict", body, headers).status == 400


@pytest.mark.parametrize("path", ["/", "/model", "/healthz", "/metrics", "/v1/models/topic"])
def test_head_is_get_without_its_body(server: Server, path: str) -> None:
    got, headers_alone = server.get(path), server.send("HEAD", path)
    assert (headers_alone.status, headers_alone.content) == (200, b"")
    assert headers_alone.headers["content-type"] == got.headers["content-type"]
    assert path == "/metrics" or (
        headers_alone.headers["content-length"] == got.headers["content-length"]
    )
    assert server.send("DELETE", path).headers["allow"] == "GET, HEAD"


def test_pages_of_given_origins_may_ask(server: Server) -> None:
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": ""}
    preflight["Access-Control-Request-Headers"] = "content-type"
    allowed = server.send("OPTIONS", "/predict", None, {"Origin": ORIGIN, **preflight})
    assert (allowed.status, allowed.headers["access-control-allow-origin"]) == (200, ORIGIN)
    refused = server.send("POST", "/predict", b"x" * 2_000_000, {"Origin": ORIGIN})
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (413, ORIGIN)
    other = server.send("GET", "/model", None, {"Origin": "https://example.com"})
    assert "access-control-allow-origin" not in other.headers


def is_idle(server: Server) -> bool:
    """Return whether the server uses hardly any processor time in half a second.

    One that cannot accept, and tries again and again, never does.
    """
    before_s = server.cpu_s()
    time.sleep(0.5)
    return server.cpu_s() - before_s < 0.1


def test_half_open_connections_beyond_the_open_files_shut_out_nobody(server: Server) -> None:
    with half_open(server.port, 400):
        assert [server.post("/predict", asking("a")).status for _ in range(3)] == [200] * 3
        metrics = server.metrics()
        assert any(is_idle(server) for _ in range(60))
    assert metrics["albert_connections"] < OPEN_FILES
    assert metrics['albert_dropped_connections_total{reason="displaced"}'] > 400 - OPEN_FILES


def test_instances_are_answered_as_examples(server: Server) -> None:
    """The protocol of KServe and TensorFlow Serving, from clients that send no Content-Type."""
    path, texts = "/v1/models/topic", SENTENCES[:2]
    expected = server.post("/predict", asking(*texts)).body
    instances: list[Any] = [texts[0], {"text": texts[1]}]
    body = json.dumps({"signature_name": "serving_default", "instances": instances})
    answer = server.send("POST", f"{path}:predict", body)
    assert answer.status == 200
    assert [one["label"] for one in answer.body["predictions"]] == [
        one["label"] for one in expected["predictions"]
    ]
    assert server.get("/v1/models").body == {"models": ["topic"]}
    status = server.get(path).body
    assert (status["name"], status["ready"]) == ("topic", True)
    assert status["model_version_status"][0]["state"] == "AVAILABLE"
    unknown, wrong = server.get("/v1/models/other"), server.get(f"{path}:predict")
    assert (unknown.status, wrong.status) == (404, 405)
    assert unknown.body["error"].startswith("path: got /v1/models/other, expected one of ")
    assert wrong.body == {"error": "method: got GET, expected POST"}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b'{"instances": ["a", ""]}', 422, "instances[1].text: got "),
        (b'{"instances": [5]}', 422, "instances[0]: got 5"),
        (b'{"examples": ["a"]}', 422, "instances: got nothing"),
        (b'{"instances": ["a"], "signature_name": "other"}', 422, "signature_name: got "),
        (b'{"instances": ', 400, "body: got "),
        (b"x" * 2_000_000, 413, "body: got "),
    ],
)
def test_refusals_of_instances_are_texts(
    server: Server, body: bytes, status: int, message: str
) -> None:
    answer = server.post("/v1/models/topic:predict", body)
    assert answer.status == status
    assert answer.body["error"].startswith(message)


@pytest.mark.parametrize(
    ("method", "path", "status", "what"),
    [
        ("GET", "/nowhere", 404, "path"),
        ("POST", "/fill-mask", 404, "path"),
        ("GET", "/%ff", 404, "path"),
        ("GET", "/predict", 405, "method"),
        ("DELETE", "/healthz", 405, "method"),
        ("POST", "/predict", 415, "Content-Type"),
    ],
)
def test_bad_requests_are_refused_with_a_reason(
    server: Server, method: str, path: str, status: int, what: str
) -> None:
    answer = server.send(method, path, json.dumps(asking("a")) if method == "POST" else None)
    assert answer.status == status
    assert answer.body["error"]["what"] == what
    assert ("allow" in answer.headers) == (status == 405)


def test_strange_texts_are_answered(server: Server) -> None:
    texts = ("\x00", "\u202e\u200b", "😀" * 2_000, "word " * 999)
    predictions = server.post("/predict", asking(*texts)).body["predictions"]
    assert predictions[3]["is_truncated"]
    assert all(0 <= one["probability"] <= 1 for one in predictions)


def test_requests_that_come_together_are_run_together(server: Server) -> None:
    before = server.metrics()
    answered = at_once(8, lambda number: server.post("/predict", asking(SENTENCES[number])))
    after = server.metrics()
    assert [answer.status for answer in answered] == [200] * 8
    num_batches, num_sequences = (
        after[f"albert_batch_size_{name}"] - before[f"albert_batch_size_{name}"]
        for name in ("count", "sum")
    )
    assert num_sequences == 8
    assert num_batches < 8
    alone = server.post("/predict", asking(SENTENCES[3])).body["predictions"][0]
    together = answered[3].body["predictions"][0]
    assert together["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-5)


def test_what_cannot_wait_is_told_to_come_again(server: Server) -> None:
    answered = at_once(8, lambda _: server.post("/predict", asking(*"abcd")))
    statuses = [answer.status for answer in answered]
    assert set(statuses) == {200, 503}
    refused = answered[statuses.index(503)]
    assert refused.headers["retry-after"] == "1"
    assert refused.body["error"]["what"] == "queue"
    assert server.post("/predict", asking("a")).status == 200


def test_metrics_count_requests_and_errors(server: Server) -> None:
    before = server.metrics()
    server.post("/predict", asking("a"))
    server.post("/predict", asking(""))
    server.get(f"/{'x' * 50}")
    after = server.metrics()
    for name in (
        'albert_requests_total{endpoint="/predict",status="200"}',
        'albert_requests_total{endpoint="/predict",status="422"}',
        'albert_requests_total{endpoint="unknown",status="404"}',
        'albert_errors_total{status="422"}',
        'albert_request_seconds_count{endpoint="unknown"}',
    ):
        assert after[name] == before.get(name, 0) + 1
    assert not any("xxx" in name for name in after)


def test_the_server_describes_itself(server: Server) -> None:
    assert server.get("/healthz").body == {"status": "ok"}
    model = server.get("/model").body
    assert (model["name"], model["kind"], model["labels"]) == (
        "topic",
        "classification",
        ["sea", "farm", "town"],
    )
    schema = server.get("/openapi.json").body
    instances = {"/v1/models", "/v1/models/topic", "/v1/models/topic:predict"}
    assert schema["paths"].keys() == instances | {
        *("/", "/predict", "/model", "/healthz", "/metrics")
    }
    example = schema["components"]["schemas"]["Example"]
    assert example["additionalProperties"] is False
    assert example["properties"]["text"]["maxLength"] == 5_000
    page = server.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert b"http://" not in page.content
    assert b"https://" not in page.content


def test_sigterm_ends_it_after_what_was_asked(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    model = save_pretrained_model(tmp_path / "pretrained", tokenizer)
    with serving(model, "--max_wait_ms", "1500") as running, ThreadPoolExecutor(1) as threads:
        asked = threads.submit(running.post, "/fill-mask", asking("The [MASK]."))
        while not running.metrics()["albert_queued_examples"]:
            assert not asked.done()
        assert running.end(signal.SIGTERM) == (0, "Stopped\n")
        answer = asked.result()
    assert answer.status == 200
    assert len(answer.body["predictions"][0]["masks"][0]) == 5


def test_a_failure_of_the_model_is_no_traceback(topic_model: Path) -> None:
    model, fails = load(topic_model), threading.Event()

    def run(inputs: ModelInputs) -> ModelOutputs:
        if fails.is_set() and inputs["input_ids"].shape[1] == 20:
            raise MemoryError("secret")
        return model.run(inputs)

    app = make_app(dataclasses.replace(model, run=run), ServingConfig())
    fails.set()
    with in_a_thread(app) as client:
        failed = client.post("/predict", asking(SENTENCES[0]))
        assert failed.status == 500
        assert failed.body["error"]["what"] == "server"
        assert b"secret" not in failed.content
        failed = client.post("/v1/models/topic:predict", {"instances": SENTENCES[:1]})
        assert failed.status == 500
        assert failed.body["error"].startswith("server: got an error of its own")
        assert client.post("/predict", asking("a")).status == 200


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must be refused; return the one line that says why."""
    assert main(["serve", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_what_cannot_be_served_is_refused_before(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    topic_model: Path,
    tmp_path: Path,
) -> None:
    assert "no folder" in refusal(capsys, str(tmp_path / "nowhere"), "--port", "0")
    assert "max_batch_size: got 0" in refusal(capsys, str(topic_model), "--max_batch_size", "0")
    assert "port: got 70000" in refusal(capsys, str(topic_model), "--port", "70000")
    assert "max_queued_examples" in refusal(capsys, str(topic_model), "--max_examples", "9999")
    assert "body_timeout_s: got 0" in refusal(capsys, str(topic_model), "--body_timeout_s", "0")
    assert "https://" in refusal(capsys, str(topic_model), "--cors_origins", "example.org")
    told = refusal(capsys, str(topic_model), "--port", "0", "--null_threshold", "1")
    assert "null_threshold: got 1, expected none: topic (classification) does not answer" in told
    for name in ("a/b", ".."):
        told = refusal(capsys, str(topic_model), "--model_name", name)
        assert f"model_name: got {name!r}" in told
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "--port 0" in refusal(capsys, str(topic_model), "--port", port)
    monkeypatch.delitem(sys.modules, "pipeline.serving.server")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "albert-pipeline[serve]" in refusal(capsys, str(topic_model))
