"""How batches are divided among micro-batches, devices and processes."""

import numpy as np
import pytest

from albert_core.finetuning.batches import fill_up
from albert_core.training.batch_division import BatchDivision, divide_batch, rows_of_process


@pytest.mark.parametrize(
    ("batch_size", "num_data_parallel", "device_batch_size", "num_rows", "num_micro_batches"),
    [
        (32, 1, None, 32, 1),
        (32, 8, None, 32, 1),
        (12, 8, None, 16, 1),
        (32, 8, 1, 32, 4),
        (32, 8, 3, 32, 2),  # 2 rows at a time, not 3: no more rows than there are examples
        (12, 8, 1, 16, 2),
        (11, 2, 3, 12, 2),
        (3, 8, 1, 8, 1),
        (7, 1, 100, 7, 1),
    ],
)
def test_parts_are_equal_and_as_few_as_possible(
    batch_size, num_data_parallel, device_batch_size, num_rows, num_micro_batches
) -> None:
    division = divide_batch(
        batch_size, num_data_parallel=num_data_parallel, device_batch_size=device_batch_size
    )
    assert division == BatchDivision(num_rows=num_rows, num_micro_batches=num_micro_batches)


def test_rows_that_fill_a_batch_weigh_nothing() -> None:
    rows, weights = fill_up(np.array([7, 3, 9]), 5)
    assert rows.tolist() == [7, 3, 9, 7, 3]
    assert weights.tolist() == [1, 1, 1, 0, 0]


def test_every_row_is_read_by_one_process() -> None:
    slices = [rows_of_process(12, process_index=index, num_processes=3) for index in range(3)]
    assert [row for rows in slices for row in range(12)[rows]] == list(range(12))
