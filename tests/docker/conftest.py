"""A Docker engine with the images that `make images` builds; without them these tests skip."""

import contextlib
from typing import get_args

import pytest

from components.image import image_name
from components.steps import ImageRole

ROLES: tuple[ImageRole, ...] = get_args(ImageRole)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/docker/" in item.nodeid:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def engine():
    docker = pytest.importorskip("docker.client")
    with contextlib.ExitStack() as opened:
        try:
            client = opened.enter_context(contextlib.closing(docker.from_env()))
            tags = {tag for image in client.images.list() for tag in image.tags}
        except Exception as error:
            pytest.skip(f"needs a Docker engine: {error}")
        if missing := [image_name(role) for role in ROLES if image_name(role) not in tags]:
            pytest.skip(f"needs {', '.join(missing)}: run `make test-docker`")
        yield client
