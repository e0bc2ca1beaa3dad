"""SQuAD as the original does it: sequences, answers, scores; recorded with its code."""

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from albert_core.finetuning.alignment import GapFilledMap
from albert_core.finetuning.answer_search import find_answers, find_answers_or_none
from albert_core.finetuning.answers import Answers
from albert_core.finetuning.batches import answer_mask, pad_inputs
from albert_core.finetuning.question_features import QuestionFeatures, make_question_features
from albert_core.tasks import TASKS, InvalidRows, Question, find_task, read_questions
from albert_core.tasks.source import Source
from albert_core.tasks.squad_file import read_squad
from albert_core.tasks.squad_metrics import (
    best_threshold,
    exact_match,
    normalize_answer,
    question_scores,
    word_f1,
)
from albert_core.tokenization import load_tokenizer
from tests.helpers.answer_coverage import answer_coverage, read_file
from tests.helpers.archives import read_member

RECORDINGS = {  # name: questions, longest sequence, stride, longest question
    "train_L64_s24_q12": ("train_v2", 64, 24, 12),
    "train_L384_s128_q64": ("train_v2", 384, 128, 64),
    "dev_L64_s24_q12": ("dev_v2", 64, 24, 12),
    "dev_L384_s128_q64": ("dev_v2", 384, 128, 64),
    "devv1_L64_s24_q12": ("dev_v1", 64, 24, 12),
}
N_BEST = {"n_best_size": 20, "max_answer_length": 30}


def recorded(goldens: Path, name: str) -> Any:
    return json.loads((goldens / "squad" / f"{name}.json").read_text(encoding="utf-8"))


def questions_and_features(goldens: Path, name: str) -> tuple[list[Question], QuestionFeatures]:
    file, sequence_length, stride, max_query_length = RECORDINGS[name]
    trains = file.startswith("train")
    path = goldens / "squad" / f"{file}.json"
    source = Source(file=path.name)
    questions = list(
        read_squad(TASKS["squad2"], source, path, trains=trains, invalid_rows=InvalidRows())
    )
    tokenizer = load_tokenizer(goldens / "tokenizer" / "2k-clean.model", lower_case=True)
    made = make_question_features(
        questions,
        tokenizer,
        sequence_length=sequence_length,
        doc_stride=stride,
        max_query_length=max_query_length,
        with_answers=trains,
    )
    return questions, made


@pytest.mark.parametrize("name", RECORDINGS)
def test_sequences_and_positions(name: str, goldens: Path) -> None:
    _, made = questions_and_features(goldens, name)
    expected = recorded(goldens, f"features_{name}")
    assert len(made.windows) == len(expected)
    inputs = pad_inputs(made.features, np.arange(len(expected)), RECORDINGS[name][1])
    inputs["p_mask"] = answer_mask(inputs)
    for row, (window, feature) in enumerate(zip(made.windows, expected, strict=True)):
        assert {key: array[row].tolist() for key, array in inputs.items()} == {
            key: feature[key] for key in inputs
        }
        shown = slice(window.start, window.start + window.length)
        assert window.text.starts[shown].tolist() == feature["tok_start_to_orig_index"]
        assert window.text.ends[shown].tolist() == feature["tok_end_to_orig_index"]
        max_context = dict(enumerate(window.is_max_context.tolist(), start=window.offset))
        assert {str(k): str(v) for k, v in max_context.items()} == {
            k: str(v) for k, v in feature["token_is_max_context"].items()
        }
        assert feature["example_index"] in (None, window.question)
        for target, values in made.features.targets.items():
            key = target.replace("positions", "position")
            assert values[row] == feature[key], (row, key)


def test_gaps_are_bridged(goldens: Path) -> None:
    cases = recorded(goldens, "convert_index_cases")
    index = np.array([-1 if value is None else value for value in cases["index"]])
    for position, limit, is_start, expected in cases["rows"]:
        bridged = GapFilledMap(index, limit)
        found = (bridged.starts if is_start else bridged.ends)(np.array([position]))
        assert found.tolist() == [expected], (position, limit, is_start)


def assert_same_candidates(answers: Answers, expected: dict[str, list[dict[str, Any]]]) -> None:
    n_best = answers.n_best()
    assert n_best.keys() == expected.keys()
    for key, candidates in expected.items():
        assert [own["text"] for own in n_best[key]] == [own["text"] for own in candidates]
        for ours, theirs in zip(n_best[key], candidates, strict=True):
            assert ours == pytest.approx(theirs, abs=1e-6)


def test_answers_to_questions_that_have_one(goldens: Path) -> None:
    questions, made = questions_and_features(goldens, "devv1_L64_s24_q12")
    logits = np.load(goldens / "squad" / "v1_logits.npz")
    answers = find_answers(questions, made.windows, logits, **N_BEST)
    assert_same_candidates(answers, recorded(goldens, "v1_nbest"))
    predictions = answers.best()
    assert predictions == recorded(goldens, "v1_predictions")
    expected = recorded(goldens, "v1_eval")
    for key, score in (("exact_match", exact_match), ("f1", word_f1)):
        scores = question_scores(score, questions, predictions, has_unanswerable=False)
        assert 100 * scores.mean() == pytest.approx(expected[key])


