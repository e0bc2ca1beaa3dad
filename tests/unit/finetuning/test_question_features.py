"""Windows over the context of a question."""

import pytest

from albert_core.errors import InputError
from albert_core.finetuning.question_features import make_question_features
from albert_core.tasks import Question


def features(tokenizer, *, sequence_length, max_query_length=64):
    question = Question(
        id="1",
        question="what did the cat sit on " * 3,
        context="the cat sat on the mat",
        answers=(),
    )
    return make_question_features(
        [question],
        tokenizer,
        sequence_length=sequence_length,
        doc_stride=4,
        max_query_length=max_query_length,
        with_answers=False,
    )


def test_a_question_that_leaves_no_room_for_its_text_is_refused(tokenizer):
    length = len(tokenizer.encode("what did the cat sit on " * 3)) + 3
    with pytest.raises(
        InputError, match=r"max_query_length: a question of \d+ tokens leaves no room"
    ):
        features(tokenizer, sequence_length=length)
    assert features(tokenizer, sequence_length=length + 1).windows
    assert features(tokenizer, sequence_length=length, max_query_length=4).windows
