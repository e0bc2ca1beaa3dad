"""Read the files of a task before anything is trained, and refuse what fine-tuning would refuse.

Imports neither Keras nor TensorFlow: it is done in seconds, before a run starts.
"""

import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.question_features import (
    has_aligned_context,
    refuse_long_question,
    unaligned_error,
)
from albert_core.tasks import (
    InvalidRows,
    Question,
    Task,
    read_examples,
    read_questions,
    read_sentences,
)
from albert_core.tasks.description import describe_files
from albert_core.tasks.reading import SPLITS
from albert_core.tokenization import Tokenizer

# Categories of characters that no tokenizer keeps: spaces, controls, and marks without a letter.
_INVISIBLE = ("Z", "Cc", "Cf", "M")


def check_task_data(
    task: Task,
    folder: Path,
    config: FinetuningConfig,
    tokenizer: Tokenizer | None = None,
    *,
    say: Callable[[str], None] = print,
) -> None:
    """Read every row of a task, dev and test files too, and refuse what could not be used.

    Says which files in which formats these are. Training rows that cannot be used pass where the
    settings leave them out; their number is not told. Test files may be missing.

    Args:
        task: The task.
        folder: Folder of its files.
        config: The settings of this task (`FinetuningConfig.for_task`).
        tokenizer: The vocabulary, where it exists already. Without it questions are taken to have
            a token for each word, the least there can be, and contexts to be aligned with their
            tokens, if there is anything to be seen in them.
        say: Called with a line about the files; prints it to standard output by default.

    Raises:
        InputError: A training or dev file is missing, a row is wrong or has another number of
            choices than the first of its split, more rows are left out than used, a question leaves
            no room for its context, or no context of a split can be aligned.
    """
    say(f"{task.name}: {describe_files(task, folder)}")
    leaves_out = config.leaves_out(task)
    for split in SPLITS:
        invalid_rows = InvalidRows.for_split(task, split, leaves_out=leaves_out)
        if task.kind == "token_classification":
            read_sentences(task, folder, split, invalid_rows=invalid_rows)
            continue
        if task.kind != "question_answering":
            read_examples(task, folder, split, invalid_rows=invalid_rows)
            continue
        questions = read_questions(task, folder, split, invalid_rows=invalid_rows)
        _refuse_long_questions(questions, config, tokenizer)
        if questions and not _has_usable_context(questions, tokenizer):
            raise unaligned_error(task, split, len(questions))


def _refuse_long_questions(
    questions: Sequence[Question], config: FinetuningConfig, tokenizer: Tokenizer | None
) -> None:
    """Refuse a data set with a question that leaves no room; arguments as for `check_task_data`.

    Without a vocabulary each word with a letter counts as a token. A question counts with at most
    `max_query_length` tokens.

    Raises:
        InputError: There is one; names the first.
    """
    texts = [question.question for question in questions]
    if tokenizer is None:
        lengths = [sum(map(_has_letter, text.split())) for text in texts]
    else:
        lengths = [len(tokens) for tokens in tokenizer.encode_batch(texts)]
    for question, length in zip(questions, lengths, strict=True):
        shown = min(length, config.questions.max_query_length)
        refuse_long_question(question, shown, config.sequence_length)


def _has_usable_context(questions: Sequence[Question], tokenizer: Tokenizer | None) -> bool:
    """Return whether any context can be aligned; without a vocabulary, whether one may be."""
    if tokenizer is not None:
        return has_aligned_context(questions, tokenizer)
    return any(map(_is_visible, dict.fromkeys(question.context for question in questions)))


def _is_visible(text: str) -> bool:
    return any(not unicodedata.category(character).startswith(_INVISIBLE) for character in text)


def _has_letter(word: str) -> bool:
    """Return whether a word has a letter or digit, which becomes a token of its own at least."""
    return any(map(str.isalnum, word))
