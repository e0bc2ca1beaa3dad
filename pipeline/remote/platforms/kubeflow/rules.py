"""What Kubeflow Pipelines accepts, and how tasks ask for nodes of its Kubernetes cluster."""

from typing import Any

from albert_core.errors import InputError
from pipeline.remote.cloud_names import check_kubernetes_gpus, check_kubernetes_labels
from pipeline.remote.platforms.rules import PlatformRules
from pipeline.remote.pod_settings import check_secret_names, check_volume_claims
from pipeline.remote.step_resources import StepResources

_SPOT = "cloud.google.com/gke-spot"


class KubeflowRules(PlatformRules):
    """Kubeflow Pipelines: a task is a pod."""

    name = "kubeflow"
    title = "Kubeflow"
    scheduled_date = "[[ScheduledTime.2006-01-02]]"
    # The API server's limit, unless its MAX_PARAMETER_BYTES says otherwise.
    max_parameter_bytes = 10_000
    max_title_characters = 255  # of a name in its database

    def check_resources(self, step: str, resources: StepResources) -> None:
        """Refuse GPUs and names that Kubernetes has not, and slices of more than one machine.

        Raises:
            InputError: GPUs, a label, a setting of the pod or the slice cannot be had.
        """
        if resources.accelerator:
            check_kubernetes_gpus(f"{step}.accelerator", resources.accelerator.type)
        check_kubernetes_labels(f"{step}.node_selectors", resources.node_selectors)
        _check_pod(step, resources)
        tpu = resources.tpu
        if tpu and tpu.num_hosts > 1:
            raise InputError(
                f"{step}.tpu.topology: got {tpu.topology}, {tpu.num_hosts} machines of "
                f"{tpu.machine}; expected one, for a task is one pod; take a larger machine, or "
                "--target vertex"
            )

    def configure(self, task: Any, resources: StepResources) -> None:
        """Configure the task's pod and its environment, in place.

        That is node selectors, TPUs, Spot nodes, time-out, shared memory, and what `_configure_pod`
        gives; each only if `resources` has it.
        """
        from kfp import kubernetes

        super().configure(task, resources)
        if resources.tpu:
            _request_tpus(task, resources)
        if resources.spot:
            _request_spot(task)
        for name, value in resources.node_selectors.items():
            kubernetes.add_node_selector(task, name, value)
        if resources.timeout_s:
            kubernetes.set_timeout(task, resources.timeout_s)
        if resources.shared_memory_gib:
            kubernetes.empty_dir_mount(
                task, "shared-memory", "/dev/shm", "Memory", f"{resources.shared_memory_gib}Gi"
            )
        _configure_pod(task, resources)


def _check_pod(step: str, resources: StepResources) -> None:
    """Refuse labels, annotations, tolerations, secrets and volumes that Kubernetes has not.

    Raises:
        InputError: A name or value has not the form that Kubernetes takes.
    """
    check_kubernetes_labels(f"{step}.pod_labels", resources.pod_labels)
    # Values of annotations may be any text.
    keys = dict.fromkeys(resources.pod_annotations, "")
    check_kubernetes_labels(f"{step}.pod_annotations", keys)
    for index, toleration in enumerate(resources.tolerations):
        toleration.check(f"{step}.tolerations[{index}]")
    check_secret_names(f"{step}.image_pull_secrets", resources.image_pull_secrets)
    for name, source in resources.env_from_secrets.items():
        source.check(f"{step}.env_from_secrets.{name}")
    check_volume_claims(f"{step}.volume_claims", resources.volume_claims)


def _configure_pod(task: Any, resources: StepResources) -> None:
    """Give a task's pod labels, annotations, tolerations, secrets and volumes, in place."""
    from kfp import kubernetes

    for name, value in resources.pod_labels.items():
        kubernetes.add_pod_label(task, name, value)
    for name, value in resources.pod_annotations.items():
        kubernetes.add_pod_annotation(task, name, value)
    for toleration in resources.tolerations:
        kubernetes.add_toleration(
            task,
            key=toleration.key or None,
            operator=toleration.operator,
            value=toleration.value or None,
            effect=toleration.effect or None,
            toleration_seconds=toleration.seconds,
        )
    if resources.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(resources.image_pull_secrets))
    for name, source in resources.env_from_secrets.items():
        kubernetes.use_secret_as_env(task, source.secret, {source.key: name})
    for claim in resources.volume_claims:
        kubernetes.mount_pvc(task, claim.claim, claim.path, claim.sub_path)


def _request_spot(task: Any) -> None:
    """Make a task run on a GKE Spot node, which may be taken away, and nowhere else.

    Such a node has a label and may have a taint. Other clusters label such nodes in their own ways:
    there `node_selectors` and `tolerations` do.
    """
    from kfp import kubernetes

    kubernetes.add_node_selector(task, _SPOT, "true")
    kubernetes.add_toleration(task, key=_SPOT, operator="Equal", value="true", effect="NoSchedule")


def _request_tpus(task: Any, resources: StepResources) -> None:
    """Make a task run on a GKE node with its slice of TPUs, which `resources` must have.

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
