"""What the tests of several steps work on."""

import pytest

from tests.helpers.tiny_pretraining import Material, make_material


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A vocabulary and records; read only."""
    return make_material(tmp_path_factory.mktemp("material"))
