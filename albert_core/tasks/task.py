"""The declaration of a task on sentences or pairs of sentences."""

import dataclasses
from typing import Literal

from albert_core.errors import InputError

Metric = Literal[
    "accuracy", "f1", "matthews_correlation", "mean_squared_error", "pearson", "spearman"
]
Split = Literal["train", "dev", "test"]

_METRICS_OF_LABELS = ("accuracy", "f1", "matthews_correlation")
_METRICS_OF_SCORES = ("pearson", "spearman", "mean_squared_error")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """Files, columns, labels and metrics of a task in tab-separated files.

    Attributes:
        name: Name on the command line and in reports.
        train_file: Training file, relative to the task's folder.
        dev_file: Development file.
        test_file: Test file without labels; empty if there is none.
        has_header: Whether the first line of training and development file names columns.
        text_columns: Columns of the one or two texts, counted from 0.
        label_column: Column of the label; -1 is the last.
        labels: Class names in order of their numbers; none for regression.
        test_text_columns: Columns of the texts in the test file, which has a header.
        metrics: What is reported; the first chooses the best checkpoint, by its highest value.
    """

    name: str
    train_file: str = "train.tsv"
    dev_file: str = "dev.tsv"
    test_file: str = ""
    has_header: bool = True
    text_columns: tuple[int, ...]
    label_column: int
    labels: tuple[str, ...] = ()
    test_text_columns: tuple[int, ...] = ()
    metrics: tuple[Metric, ...]

    def __post_init__(self) -> None:
        if len(self.text_columns) not in (1, 2) or min(self.text_columns) < 0:
            raise InputError(
                f"task {self.name}: got text_columns {self.text_columns}, expected one or two, "
                "counted from 0"
            )
        if self.test_file and len(self.test_text_columns) != len(self.text_columns):
            raise InputError(
                f"task {self.name}: got test_text_columns {self.test_text_columns}, expected "
                f"{len(self.text_columns)} as in text_columns"
            )
        if len(self.labels) == 1 or len(set(self.labels)) < len(self.labels):
            raise InputError(
                f"task {self.name}: got labels {', '.join(self.labels)}, expected two or more "
                "different ones, or none for regression"
            )
        known = _METRICS_OF_SCORES if self.is_regression else _METRICS_OF_LABELS
        if not self.metrics or not set(self.metrics) <= set(known):
            raise InputError(
                f"task {self.name}: got metrics {', '.join(self.metrics) or 'none'}, expected some "
                f"of {', '.join(known)}"
            )
        if self.metrics[0] == "mean_squared_error":
            raise InputError(
                f"task {self.name}: got mean_squared_error as the first metric, expected one whose "
                "highest value is the best: pearson or spearman"
            )
        if "f1" in self.metrics and len(self.labels) != 2:
            raise InputError(f"task {self.name}: f1 needs two labels, got {len(self.labels)}")

    @property
    def is_regression(self) -> bool:
        """Whether the target is a number."""
        return not self.labels

    @property
    def num_outputs(self) -> int:
        """Width of the model's output."""
        return len(self.labels) or 1

    def file_of(self, split: Split) -> str:
        """Return the file name of a split; empty where there is none."""
        return {"train": self.train_file, "dev": self.dev_file, "test": self.test_file}[split]
