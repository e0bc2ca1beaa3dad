"""The table of what a compiled pipeline will run, for a person to look at before it does."""

import os.path
from collections.abc import Sequence

import rich.box
import rich.table

from albert_core.estimation.prices import Prices
from pipeline.cli.tables import make_console
from pipeline.remote.package import Package
from pipeline.remote.plan import PlannedTask, planned_tasks

_IMAGE_PREFIX = "albert-python-"
_MAX_ADDRESSES = 2


def print_plan(package: Package, prices: Prices, *, to_stderr: bool = False) -> None:
    """Print a table of a compiled pipeline's tasks: step, image, machine, hourly price, inputs.

    Inputs are the outputs of other tasks that a task reads, then addresses of files. Below the
    table are the full names of the images and, if any task has a price, the source and date of the
    prices.

    Args:
        package: The pipeline.
        prices: Prices of chips; tasks without TPUs or on Spot machines have no price.
        to_stderr: Whether to print to standard error, for commands that print a request on standard
            output.

    Raises:
        InputError: A parameter of the pipeline has no value.
    """
    tasks = planned_tasks(package)
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for column in ("step", "image", "machine", "price", "inputs"):
        # Long inputs and machines go on in further lines; the others are cut by no terminal.
        table.add_column(column, no_wrap=column in ("step", "image", "price"), overflow="fold")
    for task in tasks:
        table.add_row(
            task.name if task.num_runs == 1 else f"{task.name} x {task.num_runs}",
            _short_image(task.image),
            f"{task.machine}, Spot" if task.is_spot else task.machine,
            _price(task, prices),
            _inputs(task.inputs),
        )
    console = make_console(to_stderr=to_stderr)
    console.print(table, markup=False)
    for image in dict.fromkeys(task.image for task in tasks):
        console.print(f"{_short_image(image)}: {image}", markup=False, soft_wrap=True)
    if any(task.price_per_hour(prices) is not None for task in tasks):
        note = f"Prices of TPUs alone: {prices.source}; noted {prices.date}"
        console.print(note, markup=False, soft_wrap=True)


def _short_image(image: str) -> str:
    """Return the role of an image of this program; for other images, the last part of the name."""
    return image.rpartition("/")[2].partition(":")[0].removeprefix(_IMAGE_PREFIX)


def _price(task: PlannedTask, prices: Prices) -> str:
    """Return the price of a task by the hour, as text; empty where it is not known."""
    price = task.price_per_hour(prices)
    return "" if price is None else f"{price:,.2f} {prices.currency}/h"


def _inputs(inputs: Sequence[str]) -> str:
    """Return inputs as one text, separated by commas: names first, then addresses (`://`).

    More than two addresses are replaced by the folder that they have in common, or by the first
    address if they have none, followed by their number.
    """
    names = [name for name in inputs if "://" not in name]
    addresses = [name for name in inputs if "://" in name]
    if len(addresses) > _MAX_ADDRESSES:
        scheme, _, first = addresses[0].partition("://")
        folders = {address.partition("://")[0] for address in addresses} == {scheme} and (
            os.path.commonpath(address.partition("://")[2] for address in addresses)
        )
        first = f"{scheme}://{folders}/..." if folders else f"{addresses[0]}, ..."
        addresses = [f"{first} ({len(addresses)})"]
    return ", ".join([*names, *addresses])
