"""The configuration of a run: one YAML file, a section for each step."""

import dataclasses
from collections.abc import Collection
from typing import Any, Literal

from albert_core.config import AlbertConfig
from albert_core.corpus import CorpusConfig
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.errors import InputError
from albert_core.finetuning.config import EVERY_TASK, FinetuningConfig
from albert_core.object_storage.settings import StorageConfig
from albert_core.presets import ModelConfig
from albert_core.pretraining.config import PretrainingConfig
from albert_core.records.config import RecordsConfig
from albert_core.settings import plain_values
from albert_core.settings.checks import check_distinct
from albert_core.tokenization.config import VocabConfig
from albert_core.tracking.config import TrackingConfig
from components.checkpoint.config import CheckpointConfig
from components.export.config import ExportConfig
from components.promote.config import RetrainingConfig
from components.records.job import RecordsJob, records_jobs
from components.records.runners import BeamConfig
from components.records.worker_containers import refuse_local_text
from components.register.config import VertexModelsConfig
from components.resolve.dates import DATE_PLACEHOLDER, has_date

Runner = Literal["process", "docker"]
"""What a step of a local run is."""

# Sections about what a checkpoint takes the place of: text, vocabulary, records, pretraining.
_TEXT_SECTIONS = (
    "corpus",
    "cleaning",
    "vocab",
    "records",
    "beam",
    "model",
    "pretraining",
    "retraining",
    "vertex_models",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The settings of a run.

    Every section has defaults, and none is None: what a run does without is an empty setting in its
    section. Tasks stay as they are named, groups too. Settings that do not go together are refused
    with an InputError.

    Attributes:
        title: Name of the run in its report.
        checkpoint: A finished model to start from in place of text, if it has a `path`: `corpus` to
            `pretraining`, `retraining` and `vertex_models` must then be at their defaults.
        corpus: The text.
        cleaning: Which documents are left out of the records.
        vocab: The vocabulary.
        records: The pretraining records.
        beam: The Apache Beam runner that makes the records.
        model: The architecture.
        pretraining: How to pretrain.
        finetuning: How to fine-tune; `per_task` has other values for single tasks.
        data_dir: Folder of the tasks' folders, as they are published.
        tasks: Tasks to fine-tune and evaluate: of GLUE (`all-glue`: all nine), squad1, squad2,
            race, Chinese such as tnews; folders of `data_dir` with a task.yaml, or paths of those.
        random_weights_baseline: Whether each task is fine-tuned from random weights, too.
        export: In which formats fine-tuned models are published, and the scores that a model must
            reach for that. Without `formats`, none is published.
        retraining: The accepted model that pretraining starts from, and when the new one replaces
            it; none if `accepted` is empty.
        vertex_models: The Model Registry of Vertex AI that receives the exports of an accepted
            model, after a run on a platform. With an empty `project`, nothing is registered.
        storage: How buckets are called.
        tracking: Where the run's trainings and scores are tracked.
    """

    title: str = "albert"
    checkpoint: CheckpointConfig = dataclasses.field(default_factory=CheckpointConfig)
    corpus: CorpusConfig = dataclasses.field(default_factory=CorpusConfig)
    cleaning: CleaningConfig = dataclasses.field(default_factory=CleaningConfig)
    vocab: VocabConfig = dataclasses.field(default_factory=VocabConfig)
    records: RecordsConfig = dataclasses.field(default_factory=RecordsConfig)
    beam: BeamConfig = dataclasses.field(default_factory=BeamConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    pretraining: PretrainingConfig = dataclasses.field(default_factory=PretrainingConfig)
    finetuning: FinetuningConfig = dataclasses.field(default_factory=FinetuningConfig)
    data_dir: str = ""
    tasks: tuple[str, ...] = ()
    random_weights_baseline: bool = False
    export: ExportConfig = dataclasses.field(default_factory=ExportConfig)
    retraining: RetrainingConfig = dataclasses.field(default_factory=RetrainingConfig)
    vertex_models: VertexModelsConfig = dataclasses.field(default_factory=VertexModelsConfig)
    storage: StorageConfig = dataclasses.field(default_factory=StorageConfig)
    tracking: TrackingConfig = dataclasses.field(default_factory=TrackingConfig)

    def __post_init__(self) -> None:
        """Refuse dates in the wrong place, two starts, and what the model does not fit.

        How long a checkpoint's sequences may be is not known here.

        Raises:
            InputError: A task is named twice, or its name is empty or has spaces around it; the
                placeholder of the date is elsewhere than in title and corpus.files; a sequence
                length of records or fine-tuning is above max_position_embeddings; the layers of the
                phases do not go together with the model's; the text is where Beam's workers do not
                see it; there is a checkpoint, and settings of text or pretraining or a date; or
                models are to be registered, and the run accepts or exports none, or exports none in
                that format.
        """
        self._refuse_stray_dates()
        self._check_tasks()
        self._check_vertex_models()
        if self.checkpoint.path:
            self._refuse_second_start()
        else:
            model = self.model.with_vocabulary(self.vocab.size)
            self._refuse_long_sequences(model)
            self.pretraining.check_depths(model)
            refuse_local_text(self.beam, self.corpus.files)

    def _check_tasks(self) -> None:
        """Refuse a task that is named twice, and names that are empty or have spaces around them.

        Raises:
            InputError: A name is empty, has spaces around it, or is there twice.
        """
        for name in self.tasks:
            if name != name.strip() or not name:
                raise InputError(f"tasks: got {name!r}, expected names without spaces around them")
        check_distinct("tasks", self.tasks)

    def _check_vertex_models(self) -> None:
        """Refuse a registry of models in a run that accepts none, or does not export them.

        Raises:
            InputError: Nothing is accepted or exported, or the format is none of the export's.
        """
        models = self.vertex_models
        if not models.project:
            return
        for setting, value in (
            ("retraining.accepted", self.retraining.accepted),
            ("export.formats", self.export.formats),
        ):
            if not value:
                raise InputError(
                    f"vertex_models.project: got {models.project} without {setting}, expected it: "
                    "the exports of accepted models are registered"
                )
        if models.format and models.format not in self.export.formats:
            raise InputError(
                f"vertex_models.format: got {models.format}, expected one of export.formats: "
                f"{', '.join(self.export.formats)}"
            )

    def _refuse_second_start(self) -> None:
        """Refuse what a run from a checkpoint does without.

        Raises:
            InputError: A section of text or pretraining is not at its defaults, or the title has
                the placeholder of the date.
        """
        defaults = RunConfig()
        changed = [
            name for name in _TEXT_SECTIONS if getattr(self, name) != getattr(defaults, name)
        ]
        if changed:
            raise InputError(
                f"checkpoint.path: got {self.checkpoint.path}, and settings of "
                f"{', '.join(changed)}; expected one of both, since a run from a checkpoint has "
                "neither text nor pretraining; leave them out (the checkpoint's vocabulary is "
                "--checkpoint.vocab)"
            )
        if has_date(self.title):
            raise InputError(
                f"title: got {DATE_PLACEHOLDER}, expected none in a run from a checkpoint, which "
                "depends on no date"
            )

    def _refuse_long_sequences(self, model: AlbertConfig) -> None:
        """Refuse sequences of records or fine-tuning that are longer than the model reads.

        The lengths of all phases and of `finetuning.per_task` count, too.

        Raises:
            InputError: A length is above the model's `max_position_embeddings`.
        """
        lengths = {
            **{
                f"sequence_length of {job.step}": job.records.sequence_length
                for job in self.records_jobs()
            },
            "finetuning.sequence_length": self.finetuning.sequence_length,
            **{
                f"finetuning.per_task.{name}.sequence_length": values["sequence_length"]
                for name, values in self.finetuning.per_task.items()
                if values.get("sequence_length") is not None
            },
        }
        for name, length in lengths.items():
            if length > model.max_position_embeddings:
                raise InputError(
                    f"{name}: got {length}, expected at most the model's max_position_embeddings="
                    f"{model.max_position_embeddings}"
                )

    @property
    def is_dated(self) -> bool:
        """Whether the run needs a date: `{{ds}}` in title or corpus.files, or a retraining."""
        return has_date((self.title, self.corpus.files)) or bool(self.retraining.accepted)

    def _refuse_stray_dates(self) -> None:
        """Refuse the placeholder of the date in any setting but title and corpus.files.

        Raises:
            InputError: The placeholder is in another setting; the message names the sections.
        """
        values = dataclasses.asdict(self)
        del values["title"], values["corpus"]["files"]
        if dated := [name for name, value in values.items() if has_date(value)]:
            raise InputError(
                f"{', '.join(dated)}: got {DATE_PLACEHOLDER}, expected it only in corpus.files and "
                "title"
            )

    def records_jobs(self) -> list[RecordsJob]:
        """Return the records to make, one job for each sequence length of the pretraining's phases.

        They are in the order of the phases, each length once. For a pretraining without phases that
        is only `records.sequence_length`, which is ignored otherwise.
        """
        lengths = self.pretraining.sequence_lengths(default=self.records.sequence_length)
        return records_jobs(self.records, lengths)


def to_values(config: RunConfig) -> dict[str, Any]:
    """Return a configuration as nested plain values, as YAML and pipeline parameters hold them.

    Sections are dicts, tuples lists; settings that are None are left out.
    """
    return plain_values(dataclasses.asdict(config))


def with_recipes(finetuning: FinetuningConfig, given: Collection[str]) -> FinetuningConfig:
    """Return settings of fine-tuning for a run from a checkpoint, with `recipe="original"`.

    The released models are known by the scores that the original's recipes of tasks give. What is
    given wins over them: it is copied to `per_task`, for every task, where what is set there
    already wins again. If `recipe` itself is given, the settings are returned as they are.

    Args:
        finetuning: The settings.
        given: Names of the fields that a person has given; the others are defaults. `per_task`
            among them makes no difference.
    """
    if "recipe" in given:
        return finetuning
    values = plain_values(dataclasses.asdict(finetuning))
    given_values = {name: values[name] for name in values if name in given and name != "per_task"}
    per_task = dict(finetuning.per_task)
    if given_values:
        per_task[EVERY_TASK] = {**given_values, **per_task.get(EVERY_TASK, {})}
    return dataclasses.replace(finetuning, recipe="original", per_task=per_task)
