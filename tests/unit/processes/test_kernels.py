"""Compiled functions on machines where numba has no place for their machine code."""

from pathlib import Path

import numba
import pytest

from albert_core.processes import kernels


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files, on a machine where only a given folder can be written."""

    def find_place(_: object) -> None:
        if not numba.config.CACHE_DIR:
            raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(kernels, "FunctionCache", find_place)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("ALBERT_SHARED_TMPDIR", raising=False)
    monkeypatch.setattr(kernels, "_has_cache", kernels._has_cache.__wrapped__)
    return tmp_path


def test_without_a_home_machine_code_is_kept_in_a_folder_of_the_users(temporary: Path) -> None:
    assert kernels._has_cache()
    folder = Path(numba.config.CACHE_DIR)
    assert folder.parent == temporary
    assert folder.stat().st_mode & 0o777 == 0o700


def test_without_any_folder_functions_are_compiled_all_the_same(temporary: Path) -> None:
    temporary.rmdir()

    @kernels.kernel()
    def twice(number: int) -> int:
        return 2 * number

    assert twice(21) == 42
