"""Killed at any call that changes files, the same command ends well and leaves nothing else."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.killed_work import kill_run, kill_step, nothing, output_of_other_code
from tests.helpers.power_cuts import in_new_process

_MAX_BYTES = 32 * 2**20


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """A temporary folder in memory, where there is one: thousands of files are made and removed."""
    memory = Path("/dev/shm")
    # A container has 64 MiB by default, which other tests may have filled.
    has_room = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _MAX_BYTES
    root = memory if has_room else tmp_path
    with tempfile.TemporaryDirectory(dir=root) as name:
        yield Path(name)


@pytest.mark.parametrize(
    ("prepare", "is_in_place"),
    [(nothing, False), (output_of_other_code, False), (output_of_other_code, True)],
)
def test_a_step_killed_anywhere_ends_well(
    prepare: Callable[[Path], None], is_in_place: bool, memory_path: Path
) -> None:
    assert in_new_process(kill_step, prepare, is_in_place, memory_path) > 20


def test_a_run_killed_anywhere_as_it_begins_or_ends_is_taken_up(memory_path: Path) -> None:
    assert in_new_process(kill_run, memory_path) > 20
