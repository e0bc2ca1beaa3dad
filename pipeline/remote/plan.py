"""What a compiled pipeline asks of its platform, task by task: image, machine, price, inputs."""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from albert_core.errors import InputError
from albert_core.estimation.prices import Prices
from pipeline.remote.package import Package
from pipeline.remote.tpu import TpuSlice

_TPU_RESOURCE = "google.com/tpu"
_NODE_LABEL = "cloud.google.com/gke-tpu-accelerator"
_TOPOLOGY_LABEL = "cloud.google.com/gke-tpu-topology"
_SPOT_LABEL = "cloud.google.com/gke-spot"
_CHANNEL = "pipelinechannel--"
_LOOP_ITEM = "-loop-item"
_ADDRESS = re.compile(r"[a-z][a-z0-9]+://")
# Parameters of the pipeline that name what is read. `beam` and `work_root` have addresses, too.
_INPUT_PARAMETERS = (
    "accepted",
    "checkpoint",
    "cleaning",
    "corpus",
    "jobs",
    "pretraining",
    "retraining",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannedTask:
    """A task of a compiled pipeline, or a job that one starts.

    Attributes:
        name: Its name on the platform's pages.
        num_runs: How often it runs: of a task in a loop, the number of the loop's items.
        image: Full name of its image.
        machine: Cores, memory and accelerators, or the type of machine, in words.
        tpu: Its slice of TPUs; None without one, or for one that is not known.
        is_spot: Whether its machine may be taken away, for a lower price.
        inputs: Names of the outputs of other tasks that it reads, then addresses of files.
    """

    name: str
    num_runs: int
    image: str
    machine: str
    tpu: TpuSlice | None
    is_spot: bool
    inputs: Sequence[str]

    def price_per_hour(self, prices: Prices) -> float | None:
        """Return the price of an hour of its TPUs, in the currency of the prices.

        None without TPUs, on Spot machines, or for chips without a price.

        Args:
            prices: The prices of chips. Machines without TPUs are in no table.
        """
        if self.tpu is None or self.is_spot:
            return None
        price = prices.per_chip_hour.get(self.tpu.generation)
        return None if price is None else price * self.tpu.num_chips


def planned_tasks(package: Package) -> list[PlannedTask]:
    """Return the tasks of a compiled pipeline in an order in which they can run.

    A job that a task starts follows its task.

    Args:
        package: A pipeline that kfp compiled, with values of all parameters.

    Raises:
        InputError: A parameter has no value.
    """
    return list(_Plan(package).tasks(package.spec["root"], num_runs=1))


def refuse_other_forms(package: Package) -> None:
    """Refuse a pipeline that is not as kfp compiles it, such as one changed by hand.

    All that is read of it later is read here.

    Raises:
        InputError: Something in it is missing, is not what it should be, or cannot be sent.
    """
    try:
        json.dumps([package.spec, package.platform])  # as it is sent
        planned_tasks(package)
    except InputError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{package.source}: not as it was compiled ({type(error).__name__}: {error}); compile "
            "it again with `albert compile`"
        ) from error


class _Plan:
    """A compiled pipeline, read task by task.

    Args:
        package: The pipeline.
    """

    def __init__(self, package: Package) -> None:
        spec, platform = package.spec, package.platform or {}
        self._components = spec["components"]
        self._executors = spec["deploymentSpec"]["executors"]
        self._parameters = package.parameters()
        kubernetes = platform.get("platforms", {}).get("kubernetes", {})
        self._pods = kubernetes.get("deploymentSpec", {}).get("executors", {})

    def tasks(self, component: Mapping[str, Any], num_runs: int) -> Iterator[PlannedTask]:
        """Yield the tasks of a component that is a graph of tasks, with those of its groups.

        Args:
            component: The component, or the pipeline's root.
            num_runs: How often the component runs.
        """
        for task in _in_order(component["dag"]["tasks"]):
            inner = self._components[task["componentRef"]["name"]]
            if "dag" in inner:
                yield from self.tasks(inner, num_runs * self._num_items(task))
            else:
                yield from self._leaf(task, inner, num_runs)

    def _num_items(self, task: Mapping[str, Any]) -> int:
        """Return how many items a loop has, 1 of what is no loop or one over unknown items."""
        source = task.get("parameterIterator", {}).get("items", {}).get("inputParameter", "")
        items = self._parameters.get(_parameter_name(source))
        return len(items) if isinstance(items, list) else 1

    def _leaf(
        self, task: Mapping[str, Any], component: Mapping[str, Any], num_runs: int
    ) -> Iterator[PlannedTask]:
        """Yield a task that runs a container, then the jobs on TPUs that it starts, if any.

        These are known by constants among its arguments that have a `machine_type`.
        """
        label = component["executorLabel"]
        container = self._executors[label]["container"]
        resources = container.get("resources", {})
        labels = self._pods.get(label, {}).get("nodeSelector", {}).get("labels", {})
        tpu = _tpu_of(resources, labels)
        planned = PlannedTask(
            name=task["taskInfo"]["name"],
            num_runs=num_runs,
            image=container["image"],
            machine=_describe_machine(resources, tpu),
            tpu=tpu,
            is_spot=labels.get(_SPOT_LABEL) == "true",
            inputs=self._inputs(task),
        )
        yield planned
        for job in _constants(task):
            if isinstance(job, Mapping) and "machine_type" in job:
                yield _planned_job(job, num_runs)

    def _inputs(self, task: Mapping[str, Any]) -> list[str]:
        """Return the names of artifacts that a task reads, then the addresses in its parameters.

        Names are sorted, and each address is there once. Only the parameters in `_INPUT_PARAMETERS`
        count; `jobs` not for a task that gets their whole list, but with the addresses of all for
        one in the loop over them.
        """
        inputs = task.get("inputs", {})
        sources = [
            value.get("componentInputParameter", "")
            for value in inputs.get("parameters", {}).values()
        ]
        # Who gets all jobs in place of one reads the results of their tasks, not their data.
        names = {_parameter_name(source) for source in sources if not source.endswith("jobs")}
        addresses = [
            address
            for name in _INPUT_PARAMETERS
            if name in names
            for address in _addresses(self._parameters.get(name))
        ]
        return [*sorted(inputs.get("artifacts", {})), *dict.fromkeys(addresses)]