def test_answers_to_questions_that_may_have_none(goldens: Path) -> None:
    questions, made = questions_and_features(goldens, "dev_L64_s24_q12")
    outputs = np.load(goldens / "squad" / "v2_topk.npz")
    answers = find_answers_or_none(questions, made.windows, outputs, **N_BEST)
    assert_same_candidates(answers, recorded(goldens, "v2_nbest"))
    assert answers.null_odds == pytest.approx(recorded(goldens, "v2_null_odds"), abs=1e-6)
    best = answers.best()
    assert best == recorded(goldens, "v2_predictions_thr_None")

    is_answerable = np.array([not question.is_impossible for question in questions])
    null_odds = np.array([answers.null_odds[question.id] for question in questions])
    answered = np.array([bool(best[question.id]) for question in questions])
    f1 = question_scores(word_f1, questions, best, has_unanswerable=True)
    expected = recorded(goldens, "v2_eval")
    threshold = best_threshold(f1, null_odds, is_answerable, answered)
    assert threshold == pytest.approx(expected["null_score_diff_threshold"])
    predictions = answers.best(threshold)
    assert predictions == recorded(goldens, "v2_predictions")
    for key, score in (("exact", exact_match), ("f1", word_f1)):
        scores = question_scores(score, questions, predictions, has_unanswerable=True)
        # The original holds raw logits against a probability of 1 here.
        at_one = np.where(null_odds > 1.0, ~is_answerable, scores)
        assert 100 * at_one.mean() == pytest.approx(expected[key])


def test_scores_of_answers(goldens: Path) -> None:
    for case in recorded(goldens, "metric_cases"):
        prediction, answer = case["pred"], case["gold"]
        assert normalize_answer(prediction) == case["norm_pred"]
        assert exact_match(prediction, answer) == case["em_v1"] == case["em_v2"]
        assert word_f1(prediction, answer) == pytest.approx(case["f1_v1"])


@pytest.mark.parametrize(
    ("system", "task_name"),
    [
        ("v1.1_bert_ensemble", "squad1"),
        ("v1.1_rnet_plus_ensemble", "squad1"),
        ("v2.0_bert_single", "squad2"),
    ],
)
def test_published_systems_score_as_published(
    system: str, task_name: str, shared: Path, tmp_path: Path
) -> None:
    with tarfile.open(shared / "data" / "squad.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    task, folder = find_task(task_name, tmp_path)
    questions = read_questions(task, folder, "dev")
    read = lambda name: json.loads((folder / "predictions" / f"{name}.json").read_text("utf-8"))  # noqa: E731
    predictions, expected = read(system), read("expected_scores")["scores"][system]
    kinds = {"": slice(None)}
    if task.has_unanswerable:
        has_none = np.array([question.is_impossible for question in questions])
        kinds |= {"HasAns_": ~has_none, "NoAns_": has_none}
    for key, score in (("exact", exact_match), ("f1", word_f1)):
        scores = question_scores(
            score, questions, predictions, has_unanswerable=task.has_unanswerable
        )
        for prefix, chosen in kinds.items():
            assert 100 * scores[chosen].mean() == pytest.approx(expected[prefix + key], rel=1e-14)


@pytest.mark.parametrize(
    ("archive", "file", "vocabulary"),
    [
        ("squad", "squad/dev-v1.1.json", "spm/albert_v1v2/spiece.model"),
        ("squad", "squad/dev-v2.0.json", "spm/albert_v1v2/spiece.model"),
        ("squad", "squad/shifts/new_wiki_v1.0.json", "spm/albert_v1v2/spiece.model"),
        ("squad", "squad/shifts/amazon_reviews_v1.0.json", "spm/albert_v1v2/spiece.model"),
        ("squad", "squad/shifts/reddit_v1.0.json", "spm/albert_v1v2/spiece.model"),
        ("clue", "clue/drcd/DRCD_dev.json", "spm/zh_wordpiece/vocab.txt"),
        ("clue", "clue/cmrc2018/cmrc2018_dev.json", "spm/zh_wordpiece/vocab.txt"),
    ],
)
def test_answers_survive_tokenization(
    archive: str, file: str, vocabulary: str, shared: Path, tmp_path: Path
) -> None:
    """All but those that begin or end inside a piece: `Israel` in `Israeli`."""
    paths = [tmp_path / Path(name).name for name in (file, vocabulary)]
    for path, own, name in zip(paths, (archive, "spm"), (file, vocabulary), strict=True):
        path.write_bytes(read_member(shared, own, name))
    coverage = answer_coverage(read_file(paths[0]), load_tokenizer(paths[1], lower_case=True))
    assert coverage.num_kept / coverage.num_answers > 0.995
    assert coverage.causes.keys() <= {"ends inside a piece or word"}
