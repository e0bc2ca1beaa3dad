"""Buckets of both kinds, and a folder there or here."""

import contextlib

import pytest
import urllib3

from tests.helpers.object_storage import quick_bucket_of


@pytest.fixture(scope="module")
def buckets():
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(quick_bucket_of(name)) for name in ("gs", "s3")}


@pytest.fixture(params=["gs", "s3"])
def bucket(request, buckets) -> str:
    return buckets[request.param]


@pytest.fixture(params=["local", "gs", "s3"])
def folder(request, buckets, tmp_path) -> str:
    return (
        str(tmp_path) if request.param == "local" else f"{buckets[request.param]}/{tmp_path.name}"
    )


@pytest.fixture
def requested_ranges(monkeypatch) -> list[str]:
    """The ranges of bytes that are requested from now on, as "0-9"; "" for a request of none."""
    call, ranges = urllib3.HTTPConnectionPool.urlopen, []

    def urlopen(*arguments, **options):
        headers = {name.lower(): value for name, value in options["headers"].items()}
        value = headers.get("range", "")  # botocore's are bytes
        value = value.decode() if isinstance(value, bytes) else value
        ranges.append(value.removeprefix("bytes="))
        return call(*arguments, **options)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", urlopen)
    return ranges