def _in_order(tasks: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield tasks in the order of their dependencies; by name where that leaves a choice."""
    waiting = dict(sorted(tasks.items()))
    while waiting:
        ready = [
            name
            for name, task in waiting.items()
            if not waiting.keys() & set(task.get("dependentTasks", ()))
        ]
        for name in ready or list(waiting):
            yield waiting.pop(name)


def _parameter_name(source: str) -> str:
    """Return the pipeline's parameter behind the name of an input of a task in its groups."""
    return source.removeprefix(_CHANNEL).removesuffix(_LOOP_ITEM)


def _constants(task: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the constants among the arguments of a task."""
    for argument in task.get("inputs", {}).get("parameters", {}).values():
        if "constant" in argument.get("runtimeValue", {}):
            yield argument["runtimeValue"]["constant"]


def _tpu_of(resources: Mapping[str, Any], labels: Mapping[str, str]) -> TpuSlice | None:
    """Return the slice of TPUs of a pod by its resources and node labels.

    None without TPUs, or where no known machine has these labels and so many chips.
    """
    accelerator = resources.get("accelerator", {})
    if accelerator.get("resourceType") != _TPU_RESOURCE:
        return None
    return TpuSlice.from_nodes(
        labels.get(_NODE_LABEL, ""),
        labels.get(_TOPOLOGY_LABEL, ""),
        int(accelerator["resourceCount"]),
    )


def _planned_job(job: Mapping[str, Any], num_runs: int) -> PlannedTask:
    """Return the custom job that a task starts, from the plain values of a `TpuJob`.

    It has no inputs, and the same name for all steps.
    """
    tpu = TpuSlice(machine=job["machine_type"], topology=job["tpu_topology"])
    return PlannedTask(
        name="  its job on TPUs",
        num_runs=num_runs,
        image=job["image"],
        machine=f"{tpu.num_hosts} x {tpu.machine}, {_describe_tpu(tpu)}",
        tpu=tpu,
        is_spot=bool(job.get("is_spot")),
        inputs=(),
    )


def _describe_machine(resources: Mapping[str, Any], tpu: TpuSlice | None) -> str:
    """Return cores, memory and accelerators of a container in words; empty if it asks for none."""
    parts = []
    if cores := resources.get("resourceCpuLimit"):
        parts.append("1 core" if cores == "1" else f"{cores} cores")
    if memory := resources.get("resourceMemoryLimit"):
        parts.append(f"{memory.removesuffix('Gi')} GiB")
    accelerator = resources.get("accelerator")
    if tpu:
        parts.append(_describe_tpu(tpu))
    elif accelerator:
        parts.append(f"{accelerator['resourceCount']} x {accelerator['resourceType']}")
    return ", ".join(parts)


def _describe_tpu(tpu: TpuSlice) -> str:
    return f"{tpu.num_chips} {tpu.generation} chips ({tpu.topology})"


def _addresses(value: Any) -> Iterator[str]:
    """Yield the texts with a scheme, such as gs://, in nested mappings and lists."""
    if isinstance(value, str) and _ADDRESS.match(value):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _addresses(item)
    elif isinstance(value, list):
        for item in value:
            yield from _addresses(item)
