"""What Kubeflow Pipelines accepts, and how tasks ask for nodes of its Kubernetes cluster."""

from typing import Any

from albert_core.errors import InputError
from pipeline.remote.cloud_names import check_kubernetes_gpus, check_kubernetes_labels
from pipeline.remote.platforms.rules import PlatformRules
from pipeline.remote.step_resources import StepResources


class KubeflowRules(PlatformRules):
    """Kubeflow Pipelines: a task is a pod."""

    name = "kubeflow"
    title = "Kubeflow"
    scheduled_date = "[[ScheduledTime.2006-01-02]]"
    # The API server's limit, unless its MAX_PARAMETER_BYTES says otherwise.
    max_parameter_bytes = 10_000
    max_title_characters = 255  # of a name in its database

    def check_resources(self, step: str, resources: StepResources) -> None:
        """Refuse GPUs and labels that Kubernetes has not, and slices of more than one machine.

        Raises:
            InputError: There is such a thing.
        """
        if resources.accelerator:
            check_kubernetes_gpus(f"{step}.accelerator", resources.accelerator.type)
        check_kubernetes_labels(f"{step}.node_selectors", resources.node_selectors)
        tpu = resources.tpu
        if tpu and tpu.num_hosts > 1:
            raise InputError(
                f"{step}.tpu.topology: got {tpu.topology}, {tpu.num_hosts} machines of "
                f"{tpu.machine}; expected one, for a task is one pod; take a larger machine, or "
                "--target vertex"
            )

    def configure(self, task: Any, resources: StepResources) -> None:
        """Give the task's pod environment, node selectors, TPUs, time-out and shared memory.

        Each only if `resources` has it; changes the task in place.
        """
        from kfp import kubernetes

        super().configure(task, resources)
        if resources.tpu:
            _request_tpus(task, resources)
        for name, value in resources.node_selectors.items():
            kubernetes.add_node_selector(task, name, value)
        if resources.timeout_s:
            kubernetes.set_timeout(task, resources.timeout_s)
        if resources.shared_memory_gib:
            kubernetes.empty_dir_mount(
                task, "shared-memory", "/dev/shm", "Memory", f"{resources.shared_memory_gib}Gi"
            )


def _request_tpus(task: Any, resources: StepResources) -> None:
    """Let a task run on a GKE node with its slice of TPUs, which `resources` must have.

    Sets the number of chips and the node selectors. GKE taints its nodes with TPUs, so that no
    other pod takes them: hence the toleration.
    """
    from kfp import kubernetes

    assert resources.tpu
    task.set_accelerator_type("google.com/tpu")
    task.set_accelerator_limit(resources.tpu.chips_per_machine)
    labels = {
        "cloud.google.com/gke-tpu-accelerator": resources.tpu.node_label,
        "cloud.google.com/gke-tpu-topology": resources.tpu.topology,
    }
    for name, value in labels.items():
        kubernetes.add_node_selector(task, name, value)
    kubernetes.add_toleration(task, key="google.com/tpu", operator="Exists", effect="NoSchedule")
