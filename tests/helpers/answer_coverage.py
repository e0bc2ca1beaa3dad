"""How many answers of question-answering files survive tokenization: mapped to pieces and back."""

import collections
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from albert_core.finetuning.alignment import AlignedText, Aligner
from albert_core.tasks import Answer, InvalidRows, Question, Task
from albert_core.tasks.source import Source
from albert_core.tasks.squad_file import read_squad
from albert_core.tasks.squad_metrics import normalize_answer
from albert_core.tokenization import Tokenizer

_TASK = Task(name="any", kind="question_answering", metrics=("f1",), has_unanswerable=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coverage:
    """Answers that come back from their pieces, and why others do not.

    Attributes:
        num_answers: All answers that are where their file says.
        num_kept: Those whose pieces stand for text that is the same after normalisation.
        causes: How many others for each cause.
        examples: Of each cause one: the answer, and what came back.
    """

    num_answers: int
    num_kept: int
    causes: collections.Counter[str]
    examples: dict[str, tuple[str, str]]


def read_file(path: Path) -> list[Question]:
    """Read all questions, also those whose answers are not where the file says."""
    source = Source(file=path.name)
    return list(
        read_squad(_TASK, source, path, trains=False, invalid_rows=InvalidRows("leave_out"))
    )


def answer_coverage(questions: Sequence[Question], tokenizer: Tokenizer) -> Coverage:
    """Map every answer to pieces and back."""
    contexts = list(dict.fromkeys(question.context for question in questions))
    aligned = dict(zip(contexts, Aligner(tokenizer).align(contexts), strict=True))
    num_answers = num_kept = 0
    causes: collections.Counter[str] = collections.Counter()
    examples: dict[str, tuple[str, str]] = {}
    for question in questions:
        text = aligned[question.context]
        for answer in question.answers:
            if not _is_there(question, answer):
                continue
            num_answers += 1
            back = _returned(text, answer) if text else ""
            if normalize_answer(back) == normalize_answer(answer.text):
                num_kept += 1
                continue
            cause = _cause(text, answer.text, back)
            causes[cause] += 1
            examples.setdefault(cause, (answer.text, back))
    return Coverage(num_answers=num_answers, num_kept=num_kept, causes=causes, examples=examples)


def _is_there(question: Question, answer: Answer) -> bool:
    end = answer.start + len(answer.text)
    return bool(answer.text) and question.context[answer.start : end] == answer.text


def _returned(text: AlignedText, answer: Answer) -> str:
    first, last = text.span_tokens(answer.start, len(answer.text))
    return text.text[text.starts[first] : text.ends[last] + 1].strip()


def _cause(text: AlignedText | None, answer: str, back: str) -> str:
    if text is None:
        return "context unlike its pieces"
    if answer in back:
        return "ends inside a piece or word"
    return "moved"
