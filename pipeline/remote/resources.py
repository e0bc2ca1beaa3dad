"""What each step gets on a target: a table with defaults, which a YAML file overrides in part."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal

from albert_core.checks import check_at_least
from albert_core.errors import InputError
from albert_core.settings import parse_settings
from pipeline.config import plain_values, read_yaml
from pipeline.remote.tpu import TpuSlice

TargetName = Literal["kubeflow", "vertex"]

_TRAINING_STEPS = ("pretrain", "finetune", "evaluate")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_NAME = re.compile(r"secret|token|passw|credential|api_?key|private_?key", re.IGNORECASE)
_DAY_S = 24 * 60 * 60


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accelerator:
    """GPUs of a step.

    Attributes:
        type: As the target calls them: `nvidia.com/gpu` on Kubeflow, `NVIDIA_L4` on Vertex AI.
        count: How many.
    """

    type: str
    count: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepResources:
    """What one step gets.

    Attributes:
        display_name: Its name in the target's pages.
        cpus: Cores. Of pretraining on TPUs on Vertex AI those of the component that waits.
        memory_gib: Memory, likewise.
        accelerator: GPUs.
        tpu: A slice of TPUs, for pretraining.
        node_selectors: Labels a node must have; Kubeflow only.
        shared_memory_gib: Size of /dev/shm, in memory; 0: the node's default. Kubeflow only.
        retries: How often a failed try is repeated.
        backoff_s: Seconds before the first repetition.
        backoff_factor: What each further pause is multiplied by.
        max_backoff_s: Longest pause.
        timeout_s: Seconds after which a try is ended; 0: never. On Vertex AI of pretraining on
            TPUs only.
        caching: Whether the target may skip it when it has seen its inputs.
        env: Environment variables; no secrets, for anyone who sees the pipeline can read them. On
            TPUs KERAS_BACKEND is jax if not set here.
    """

    display_name: str
    cpus: int = 4
    memory_gib: int = 16
    accelerator: Accelerator | None = None
    tpu: TpuSlice | None = None
    node_selectors: Mapping[str, str] = dataclasses.field(default_factory=dict)
    shared_memory_gib: int = 0
    retries: int = 2
    backoff_s: int = 60
    backoff_factor: float = 2.0
    max_backoff_s: int = 3600
    timeout_s: int = 0
    caching: bool = True
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """All environment variables."""
        return {"KERAS_BACKEND": "jax", **self.env} if self.tpu else dict(self.env)

    def check(self, step: str, target: TargetName) -> None:
        """Refuse what no step, this step or this target can have.

        Raises:
            InputError: There is such a thing.
        """
        self._check_numbers(step)
        self._check_env(step)
        if self.tpu:
            self._check_tpu(step, self.tpu)
        if self.accelerator:
            self._check_accelerator(step, self.accelerator)
        if self.caching and step in ("resolve", "summary"):
            raise InputError(f"{step}.caching: got true, expected false: each run has its own")
        (self._check_kubeflow if target == "kubeflow" else self._check_vertex)(step)

    def _check_tpu(self, step: str, tpu: TpuSlice) -> None:
        if step != "pretrain" or self.accelerator:
            raise InputError(
                f"{step}.tpu: got {tpu.machine}, expected it for pretrain only, and without an "
                "accelerator; remove one (`tpu: null`)"
            )
        tpu.check(f"{step}.tpu")

    def _check_accelerator(self, step: str, accelerator: Accelerator) -> None:
        if step not in _TRAINING_STEPS:
            raise InputError(
                f"{step}.accelerator: got {accelerator.type}, expected none: this step does not "
                f"train (those that do: {', '.join(_TRAINING_STEPS)})"
            )
        check_at_least(accelerator, f"{step}.accelerator", count=1)

    def _check_numbers(self, step: str) -> None:
        check_at_least(
            self,
            step,
            cpus=1,
            memory_gib=1,
            backoff_factor=1.0,
            shared_memory_gib=0,
            retries=0,
            backoff_s=0,
            max_backoff_s=0,
            timeout_s=0,
        )
        if self.shared_memory_gib >= self.memory_gib:
            raise InputError(
                f"{step}.shared_memory_gib: got {self.shared_memory_gib}, expected less than "
                f"memory_gib ({self.memory_gib}), of which it is a part"
            )

    def _check_env(self, step: str) -> None:
        for name in self.env:
            if not _ENV_NAME.fullmatch(name):
                raise InputError(f"{step}.env: got {name!r}, expected names such as KERAS_BACKEND")
            if _SECRET_NAME.search(name):
                raise InputError(
                    f"{step}.env: got {name}, expected no secret: anyone who sees the pipeline can "
                    "read it; give the step's service account the right instead"
                )

    def _check_kubeflow(self, step: str) -> None:
        if self.accelerator and "/" not in self.accelerator.type:
            raise InputError(
                f"{step}.accelerator.type: got {self.accelerator.type!r}, expected a resource of "
                "Kubernetes such as nvidia.com/gpu"
            )
        if self.tpu and self.tpu.num_hosts > 1:
            raise InputError(
                f"{step}.tpu.topology: got {self.tpu.topology}, {self.tpu.num_hosts} machines of "
                f"{self.tpu.machine}; expected one, for a task is one pod; take a larger machine, "
                "or --target vertex"
            )

    def _check_vertex(self, step: str) -> None:
        if self.accelerator and not re.fullmatch(r"NVIDIA_[A-Z0-9_]+", self.accelerator.type):
            raise InputError(
                f"{step}.accelerator.type: got {self.accelerator.type!r}, expected a type of "
                "Vertex AI such as NVIDIA_L4"
            )
        unknown = {
            "node_selectors": bool(self.node_selectors),
            "shared_memory_gib": bool(self.shared_memory_gib),
            "timeout_s": bool(self.timeout_s) and not self.tpu,
        }
        for name, is_set in unknown.items():
            if is_set:
                raise InputError(
                    f"{step}.{name}: got {getattr(self, name)}, expected nothing: Vertex AI has no "
                    "such setting for a step of a pipeline; remove it"
                )
        if self.tpu and not self.timeout_s:
            raise InputError(
                f"{step}.timeout_s: got 0, expected the seconds after which the job on TPUs ends"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CustomJobSettings:
    """How the custom job of pretraining on Vertex AI runs.

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources:
    """What all steps get on a target.

    Attributes:
        target: The target.
        resolve: Finding out what a dated run reads.
        vocab: Training the vocabulary.
        records: Making the records; with a cluster behind it, what starts the work there.
        pretrain: Pretraining.
        finetune: Fine-tuning, of each task.
        evaluate: Evaluation, of each task.
        export: The export.
        promote: The comparison with the accepted model.
        report: The report.
        summary: The summary of the run, which is made however it ends.
        parallel_tasks: Fine-tunings and evaluations at a time.
        custom_job: Of pretraining on TPUs on Vertex AI.
    """

    target: TargetName
    resolve: StepResources
    vocab: StepResources
    records: StepResources
    pretrain: StepResources
    finetune: StepResources
    evaluate: StepResources
    export: StepResources
    promote: StepResources
    report: StepResources
    summary: StepResources
    parallel_tasks: int = 4
    custom_job: CustomJobSettings = dataclasses.field(default_factory=CustomJobSettings)

    def __post_init__(self) -> None:
        for step, resources in self.steps().items():
            resources.check(step, self.target)
        check_at_least(self, parallel_tasks=1)
        if self.custom_job != CustomJobSettings() and not self.uses_custom_job:
            raise InputError(
                "custom_job: got settings, expected none: it is of pretraining on TPUs on Vertex AI"
            )

    def steps(self) -> dict[str, StepResources]:
        """Return what each step gets, by its name."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, StepResources)}

    @property
    def uses_custom_job(self) -> bool:
        """Whether pretraining is a custom job: Vertex AI has no TPUs in a pipeline's own steps."""
        return self.target == "vertex" and self.pretrain.tpu is not None


