"""Sets of questions of which nothing is left, and answers that their batch has no part in."""

import dataclasses
import json

import numpy as np
import pytest

from albert_core.errors import InputError
from albert_core.finetuning.answer_search import search_answers
from albert_core.finetuning.batches import training_batches
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.evaluators import evaluate_outputs
from albert_core.finetuning.features import Features
from albert_core.finetuning.question_features import QuestionFeatures, make_question_features
from albert_core.finetuning.task_preprocessor import TaskData, make_preprocessor
from albert_core.tasks import TASKS, Answer, Question
from albert_core.tasks.squad_metrics import answer_threshold, best_threshold
from albert_core.tokenization import Tokenizer

QUESTION = Question(id="1", question="what sat", context="the cat sat on the mat")
INVISIBLE = "\u200b\u200c\u200d\u2060" * 8


@pytest.mark.parametrize("name", ["squad1", "squad2"])
@pytest.mark.parametrize("split", ["train", "dev"])
@pytest.mark.parametrize("has_cache", [False, True])
def test_a_set_whose_contexts_match_no_tokens_is_refused(
    name, split, has_cache, tokenizer, tmp_path
):
    answers = [{"text": INVISIBLE[:2], "answer_start": 0}]
    question = {"id": "q", "question": "what sat", "answers": answers}
    text = json.dumps({"data": [{"paragraphs": [{"context": INVISIBLE, "qas": [question]}]}]})
    task = TASKS[name]
    for written in ("train", "dev"):
        (tmp_path / task.sources(written)[0].file).write_text(text)
    cache = tmp_path / "cache" if has_cache else None
    preprocessor = make_preprocessor(task, FinetuningConfig(), tokenizer, cache)
    with pytest.raises(InputError, match=rf"{name}: got 1 questions in the {split} set, and no co"):
        preprocessor.read(tmp_path, split)


def test_batches_of_nothing_are_refused_at_once():
    with pytest.raises(ValueError, match="got no examples"):
        training_batches(np.zeros(0, np.int64), lambda examples: examples, 4, seed=0)


def features_of_question(tokenizer: Tokenizer) -> QuestionFeatures:
    return make_question_features(
        [QUESTION],
        tokenizer,
        sequence_length=64,
        doc_stride=32,
        max_query_length=16,
        with_answers=False,
    )


@pytest.mark.parametrize("padding", [0, 3, 60])
def test_an_answer_does_not_depend_on_the_padding_of_its_batch(padding, tokenizer):
    made = features_of_question(tokenizer)
    length = int(made.features.lengths[0])
    assert made.windows[0].num_tokens == length
    logits = np.linspace(0, 1, length)
    # Padding with the highest logits would take all places among the best starts and ends.
    row = np.concatenate([logits, np.full(padding, 9.0)])
    config = dataclasses.replace(FinetuningConfig().questions, n_best_size=4)
    answers = search_answers(
        [QUESTION],
        made.windows,
        {"start_logits": [row], "end_logits": [row]},
        config,
        has_unanswerable=False,
    )
    expected = search_answers(
        [QUESTION],
        made.windows,
        {"start_logits": [logits], "end_logits": [logits]},
        config,
        has_unanswerable=False,
    )
    assert answers == expected
    assert answers.best()["1"]


def no_span_allowed(tokenizer, has_unanswerable):
    """Return windows over a context, and outputs whose best start is behind the best end."""
    made = features_of_question(tokenizer)
    logits = np.linspace(0, 1, int(made.features.lengths[0]))
    last, first = np.array([len(logits) - 2]), np.array([made.windows[0].offset])
    if not has_unanswerable:
        return made.windows, {"start_logits": [logits], "end_logits": [-logits]}
    return made.windows, {
        "start_top_index": [last],
        "start_top_log_probs": [np.zeros(1)],
        "end_top_index": [first],
        "end_top_log_probs": [np.zeros(1)],
        "cls_logits": [np.array(-3.0)],
    }


@pytest.mark.parametrize("has_unanswerable", [False, True])
@pytest.mark.parametrize("has_windows", [False, True])
def test_where_no_span_is_allowed_there_is_no_answer(has_unanswerable, has_windows, tokenizer):
    windows, outputs = no_span_allowed(tokenizer, has_unanswerable)
    answers = search_answers(
        [QUESTION],
        windows if has_windows else [],
        outputs if has_windows else {},
        dataclasses.replace(FinetuningConfig().questions, n_best_size=1),
        has_unanswerable=has_unanswerable,
    )
    assert answers.candidates == {"1": []}
    assert answers.best() == {"1": ""}
    (entry,) = answers.n_best()["1"]
    assert (entry["text"], entry["probability"]) == ("", 0.0)
    null_odds = {"1": -3.0 if has_windows else 1e6}
    assert answers.null_odds == (null_odds if has_unanswerable else {})


@pytest.mark.parametrize("cls_logits", [[1.5], [1.5, -1.0]])
def test_a_head_for_spans_weighs_no_answer_against_the_best_one(cls_logits, tokenizer):
    """As in BERT's run_squad.py: [CLS] as start and end, its lowest over all windows."""
    made = features_of_question(tokenizer)
    windows = [made.windows[0]] * len(cls_logits)
    rows = [np.full(windows[0].num_tokens, -5.0) for _ in windows]
    for row, logit in zip(rows, cls_logits, strict=True):
        row[0] = logit
    rows[0][windows[0].offset] = 1.0
    answers = search_answers(
        [QUESTION],
        windows,
        {"start_logits": rows, "end_logits": rows},
        FinetuningConfig().questions,
        has_unanswerable=True,
    )
    assert answers.null_odds == {"1": 2 * min(cls_logits) - 2.0}
    best = answers.candidates["1"][0].text
    assert answers.best(0.0) == {"1": best if min(cls_logits) < 1.0 else ""}


@pytest.mark.parametrize("name", ["squad1", "squad2"])
def test_a_set_without_windows_is_evaluated(name, tokenizer, tmp_path):
    question = dataclasses.replace(QUESTION, answers=(Answer(text="cat", start=4),))
    preprocessor = make_preprocessor(TASKS[name], FinetuningConfig(), tokenizer)
    data = TaskData(examples=[question], features=Features.from_sequences([], [], {}))
    evaluator = evaluate_outputs(preprocessor, data, {})
    assert evaluator.metrics()["f1"] == 0.0
    evaluator.write(tmp_path, "dev")
    assert json.loads((tmp_path / "predictions_dev.json").read_text()) == {"1": ""}


@pytest.mark.parametrize("shift", [-5.0, 0.0, 5.0])
def test_a_threshold_that_cannot_help_leaves_all_unanswered(shift):
    """As a threshold of 0 does on the probabilities of the official script."""
    null_odds = np.array([0.1, -0.2, 0.3]) + shift
    is_answerable = np.array([False, True, False])
    threshold = answer_threshold(np.zeros(3), null_odds, is_answerable, np.ones(3, bool))
    assert (null_odds >= threshold).all()  # from the threshold on no answer is given


def test_a_threshold_that_helps_answers_the_question_it_is_from():
    null_odds = np.array([0.1, -0.2, 0.3])
    arguments = (np.ones(3), null_odds, np.array([True, True, False]), np.ones(3, bool))
    assert (null_odds >= answer_threshold(*arguments)).tolist() == [False, False, True]
    assert best_threshold(*arguments) == 0.1
