"""Files with seeded mistakes are taken or refused in one line.

`tests/mutated_input.py` tries thousands; here are a few of each.
"""

import pytest

from tests.mutated_input import try_files


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        *(("configuration", 40), ("task", 60), ("table", 60), ("events", 60)),
        *(("resources", 20), ("package", 100), ("prices", 40)),
    ],
)
def test_mistakes_make_no_tracebacks(kind, number):
    outcomes, wrong = try_files(kind, number, seed=7)
    assert not wrong
    assert outcomes["accepted"]
    assert sum(outcomes.values()) == number
