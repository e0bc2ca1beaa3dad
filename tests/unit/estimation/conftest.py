"""What the tests of estimates share."""

from collections.abc import Iterator
from concurrent.futures import Executor

import pytest

from albert_core.estimation.compiled_step import in_compiler_process


@pytest.fixture(scope="package")
def compiler() -> Iterator[Executor]:
    """One process of the TPU compiler, whose imports take as long as a compilation."""
    pytest.importorskip("libtpu", reason="needs the TPU compiler: albert-pipeline[tpu]")
    with in_compiler_process(1) as executor:
        yield executor
