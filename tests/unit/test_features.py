"""Fine-tuning input: what the model reads of an example, and batches that resume exactly."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_core.finetuning.features import (
    Batch,
    Features,
    batches_in_epoch,
    evaluation_batches,
    make_features,
    pad_batch,
    training_batches,
)
from albert_core.tasks import Example
from albert_core.tokenization import Tokenizer, WordPieceTokenizer

CLS_ID, SEP_ID = 2, 3  # of the vocabulary trained for the tests
LONG = "the old lighthouse and the slow train and the river"
SHORT = "two dogs"


def features_of_lengths(lengths: list[int]) -> list[Features]:
    """Return one example for each length; its target is its number."""
    return [Features([7] * length, length, number) for number, length in enumerate(lengths)]


def take(features: list[Features], batch_size: int, count: int, **settings: int) -> list[Batch]:
    batches = training_batches(features, batch_size, **{"seed": 1, **settings})
    return list(itertools.islice(batches.as_numpy_iterator(), count))


def examples_in(batches: list[Batch]) -> list[int]:
    return [int(target) for _, targets in batches for target in targets]


def test_single_text_lies_between_its_special_pieces(tokenizer: Tokenizer) -> None:
    (features,) = make_features([Example((SHORT,), 1.0)], tokenizer, 64)
    ids = [CLS_ID, *tokenizer.encode(SHORT), SEP_ID]
    assert features == Features(ids, second_start=len(ids), target=1.0)


def test_second_text_is_segment_one_and_ends_in_a_separator(
    tokenizer: Tokenizer,
) -> None:
    (features,) = make_features([Example((SHORT, LONG), None)], tokenizer, 200)
    first, second = tokenizer.encode(SHORT), tokenizer.encode(LONG)
    assert features.ids == [CLS_ID, *first, SEP_ID, *second, SEP_ID]
    assert features.ids[features.second_start :] == [*second, SEP_ID]
    assert features.target == 0.0


def test_special_pieces_may_lie_anywhere_in_the_vocabulary() -> None:
    pieces = ["two", "[SEP]", "dogs", "[MASK]", "[CLS]", "[UNK]", "[PAD]"]
    tokenizer = WordPieceTokenizer(pieces, lower_case=True)
    (features,) = make_features([Example(("Two dogs", "two cats"), 1.0)], tokenizer, 64)
    assert features == Features([4, 0, 2, 1, 0, 5, 1], second_start=4, target=1.0)


@pytest.mark.parametrize("length", [8, 12, 20, 40])
def test_single_text_loses_its_end(length: int, tokenizer: Tokenizer) -> None:
    (features,) = make_features([Example((LONG,), 1.0)], tokenizer, length)
    assert features.ids == [CLS_ID, *tokenizer.encode(LONG)[: length - 2], SEP_ID]


@pytest.mark.parametrize("texts", [(LONG, SHORT), (SHORT, LONG), (LONG, LONG)])
@pytest.mark.parametrize("length", [8, 9, 16, 24, 25])
def test_longer_text_loses_its_end(
    texts: tuple[str, str], length: int, tokenizer: Tokenizer
) -> None:
    """As in the original: piece by piece from the longer text, the second one on a tie."""
    first, second = (tokenizer.encode(text) for text in texts)
    while len(first) + len(second) > length - 3:
        (first if len(first) > len(second) else second).pop()
    (features,) = make_features([Example(texts, 1.0)], tokenizer, length)
    assert features.ids == [CLS_ID, *first, SEP_ID, *second, SEP_ID]
    assert features.second_start == len(first) + 2


@given(st.lists(st.tuples(st.integers(3, 40), st.integers(0, 40)), min_size=1, max_size=9))
def test_batch_is_padded_to_a_multiple_of_eight(shapes: list[tuple[int, int]]) -> None:
    features = [
        Features(list(range(10, 10 + length)), min(second, length), number)
        for number, (length, second) in enumerate(shapes)
    ]
    inputs, targets = pad_batch(features)
    width = inputs["input_ids"].shape[1]
    longest = max(length for length, _ in shapes)
    assert width % 8 == 0
    assert longest <= width < longest + 8
    for row, feature in enumerate(features):
        length = len(feature.ids)
        assert inputs["input_ids"][row].tolist() == feature.ids + [0] * (width - length)
        assert inputs["input_mask"][row].tolist() == [1] * length + [0] * (width - length)
        assert np.flatnonzero(inputs["segment_ids"][row]).tolist() == list(
            range(feature.second_start, length)
        )
    assert targets.tolist() == list(range(len(features)))


@pytest.mark.parametrize(("count", "batch_size"), [(60, 4), (300, 2), (7, 7), (12, 1)])
def test_every_example_comes_once_an_epoch(count: int, batch_size: int) -> None:
    features = features_of_lengths([5 + number % 30 for number in range(count)])
    steps = batches_in_epoch(count, batch_size)
    batches = take(features, batch_size, 2 * steps)
    first, second = examples_in(batches[:steps]), examples_in(batches[steps:])
    assert sorted(first) == sorted(second) == list(range(count))
    assert first != second or count <= batch_size


@pytest.mark.parametrize(("count", "batch_size"), [(61, 4), (300, 7), (9, 5), (3, 8)])
def test_incomplete_batch_is_left_out_and_none_comes_twice(count: int, batch_size: int) -> None:
    features = features_of_lengths([5 + number % 30 for number in range(count)])
    steps = batches_in_epoch(count, batch_size)
    examples = examples_in(take(features, batch_size, steps))
    assert len(examples) == len(set(examples)) == min(count, steps * batch_size)


def test_no_example_is_left_out_of_every_epoch() -> None:
    features = features_of_lengths([10, 20, 30, 40, 50])
    batches = take(features, 2, 2 * 20)  # twenty epochs, each without one example
    assert set(examples_in(batches)) == set(range(5))


@pytest.mark.parametrize("start_step", [1, 14, 15, 16, 40])
def test_batches_resume_where_they_stopped(start_step: int) -> None:
    features = features_of_lengths([5 + number % 30 for number in range(61)])  # 15 batches
    whole = take(features, 4, start_step + 20)[start_step:]
    resumed = take(features, 4, 20, start_step=start_step)
    for (inputs, targets), (inputs_again, targets_again) in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(targets, targets_again)
        for name, values in inputs.items():
            np.testing.assert_array_equal(values, inputs_again[name])


def test_order_follows_the_seed() -> None:
    features = features_of_lengths([5 + number % 30 for number in range(60)])
    orders = [examples_in(take(features, 4, 15, seed=seed)) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_batches_of_like_length_need_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(5, 100, 128).tolist()
    features = features_of_lengths(lengths)
    batches = take(features, 4, 32)
    in_file_order = [pad_batch(features[start : start + 4]) for start in range(0, 128, 4)]
    paddings = [
        np.mean([1 - inputs["input_mask"].mean() for inputs, _ in some])
        for some in (batches, in_file_order)
    ]
    assert paddings[0] < paddings[1] / 3


def test_evaluation_reads_all_examples_once_in_order() -> None:
    features = features_of_lengths([5 + number % 30 for number in range(61)])
    batches = evaluation_batches(features, 8)
    assert int(batches.cardinality()) == 8
    assert examples_in(list(batches.as_numpy_iterator())) == list(range(61))