def default_resources(target: TargetName) -> Resources:
    """Return the table of a target: small machines, and four TPU v5e chips for pretraining."""
    on_vertex = target == "vertex"
    timeout_s = 0 if on_vertex else _DAY_S
    return Resources(
        target=target,
        resolve=StepResources(
            display_name="Text and start", cpus=2, memory_gib=8, timeout_s=timeout_s, caching=False
        ),
        vocab=StepResources(display_name="Vocabulary", timeout_s=timeout_s),
        records=StepResources(display_name="Records", cpus=8, memory_gib=32, timeout_s=timeout_s),
        pretrain=StepResources(
            display_name="Pretraining",
            cpus=2 if on_vertex else 24,
            memory_gib=8 if on_vertex else 96,
            shared_memory_gib=0 if on_vertex else 16,
            tpu=TpuSlice(),
            retries=3,
            timeout_s=7 * _DAY_S,
        ),
        finetune=StepResources(
            display_name="Fine-tuning", cpus=8, memory_gib=32, timeout_s=timeout_s
        ),
        evaluate=StepResources(display_name="Evaluation", timeout_s=timeout_s),
        export=StepResources(display_name="Export", timeout_s=timeout_s),
        promote=StepResources(display_name="Promotion", cpus=2, memory_gib=8, timeout_s=timeout_s),
        report=StepResources(display_name="Report", cpus=2, memory_gib=8, timeout_s=timeout_s),
        summary=StepResources(
            display_name="Summary", cpus=1, memory_gib=4, timeout_s=timeout_s, caching=False
        ),
    )


def read_resources(target: TargetName, path: str = "") -> Resources:
    """Return the table of a target with a file's values in place of its own.

    Args:
        target: The target.
        path: YAML file with what differs, by step; `null` removes a value. Without it the defaults.

    Raises:
        InputError: The file is missing, or a step, a setting or a value in it is wrong.
    """
    defaults = default_resources(target)
    if not path:
        return defaults
    changes = read_yaml(path, option="--resources")
    if "target" in changes:
        raise InputError(f"--resources {path}: got target, expected it as --target")
    values = _merged(dataclasses.asdict(defaults), changes)
    return parse_settings(Resources, plain_values(values), source=f"--resources {path}")


def _merged(values: Any, changes: Any) -> Any:
    if not isinstance(values, Mapping) or not isinstance(changes, Mapping):
        return changes
    return {**values, **{name: _merged(values.get(name), own) for name, own in changes.items()}}
