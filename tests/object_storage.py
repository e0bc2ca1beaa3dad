"""A bucket in an emulator of Google Cloud Storage, on this machine's loopback."""

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

BUCKET = "albert-test"


@contextlib.contextmanager
def emulated_bucket() -> Iterator[str]:
    """Start an emulator, tell clients of this process and its children; yield gs://BUCKET."""
    from gcp_storage_emulator.server import create_server

    server = create_server("localhost", free_port(), in_memory=True, default_bucket=BUCKET)
    server.start()
    address = f"http://localhost:{server._api._httpd.server_port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", address)
        patch.setenv("NO_PROXY", f"localhost,{os.environ.get('NO_PROXY', '')}")
        try:
            yield f"gs://{BUCKET}"
        finally:
            server.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]
