"""How the rows of a batch are divided among micro-batches, devices and processes."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchDivision:
    """A batch in equal parts: every device has as many rows in every micro-batch.

    Attributes:
        num_rows: Rows of the divided batch, the batch size or more: the rest is to be filled with
            rows of weight 0.
        num_micro_batches: Micro-batches of a step.
    """

    num_rows: int
    num_micro_batches: int


def divide_batch(
    batch_size: int, *, num_data_parallel: int, device_batch_size: int | None
) -> BatchDivision:
    """Return the division of a batch into as few micro-batches, and then rows, as possible.

    Every device then has equally many rows in each micro-batch; what the batch lacks for that is
    added to `num_rows`.

    Args:
        batch_size: Rows of the batch, at least 1.
        num_data_parallel: Devices, or groups of them, that a batch is divided among.
        device_batch_size: Most rows that a device takes at a time; None: all of its part.
    """
    rows_at_once = num_data_parallel * (device_batch_size or batch_size)
    num_micro_batches = -(-batch_size // rows_at_once)
    num_parts = num_data_parallel * num_micro_batches
    rows_of_part = -(-batch_size // num_parts)
    return BatchDivision(num_rows=rows_of_part * num_parts, num_micro_batches=num_micro_batches)


def rows_of_process(num_rows: int, *, process_index: int, num_processes: int) -> slice:
    """Return the rows of a batch that a process reads.

    If their number is no multiple of the number of processes, the last rows go to none.

    Args:
        num_rows: Rows of the batch, over all processes.
        process_index: Index of the process among them.
        num_processes: Processes that train together.
    """
    rows_of_each = num_rows // num_processes
    return slice(process_index * rows_of_each, (process_index + 1) * rows_of_each)
