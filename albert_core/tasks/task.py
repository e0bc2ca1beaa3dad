"""The declaration of a task: files, labels, metrics, recipe."""

import dataclasses
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Literal

from albert_core.errors import InputError
from albert_core.files.compression import without_compression
from albert_core.settings.checks import check_distinct, refuse_nulls
from albert_core.tasks.entities import is_entity_tag
from albert_core.tasks.recipe import Recipe
from albert_core.tasks.source import COMMA, FORMATS_BY_ENDING, Column, Format, Source, Split

Kind = Literal[
    "classification",
    "multi_label",
    "regression",
    "multiple_choice",
    "question_answering",
    "token_classification",
]
Metric = Literal[
    "accuracy",
    "f1",
    "precision",
    "recall",
    "matthews_correlation",
    "micro_f1",
    "micro_precision",
    "micro_recall",
    "macro_f1",
    "macro_precision",
    "macro_recall",
    "mean_squared_error",
    "pearson",
    "spearman",
    "exact",
    "cmrc_f1",
    "cmrc_exact",
]
BadRows = Literal["refuse", "leave_out"]


SUBMISSION_FOLDER = "submission"  # of an evaluation's output: files for GLUE's site

METRICS_BY_KIND: Mapping[Kind, tuple[Metric, ...]] = {
    "classification": (
        *("accuracy", "f1", "matthews_correlation"),
        *("macro_f1", "macro_precision", "macro_recall"),
    ),
    "multi_label": (
        *("micro_f1", "macro_f1", "accuracy"),
        *("micro_precision", "micro_recall", "macro_precision", "macro_recall"),
    ),
    "regression": ("pearson", "spearman", "mean_squared_error"),
    "multiple_choice": ("accuracy",),
    "question_answering": ("f1", "exact", "cmrc_f1", "cmrc_exact"),
    "token_classification": ("f1", "precision", "recall", "macro_f1", "accuracy"),
}
_LEAST_LABELS: Mapping[Kind, int] = {
    "classification": 2,
    "multi_label": 1,
    "token_classification": 2,
}
_SENTENCE_FORMATS = ("conll", "jsonl", "parquet")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A task: its files, how they are read, what is predicted and how it is scored.

    A declaration that is incomplete or contradicts itself raises InputError when it is made.

    Attributes:
        name: Name on the command line and in reports.
        kind: What is asked: a class, any number of labels or a number for a text or a pair, one of
            several choices, the part of a text that answers a question, or a tag for each word.
        train: Training files.
        dev: Development files. Without any, a part of the training rows is split off, see
            `dev_split`.
        test: Test files, predicted and, where they have labels, scored.
        texts: Columns by number from 0, or names of the header or of JSON keys. One or two; for
            multiple choice the text, then one list of choices. A name with braces is a template of
            keys, such as `{target[span1_text]}`; `{keywords:, }` joins a list of texts by what
            follows the colon. None for `squad` and `race` files. For `token_classification`, the
            words: in `jsonl` a list of texts, in `conll` a column, the first if none is given.
        label: Column or name of the label; -1 is the last column. For `multi_label` it holds the
            labels that apply: in `jsonl` a list of texts, or of numbers that are labels or stand
            for `class_names`; in `tsv` separated by commas, or a list as Python or JSON writes it;
            a file without it may have 1 or 0 in a column for each of `labels`, named as these. For
            `token_classification`, the tags: in `jsonl` a list of texts, or of numbers of `labels`;
            in `conll` a column, the last if none is given.
        labels: Class names in order of their numbers; only for classification, `multi_label` and
            `token_classification`. For the last they are the tags as they are in the files. A
            declaration without any has those of the training files, which `find_task` fills in.
        class_names: Labels that whole numbers in tables, JSON lines and Parquet stand for, from 0;
            `find_task` takes them from the card of a data set of Hugging Face, if it has some.
        labels_from: What `find_task` took the labels from; empty where they are declared.
        skipped_labels: Labels of rows that have none; they are left out.
        metrics: What is reported; the first chooses the best checkpoint, by its highest value.
        combined: The metrics whose mean is the task's score; the first one where none is given.
        averages_sources: Whether overall scores are the mean of the files' scores (as in MNLI),
            not computed over all rows together.
        has_unanswerable: Whether a question may have no answer (as in SQuAD 2.0).
        bad_rows: What to do with rows of the training files that cannot be used.
        dev_fraction: Fraction of the training rows that are split off as the dev set, at most half;
            only without dev files.
        dev_seed: Decides which rows these are; only without dev files.
        recipe: How the original fine-tunes.
        paper_scores: Scores in percent that others published, by model, in the first metric: on the
            dev set, for RACE on the test set.
    """

    name: str
    kind: Kind = "classification"
    train: tuple[Source, ...] = (Source(file="train.tsv"),)
    dev: tuple[Source, ...] = (Source(file="dev.tsv"),)
    test: tuple[Source, ...] = ()
    texts: tuple[Column, ...] = ()
    label: Column = "label"
    labels: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    labels_from: str = ""
    skipped_labels: tuple[str, ...] = ()
    metrics: tuple[Metric, ...]
    combined: tuple[Metric, ...] = ()
    averages_sources: bool = False
    has_unanswerable: bool = False
    bad_rows: BadRows = "refuse"
    dev_fraction: float = 0.1
    dev_seed: int = 12345
    recipe: Recipe = dataclasses.field(default_factory=Recipe)
    paper_scores: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse declarations that are incomplete or contradict themselves.

        Raises:
            InputError: A field is null, train files are missing, the dev set cannot be split off as
                declared, or names of files, texts, labels or metrics do not fit the kind of the
                task.
        """
        refuse_nulls(self, f"task {self.name}")
        if not self.train:
            raise InputError(f"task {self.name}: got no train file, expected one")
        self._check_dev_split()
        self._check_sources()
        self._check_labels()
        self._check_metrics()

    def _check_dev_split(self) -> None:
        """Refuse settings of a dev set that is split off, if they are impossible or of no effect.

        Raises:
            InputError: The fraction is not above 0 and at most one half, or there are dev files and
                fraction or seed are not the defaults.
        """
        if not 0 < self.dev_fraction <= 0.5:
            raise InputError(
                f"task {self.name}: got dev_fraction {self.dev_fraction:g}, expected a number "
                "above 0 and at most 0.5"
            )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if self.dev and field.name in ("dev_fraction", "dev_seed") and value != field.default:
                files = ", ".join(source.file for source in self.dev)
                raise InputError(
                    f"task {self.name}: got {field.name} {value} with the dev files {files}, "
                    "expected none, since nothing is split off then; leave it out, or declare "
                    "dev: []"
                )

    def _check_sources(self) -> None:
        """Refuse files of a split with the same name, and files with texts that do not fit.

        Raises:
            InputError: There are such, or a delimiter of a file that is no CSV; names the first.
        """
        for split in ("train", "dev", "test"):
            sources = self.sources(split)
            names = [source.name for source in sources]
            if len(set(names)) < len(names):
                raise InputError(
                    f"task {self.name}: got {len(names)} {split} files named "
                    f"{', '.join(name or 'nothing' for name in names)}, expected a different name "
                    "for each"
                )
            for source in sources:
                self._check_texts(source)
                if source.delimiter != COMMA and self.source_format(source) != "csv":
                    raise InputError(
                        f"task {self.name}: got delimiter {source.delimiter!r} for {source.file}, "
                        "which is no CSV; declare format: csv, or leave it out"
                    )

    def _check_texts(self, source: Source) -> None:
        """Refuse a file whose number of texts does not fit its format and the task's kind.

        None for `squad`, `race` and Parquet of questions; two for multiple choice; one for words
        with tags, or none in `conll`; one or two for other tables. Questions in another format are
        refused.

        Raises:
            InputError: It has another number, or is of a format that does not fit the kind.
        """
        self._check_sentence_format(source)
        num_texts, file_format = len(source.texts or self.texts), self.source_format(source)
        has_columns = file_format != "parquet" or self.kind != "question_answering"
        if file_format in ("squad", "race") or not has_columns:
            if num_texts:
                raise InputError(
                    f"task {self.name}: got texts for {source.file}, expected none: its format "
                    "says where they are"
                )
            return
        expected = {
            "multiple_choice": (2,),
            "question_answering": (),
            "token_classification": (0, 1) if file_format == "conll" else (1,),
        }.get(self.kind, (1, 2))
        if num_texts not in expected:
            raise InputError(
                f"task {self.name}: got {num_texts} texts for {source.file}, expected "
                f"{' or '.join(map(str, expected)) or 'a file in the squad format'}"
            )

    def _check_sentence_format(self, source: Source) -> None:
        """Refuse words with tags in a format that cannot hold them, and columns by other names.

        Raises:
            InputError: A file of `token_classification` is of a format for rows of texts, one of
                another kind is `conll`, or a `conll` has columns by name.
        """
        has_tags, file_format = self.kind == "token_classification", self.source_format(source)
        if file_format not in _SENTENCE_FORMATS if has_tags else file_format == "conll":
            expected = " or ".join(_SENTENCE_FORMATS) if has_tags else "another format"
            raise InputError(
                f"task {self.name}: got format {file_format} for {source.file} of a {self.kind} "
                f"task, expected {expected}"
            )
        label = self.label if source.label is None else source.label
        columns = [*(source.texts or self.texts), *([] if label == "label" else [label])]
        if file_format == "conll" and (named := [c for c in columns if isinstance(c, str)]):
            raise InputError(
                f"task {self.name}: got column {named[0]!r} for {source.file}, expected a number, "
                "from 0: columns of conll files have no names"
            )

    def _check_labels(self) -> None:
        """Refuse labels that do not fit the kind of the task.

        Classification and `token_classification` need two or more, `multi_label` one or more, all
        different, or none yet; other kinds have none.

        Raises:
            InputError: They do not; or `has_unanswerable` is set for anything but questions.
        """
        least = _LEAST_LABELS.get(self.kind, 0)
        if not least and self.labels:
            raise InputError(
                f"task {self.name}: got labels of a {self.kind} task, expected none there"
            )
        if self.labels and len(set(self.labels)) != max(least, len(self.labels)):
            raise InputError(
                f"task {self.name}: got labels {', '.join(self.labels)}, expected {least} or more "
                "different ones (for scores: kind: regression)"
            )
        if self.has_unanswerable and self.kind != "question_answering":
            raise InputError(
                f"task {self.name}: has_unanswerable is about question_answering, got {self.kind}"
            )

    def _check_metrics(self) -> None:
        """Refuse metrics that do not fit the kind of the task.

        Raises:
            InputError: There are no metrics; a metric is not one for the kind of the task, or is
                there twice, also in `combined`; `combined` names a metric that is not in `metrics`;
                the first is an error, of which the highest is not the best; or F1 is asked for of a
                classification that has not just two labels, or of tags that are no entities'.
        """
        known = METRICS_BY_KIND[self.kind]
        if not self.metrics or not set(self.metrics) <= set(known):
            raise InputError(
                f"task {self.name}: got metrics {', '.join(self.metrics) or 'none'}, expected some "
                f"of {', '.join(known)}"
            )
        for field in ("metrics", "combined"):
            check_distinct(f"task {self.name}: {field}", getattr(self, field))
        if not set(self.combined) <= set(self.metrics):
            raise InputError(
                f"task {self.name}: got combined {', '.join(self.combined)}, expected some of its "
                f"metrics, {', '.join(self.metrics)}"
            )
        if self.metrics[0] == "mean_squared_error":
            raise InputError(
                f"task {self.name}: got mean_squared_error as the first metric, expected one whose "
                "highest value is the best: pearson or spearman"
            )
        is_two = len(self.labels) in (0, 2)  # or none yet
        if self.kind == "classification" and "f1" in self.metrics and not is_two:
            raise InputError(
                f"task {self.name}: f1 needs two labels, got {len(self.labels)}; expected macro_f1"
            )
        if self.kind == "token_classification" and set(self.metrics) != {"accuracy"}:
            self._check_entity_tags()

    def _check_entity_tags(self) -> None:
        """Refuse tags that do not say where entities are, of which the metrics are counted.

        Raises:
            InputError: There is one; names the first.
        """
        if other := [tag for tag in self.labels if not is_entity_tag(tag)]:
            raise InputError(
                f"task {self.name}: got tag {other[0]!r} with metrics {', '.join(self.metrics)}, "
                "which count entities; expected O, or a type after B-, I-, E- or S- (write L- as "
                "E- and U- as S-); for other tags, as those of parts of speech, metrics: [accuracy]"
            )

    @property
    def num_outputs(self) -> int:
        """Width of the output layer: one for each label, or 1 for a task without labels."""
        return len(self.labels) or 1

    @property
    def lacks_labels(self) -> bool:
        """Whether it has no labels yet, and needs some."""
        return not self.labels and self.kind in _LEAST_LABELS

    @property
    def splits_off_dev(self) -> bool:
        """Whether the dev set is a part of the training rows."""
        return not self.dev

    def sources(self, split: Split) -> tuple[Source, ...]:
        """Return the files with a split's rows; the training files for a dev set split off them."""
        dev = self.dev or self.train
        return {"train": self.train, "dev": dev, "test": self.test}[split]

    def source_format(self, source: Source, name: str = "") -> Format:
        """Return the format of a file, with `auto` resolved.

        For question answering it is SQuAD's, unless the ending is that of Parquet; otherwise the
        ending tells it; else it is TSV. Words with tags are in CoNLL's columns, whatever the
        ending, except for JSON lines and Parquet.

        Args:
            source: Its declaration.
            name: Its name, where the declaration has a glob.
        """
        if source.format != "auto":
            return source.format
        ending = PurePosixPath(without_compression(name or source.file)).suffix.lower()
        by_ending = FORMATS_BY_ENDING.get(ending, "tsv")
        if self.kind == "question_answering":
            return "parquet" if by_ending == "parquet" else "squad"
        has_tags = self.kind == "token_classification"
        return "conll" if has_tags and by_ending not in _SENTENCE_FORMATS else by_ending
