"""What a model is asked and what it answers: from its task, or else from its heads."""

import dataclasses
from typing import Literal

from albert_core.checkpoints.side_files import ProblemType
from albert_core.tasks import Task
from albert_core.tasks.task import Kind as TaskKind

ModelKind = Literal[TaskKind, "masked_lm", "encoder"]
"""The kind of its task; `masked_lm` before fine-tuning; `encoder` for one without any head."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskSignature:
    """The fields of an example, and what a prediction consists of.

    Attributes:
        kind: What the model predicts.
        labels: Names of a classifier's classes, labels or tags, in the order of its outputs; empty
            for all other kinds.
        num_texts: Texts of an example, 1 or 2; None where no file says, so that it may have either.
            Not read for multiple choice and questions.
        has_questions: Whether a choice is an answer to a question, as in RACE.
        has_unanswerable: Whether a question may have no answer.
    """

    kind: ModelKind
    labels: tuple[str, ...] = ()
    num_texts: int | None = None
    has_questions: bool = False
    has_unanswerable: bool = False

    @classmethod
    def from_task(cls, task: Task) -> "TaskSignature":
        """Return the signature of models fine-tuned on a task.

        The number of texts, which are those the file names or else the task, and whether there are
        questions as in RACE, are those of its first dev file. Tags have one text.
        """
        source = task.sources("dev")[0]
        return cls(
            kind=task.kind,
            labels=task.labels,
            num_texts=1 if task.kind == "token_classification" else len(source.texts or task.texts),
            has_questions=task.source_format(source) == "race",
            has_unanswerable=task.has_unanswerable,
        )

    @classmethod
    def from_heads(
        cls,
        heads: frozenset[str],
        num_labels: int,
        *,
        labels: tuple[str, ...] = (),
        problem_type: ProblemType | None = None,
        is_multiple_choice: bool = False,
        are_pairs: bool = False,
    ) -> "TaskSignature":
        """Return the signature of a model whose folder declares no task.

        A classifier wins over one of tokens, that over heads for answers, and these over one for
        masked words. Questions may have no answer if the head is that of SQuAD 2.0 (`span_beam`). A
        model for masked words, or without a head, or with one for tokens, reads one text.

        Args:
            heads: Its heads by the names in `albert_core.checkpoints.names.HEADS`.
            num_labels: Outputs of its classifier.
            labels: Their names, as many; without any they are named by their numbers.
            problem_type: `multi_label_classification`: labels that do not exclude each other. With
                any other value or None one output is a regression, and more are classes.
            is_multiple_choice: Whether the classifier scores choices.
            are_pairs: Whether it compares two texts, so that an example has two.
        """
        if "classifier" in heads:
            if is_multiple_choice:
                return cls(kind="multiple_choice")
            names = labels or tuple(map(str, range(num_labels)))
            num_texts = 2 if are_pairs else None
            if problem_type == "multi_label_classification":
                return cls(kind="multi_label", labels=names, num_texts=num_texts)
            if num_labels == 1:
                return cls(kind="regression", num_texts=num_texts)
            return cls(kind="classification", labels=names, num_texts=num_texts)
        if "token_classifier" in heads:
            names = labels or tuple(map(str, range(num_labels)))
            return cls(kind="token_classification", labels=names, num_texts=1)
        if heads & {"span", "span_beam"}:
            return cls(kind="question_answering", has_unanswerable="span_beam" in heads)
        return cls(kind="masked_lm" if "masked_lm" in heads else "encoder", num_texts=1)
