"""Containers of an image that Flink's and Spark's workers start (`DOCKER`), and text in a bucket.

`make test-engines` installs the engines. Besides, a Docker engine must have the data image with
Beam's boot program in it (`make image-data`); without them these tests are skipped.
"""

import contextlib
import io
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import APIError, DockerException
from docker.models.containers import Container

from albert_core.storage import find_files, has_files, write_bytes
from components.image import image_name
from tests.engines.clusters import RunningCluster
from tests.engines.processes import wait_for
from tests.engines.steps import read_records, start_with, wait_while_running
from tests.helpers.object_storage import s3_bucket
from tests.helpers.zygote import Fork, Zygote

# Nothing listens there: Beam asks for an image's registry before it starts a container.
REGISTRY = "localhost:9"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
# For so long Beam keeps a container for another stage: `environment_cache_millis`.
KEPT_S = 60

Begin = Callable[..., Fork]


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    """A Docker engine that has the data image with the boot program."""
    # By the program, which the workers need, too: the library leaves a socket open where it fails.
    try:
        subprocess.run(["docker", "version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs the program docker and an engine: {error}")
    with contextlib.closing(docker.from_env()) as client:
        try:
            image = client.images.get(image_name("data"))
            boot = ["test", "-x", "/opt/apache/beam/boot"]
            client.containers.run(image, boot, network_mode="none", remove=True)
        except DockerException as error:
            pytest.skip(f"needs {image_name('data')} with Beam's boot (`make image-data`): {error}")
        yield client


@pytest.fixture(scope="module")
def bucket(folder: Path) -> Iterator[str]:
    """A bucket of S3 on this machine with corpus and vocabulary."""
    with s3_bucket() as bucket:
        for path in (*folder.glob("corpus/*"), *folder.glob("vocab/*")):
            write_bytes(f"{bucket}/{path.relative_to(folder)}", path.read_bytes())
        yield bucket


@pytest.fixture(scope="module")
def image(client: docker.DockerClient, bucket: str) -> Iterator[str]:
    """The data image with the bucket's keys as variables: no machine here has an identity there."""
    name = f"{REGISTRY}/albert-python-data:engines-{os.getpid()}"
    keys = [f"ENV {key}={os.environ[key]}" for key in KEYS]
    recipe = "\n".join([f"FROM {image_name('data')}", *keys])
    client.images.build(fileobj=io.BytesIO(recipe.encode()), tag=name, rm=True)
    yield name
    for container in containers(client, name, ended=True):
        container.remove(force=True)
    client.images.remove(name, force=True)


@pytest.fixture
def place(bucket: str, tmp_path: Path) -> str:
    """An empty folder of the bucket."""
    return f"{bucket}/{tmp_path.name}"


@pytest.fixture
def begin(
    image: str, bucket: str, place: str, zygote: Zygote, engine: RunningCluster, tmp_path: Path
) -> Begin:
    """Starts the step, all of which is in the bucket; takes further settings of `beam`."""

    def begin(**settings: object) -> Fork:
        work = {"environment_config": image, "shared_folder": f"{place}/work"}
        beam = {**engine.settings, **work, **settings}
        names = ("AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION", *KEYS)
        variables = {name: os.environ[name] for name in names}
        records = f"{place}/records"
        return start_with(zygote, bucket, records, beam, environment=variables, place=tmp_path)

    return begin


def containers(client: docker.DockerClient, image: str, *, ended: bool = False) -> list[Container]:
    """Return the containers of an image that run, or also those that have ended."""
    return client.containers.list(all=ended, filters={"ancestor": image})


def finish(process: Fork, folder: Path, place: str) -> None:
    """Wait for the step; its records must be those of the local runner, and no work be left."""
    errors = process.wait(timeout=400)
    assert process.returncode == 0, errors
    assert read_records(f"{place}/records") == read_records(folder / "whole")
    assert not has_files(f"{place}/work")


def test_the_same_bytes(
    begin: Begin,
    client: docker.DockerClient,
    image: str,
    engine: RunningCluster,
    folder: Path,
    place: str,
) -> None:
    """Flink removes its containers; those of Spark's executors end by themselves, minutes later."""
    before = containers(client, image, ended=True)
    finish(begin(), folder, place)
    if engine.settings["runner"] == "flink":
        wait_for(
            lambda: all(each in before for each in containers(client, image, ended=True)),
            within_s=KEPT_S + 60,
            poll_s=1,
        )


def test_containers_killed_in_the_middle(
    begin: Begin, client: docker.DockerClient, image: str, folder: Path, place: str
) -> None:
    process, work = begin(), f"{place}/work"
    wait_while_running(process, lambda: has_files(work) and len(find_files(work)) >= 6)
    killed = containers(client, image)
    assert killed
    for container in killed:
        # Beam removes the containers of a job that failed, as when another one is killed.
        with contextlib.suppress(APIError):
            container.kill()
    errors = process.wait(timeout=400)
    if process.returncode:
        assert "the same command goes on" in errors.splitlines()[-1], errors
        process = begin()
    finish(process, folder, place)


def test_an_image_that_is_not_there_is_named(begin: Begin) -> None:
    image = f"{REGISTRY}/albert-python-data:none"
    process = begin(environment_config=image)
    errors = process.wait(timeout=400)
    assert process.returncode
    assert f"Unable to find image '{image}'" in errors.splitlines()[-1], errors
