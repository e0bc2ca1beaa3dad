"""How tests of whole runs start `albert`."""

import pytest

from tests.helpers.zygote import ALBERT, Zygote


@pytest.fixture(scope="session")
def forked_albert(run_zygote: Zygote) -> list[str]:
    """The beginning of a command line: `albert` in a fork, as are all steps that it starts.

    Processes of their own, as a user starts them, are those of tests/e2e/test_run.py: its first
    run, and all that are killed or interrupted.
    """
    return [str(run_zygote.python), "-c", ALBERT]
