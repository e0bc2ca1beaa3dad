"""A run whose inputs are in a bucket, and the platforms that it is submitted to."""

import pytest
import yaml

from albert_core import storage
from tests.helpers.object_storage import emulated_bucket
from tests.helpers.platforms import PLATFORMS, running
from tests.helpers.tiny_run import write_tiny_run


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The configuration of a tiny run whose corpus and tasks are in a bucket."""
    folder = tmp_path_factory.mktemp("material")
    local = write_tiny_run(folder)
    with emulated_bucket() as bucket:
        for path in folder.rglob("*.*"):
            storage.write_bytes(f"{bucket}/{path.relative_to(folder)}", path.read_bytes())
        values = yaml.safe_load(local.read_text())
        values |= {"corpus": {"files": [f"{bucket}/corpus"]}, "data_dir": f"{bucket}/glue"}
        remote = folder / "remote.yaml"
        remote.write_text(yaml.safe_dump(values))
        yield remote


@pytest.fixture(params=PLATFORMS)
def platform(request):
    with running(request.param) as started:
        yield started


@pytest.fixture
def vertex():
    with running("vertex") as started:
        yield started
