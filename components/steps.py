"""The table of the pipeline's steps: what each is called, which image runs it, what it needs.

Everything that goes through the steps reads this table: the components take their image from it,
the platforms their resources and titles, the summary of a run its list of steps, and the terminal
the metrics to show. A new step is a folder under `components/`, an entry here, a task in
`pipeline/albert.py` and a test.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

ImageRole = Literal["data", "trainer", "tpu"]
"""`data` holds Beam and no TensorFlow, `trainer` TensorFlow and no Beam, `tpu` JAX for TPUs."""

_DAY_S = 24 * 60 * 60


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """A step of the pipeline.

    The resources are the defaults of a cluster, which a platform adapts
    (`pipeline/remote/platforms`) and a file given as `--resources` overrides.

    Attributes:
        name: Its name in settings, logs and messages.
        title: Its name on the pages of Kubeflow and Vertex AI.
        folder: Its folder under `components/`; the name when empty.
        image: Role of the image that runs it.
        cpus: Cores.
        memory_gib: Memory in GiB.
        shared_memory_gib: Size of /dev/shm in GiB, a part of the memory; 0: the node's default.
        retries: How often a failed try is repeated.
        timeout_s: Seconds after which a try is ended.
        trains: Whether it trains or runs a model, and so may have GPUs or a slice of TPUs.
        uses_tpus: Whether it has a slice of TPUs by default.
        repeats_for: Pipeline parameter whose items it runs for, one by one; empty: it runs once.
        is_optional: Whether there are runs without it, beside those from a checkpoint.
        needs_text: Whether a run from a checkpoint is without it.
        is_cacheable: Whether a platform may skip it when it has seen its inputs.
        key_metrics: Metrics in the terminal's table of steps, in order; all of them when empty.
    """

    name: str
    title: str
    image: ImageRole
    folder: str = ""
    cpus: int = 4
    memory_gib: int = 16
    shared_memory_gib: int = 0
    retries: int = 2
    timeout_s: int = _DAY_S
    trains: bool = False
    uses_tpus: bool = False
    repeats_for: Literal["", "records", "jobs"] = ""
    is_optional: bool = False
    needs_text: bool = False
    is_cacheable: bool = True
    key_metrics: tuple[str, ...] = ()


_STEPS = (
    Step(
        name="checkpoint",
        title="Checkpoint",
        image="trainer",
        is_optional=True,
        key_metrics=("num_parameters", "vocab_size"),
    ),
    Step(
        name="resolve",
        title="Text and start",
        image="data",
        cpus=2,
        memory_gib=8,
        is_optional=True,
        needs_text=True,
        is_cacheable=False,  # text and accepted models change without a change of its inputs
    ),
    Step(
        name="vocab",
        title="Vocabulary",
        image="data",
        needs_text=True,
        key_metrics=("vocab_size", "tokens_per_word", "unknown_fraction"),
    ),
    Step(
        name="records",
        title="Records",
        image="data",
        cpus=8,
        memory_gib=32,
        repeats_for="records",
        needs_text=True,
        key_metrics=("num_documents", "num_train_records", "num_held_out_records"),
    ),
    Step(
        name="pretrain",
        title="Pretraining",
        image="trainer",
        cpus=24,
        memory_gib=96,
        shared_memory_gib=16,
        retries=3,
        timeout_s=7 * _DAY_S,
        trains=True,
        uses_tpus=True,
        needs_text=True,
        key_metrics=(
            "masked_lm_accuracy",
            "masked_lm_mask_token_accuracy",
            "replaced_token_accuracy",
            "sentence_order_accuracy",
            "loss",
            "tokens_per_second",
        ),
    ),
    Step(
        name="finetune",
        title="Fine-tuning",
        image="trainer",
        cpus=8,
        memory_gib=32,
        shared_memory_gib=8,  # several GPUs exchange gradients through it
        trains=True,
        repeats_for="jobs",
    ),
    Step(
        name="evaluate",
        title="Evaluation",
        image="trainer",
        shared_memory_gib=4,
        trains=True,
        repeats_for="jobs",
    ),
    Step(name="export", title="Export", image="trainer", is_optional=True),
    Step(
        name="promote",
        title="Promotion",
        image="data",
        cpus=2,
        memory_gib=8,
        is_optional=True,
        needs_text=True,
    ),
    Step(
        name="register",
        title="Model registry",
        image="data",
        cpus=2,
        memory_gib=8,
        is_optional=True,
        needs_text=True,
    ),
    Step(name="report", title="Report", image="trainer", cpus=2, memory_gib=8),
    Step(
        name="summary",
        title="Summary",
        folder="run_summary",
        image="data",
        cpus=1,
        memory_gib=4,
        is_optional=True,
        is_cacheable=False,  # it tells of one run
    ),
)

STEPS: Mapping[str, Step] = {step.name: step for step in _STEPS}
"""The steps by name, in the order of the pipeline."""
