"""What the tests of several steps work on."""

from collections.abc import Iterator

import pytest

from tests.helpers.tiny_pretraining import Material, make_material
from tests.helpers.zygote import Zygote


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A vocabulary and records; read only."""
    return make_material(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="session")
def pretraining_zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """A process that has imported what `albert pretrain` needs, and forks."""
    zygote = Zygote(tmp_path_factory.mktemp("forks"), {})
    yield zygote
    zygote.close()
