"""What one step gets on a platform, and the checks that hold on every platform."""

import dataclasses
import re
from collections.abc import Mapping

from albert_core.errors import InputError
from components.google_names import check_google_labels, check_identity
from components.steps import STEPS, Step
from pipeline.remote.pod_settings import SecretKey, Toleration, VolumeClaim
from pipeline.remote.tpu import TpuSlice

# Settings of a step that are those of its pod: for platforms on Kubernetes.
POD_SETTINGS = (
    "node_selectors",
    "tolerations",
    "pod_labels",
    "pod_annotations",
    "image_pull_secrets",
    "env_from_secrets",
    "volume_claims",
)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_NAME = re.compile(r"secret|token|passw|credential|api_?key|private_?key", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accelerator:
    """GPUs of a step, not checked here: `StepResources.check` and the platform do that.

    Attributes:
        type: The platform's name for them: `nvidia.com/gpu` on Kubeflow, `NVIDIA_L4` on Vertex AI.
        count: How many.
    """

    type: str
    count: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepResources:
    """The resources of one step.

    Values are not checked here: `check` does that, and for one platform
    `PlatformRules.check_resources`.

    Attributes:
        display_name: Its name on the platform's pages.
        cpus: Cores. On TPUs on Vertex AI those of the task that waits for the job.
        memory_gib: Memory in GiB, likewise.
        accelerator: GPUs.
        tpu: A slice of TPUs.
        spot: Whether the machine may be taken away at any time, for a lower price. Each time counts
            as a failed try: give `retries` that suffice. On Vertex AI for steps on TPUs only.
        node_selectors: Labels a node must have; Kubeflow only.
        tolerations: Taints of nodes that do not keep the step away; Kubeflow only.
        pod_labels: Labels of the step's pod; Kubeflow only.
        pod_annotations: Annotations of the step's pod; Kubeflow only.
        image_pull_secrets: Secrets with the login to the registry of images; Kubeflow only.
        env_from_secrets: Environment variables whose values are in secrets; Kubeflow only.
        volume_claims: Persistent volumes that are mounted; Kubeflow only.
        shared_memory_gib: Size of /dev/shm in GiB, a part of the memory; 0: the node's default.
            Kubeflow only.
        retries: How often a failed try is repeated.
        backoff_s: Seconds before the first repetition.
        backoff_factor: What each further pause is multiplied by.
        max_backoff_s: Longest pause.
        timeout_s: Seconds after which a try is ended; 0: never. On Vertex AI for steps on TPUs
            only.
        caching: Whether the platform may skip it when it has seen its inputs.
        env: Environment variables; no secrets, for anyone who sees the pipeline can read them. On
            TPUs KERAS_BACKEND is jax if not set here.
    """

    display_name: str
    cpus: int = 4
    memory_gib: int = 16
    accelerator: Accelerator | None = None
    tpu: TpuSlice | None = None
    spot: bool = False
    node_selectors: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    pod_labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    pod_annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    image_pull_secrets: tuple[str, ...] = ()
    env_from_secrets: Mapping[str, SecretKey] = dataclasses.field(default_factory=dict)
    volume_claims: tuple[VolumeClaim, ...] = ()
    shared_memory_gib: int = 0
    retries: int = 2
    backoff_s: int = 60
    backoff_factor: float = 2.0
    max_backoff_s: int = 3600
    timeout_s: int = 0
    caching: bool = True
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_step(cls, step: Step, *, has_tpus: bool | None = None) -> "StepResources":
        """Return the defaults of a step, with a small slice of TPUs or without.

        Args:
            step: The step.
            has_tpus: Whether it has TPUs; None: as the table of steps says.
        """
        return cls(
            display_name=step.title,
            cpus=step.cpus,
            memory_gib=step.memory_gib,
            tpu=TpuSlice() if (step.uses_tpus if has_tpus is None else has_tpus) else None,
            shared_memory_gib=step.shared_memory_gib,
            retries=step.retries,
            timeout_s=step.timeout_s,
            caching=step.is_cacheable,
        )

    @property
    def environment(self) -> dict[str, str]:
        """All environment variables of the step's program: `env`; on TPUs KERAS_BACKEND is added.

        There it is jax, unless `env` sets it.
        """
        return {"KERAS_BACKEND": "jax", **self.env} if self.tpu else dict(self.env)

    def check(self, step: Step) -> None:
        """Refuse values that the step cannot have on any platform.

        Args:
            step: The step that gets these resources.

        Raises:
            InputError: A number is out of its range; a variable's name is impossible, looks like a
                secret's or is there twice; there are TPUs or GPUs for a step that does not train,
                both for one, or a slice that does not exist; or caching is on for a step that must
                always run. The message names step and setting.
        """
        self._check_numbers(step.name)
        self._check_env(step.name)
        if self.tpu:
            self._check_tpu(step, self.tpu)
        if self.accelerator:
            self._check_accelerator(step, self.accelerator)
        if self.caching and not step.is_cacheable:
            raise InputError(f"{step.name}.caching: got true, expected false: each run has its own")

    def _check_tpu(self, step: Step, tpu: TpuSlice) -> None:
        """Refuse TPUs for a step that cannot use them or has GPUs, and slices that do not exist.

        Raises:
            InputError: The step does not train, has GPUs, too, or no such slice exists.
        """
        if not step.trains or self.accelerator:
            raise InputError(
                f"{step.name}.tpu: got {tpu.machine}, expected it for {_names_of_training()} only, "
                "and without an accelerator; remove one (`tpu: null`)"
            )
        tpu.check(f"{step.name}.tpu")

    def _check_accelerator(self, step: Step, accelerator: Accelerator) -> None:
        """Refuse GPUs for a step that does not train, and fewer than one.

        Raises:
            InputError: The step does not train, or the count is below 1.
        """
        if not step.trains:
            raise InputError(
                f"{step.name}.accelerator: got {accelerator.type}, expected none: this step does "
                f"not train (those that do: {_names_of_training()})"
            )
        if accelerator.count < 1:
            raise InputError(
                f"{step.name}.accelerator.count: got {accelerator.count}, expected 1 or more"
            )

    def _check_numbers(self, step: str) -> None:
        """Refuse numbers below their smallest values, and shared memory not less than memory.

        Raises:
            InputError: A number is below its smallest value, or shared memory too large.
        """
        least = {"cpus": 1, "memory_gib": 1, "backoff_factor": 1.0} | dict.fromkeys(
            ("shared_memory_gib", "retries", "backoff_s", "max_backoff_s", "timeout_s"), 0
        )
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise InputError(
                    f"{step}.{name}: got {getattr(self, name)}, expected {smallest} or more"
                )
        if self.shared_memory_gib >= self.memory_gib:
            raise InputError(
                f"{step}.shared_memory_gib: got {self.shared_memory_gib}, expected less than "
                f"memory_gib ({self.memory_gib}), of which it is a part"
            )

    def _check_env(self, step: str) -> None:
        """Refuse names that are none of environment variables, or that look like those of secrets.

        A name in both `env` and `env_from_secrets` is refused, too. Values are not checked.

        Raises:
            InputError: A name is no variable's, looks like a secret's, or is in both.
        """
        for name in self.env:
            if not _ENV_NAME.fullmatch(name):
                raise InputError(f"{step}.env: got {name!r}, expected names such as KERAS_BACKEND")
            if _SECRET_NAME.search(name):
                raise InputError(
                    f"{step}.env: got {name}, expected no secret: anyone who sees the pipeline can "
                    "read it; give the step's service account the right instead, or on Kubeflow "
                    "name a secret in env_from_secrets"
                )
        for name in self.env_from_secrets:
            if not _ENV_NAME.fullmatch(name) or name in self.env:
                raise InputError(
                    f"{step}.env_from_secrets: got {name!r}, expected names such as HF_TOKEN that "
                    "are not in env, too"
                )


def _names_of_training() -> str:
    """Return the names of the steps that train or run a model, as a list in words."""
    return ", ".join(step.name for step in STEPS.values() if step.trains)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CustomJobSettings:
    """Identity, network and labels of the custom jobs in which steps use TPUs on Vertex AI.

    Names and labels that Google Cloud does not take raise InputError.

    Attributes:
        service_account: What it runs as; the default of Vertex AI when empty.
        network: VPC network to peer with, as `projects/NUMBER/global/networks/NAME`.
        encryption_key: Name of the Cloud KMS key for what it writes.
        labels: Labels of the job.
    """

    service_account: str = ""
    network: str = ""
    encryption_key: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse names and labels that Google Cloud does not take.

        Raises:
            InputError: A name or a value of the labels is refused, or there are over 64.
        """
        check_identity("custom_job", self.service_account, self.network, self.encryption_key)
        check_google_labels("custom_job.labels", self.labels)
