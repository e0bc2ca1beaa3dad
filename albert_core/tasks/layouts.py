"""The names of the columns in which people have the tables of GLUE.

Beside GLUE's own files there are exports of Hugging Face's `glue` data sets (`premise`,
`hypothesis`, `label`, `idx`) and files put together from both. Names tell them apart; numbers would
read one as the other.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from albert_core.tasks.glue import GLUE_TASKS
from albert_core.tasks.task import Task

HUGGING_FACE_ID = "idx"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """The names of a task's columns, in lower case.

    Attributes:
        texts: The names of the texts, in each way they are known by.
        labels: Names that the label's column goes by, of which a table may have only one.
        ids: Names of the column of ids; if a table has several of them, the first in this list is
            taken.
        class_names: The task's labels by other spellings of them.
        class_numbers: The labels by Hugging Face's class numbers, as text, where the labels are
            words. They hold only beside its id, `idx`: other people number otherwise.
        headless_width: Number of columns of a table without a header; 0 if there is none such.
    """

    texts: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...] = ("label",)
    ids: tuple[str, ...] = (HUGGING_FACE_ID, "index")
    class_names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    class_numbers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    headless_width: int = 0

    def expected_names(self, *, with_label: bool, with_id: bool) -> str:
        """Return the names that a header must hold, in words for messages."""
        texts = " or ".join(", ".join(names) for names in self.texts)
        label = f"; {' or '.join(self.labels)}" if with_label else ""
        return texts + label + (f"; {' or '.join(self.ids)}" if with_id else "")

    def matching_texts(self, names: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the ways of naming the texts that a header follows, maybe none or several.

        Args:
            names: The header's cells in lower case.
        """
        return [texts for texts in self.texts if set(texts) <= set(names)]


_PAIR = ("sentence1", "sentence2")
_PREMISE = ("premise", "hypothesis")
_ENTAILMENT_NUMBERS = {"0": "entailment", "1": "not_entailment"}

_LAYOUTS: Mapping[str, Layout] = {
    "cola": Layout(
        texts=(("sentence",),),
        class_names={"unacceptable": "0", "acceptable": "1"},
        headless_width=4,
    ),
    "sst-2": Layout(texts=(("sentence",),), class_names={"negative": "0", "positive": "1"}),
    "mrpc": Layout(
        texts=(("#1 string", "#2 string"), _PAIR),
        labels=("quality", "label"),
        class_names={"not_equivalent": "0", "equivalent": "1"},
    ),
    "sts-b": Layout(texts=(_PAIR,), labels=("score", "label")),
    "qqp": Layout(
        texts=(("question1", "question2"),),
        labels=("is_duplicate", "label"),
        ids=(HUGGING_FACE_ID, "id", "index"),
        class_names={"not_duplicate": "0", "duplicate": "1"},
    ),
    "mnli": Layout(
        texts=(_PAIR, _PREMISE),
        labels=("gold_label", "label"),
        class_numbers={"0": "entailment", "1": "neutral", "2": "contradiction"},
    ),
    "qnli": Layout(texts=(("question", "sentence"),), class_numbers=_ENTAILMENT_NUMBERS),
    "rte": Layout(texts=(_PAIR, _PREMISE), class_numbers=_ENTAILMENT_NUMBERS),
    "wnli": Layout(texts=(_PAIR,), class_names={"not_entailment": "0", "entailment": "1"}),
}
_GLUE_TASKS = {task.name: task for task in GLUE_TASKS}

KNOWN_NAMES = frozenset(
    name
    for layout in _LAYOUTS.values()
    for name in (*layout.ids, *layout.labels, *(n for texts in layout.texts for n in texts), "text")
)
"""Names that columns go by in these tables: a first row of such names alone is a header."""


def find_layout(task: Task) -> Layout | None:
    """Return the layout of a task of GLUE, known by its name and its columns.

    None for any other task, also for one of the same name that declares other columns.
    """
    known = _GLUE_TASKS.get(task.name)
    if known is None or (known.texts, known.label) != (task.texts, task.label):
        return None
    return _LAYOUTS[task.name]
