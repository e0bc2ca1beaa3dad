"""Fine-tuning input: what the model reads of an example, and batches that resume exactly."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_core.errors import InputError
from albert_core.finetuning.batches import (
    answer_mask,
    batches_in_epoch,
    epoch_batches,
    pad_inputs,
    padded_length,
    training_batches,
)
from albert_core.finetuning.cache import cached_features
from albert_core.finetuning.features import Features, make_features
from albert_core.finetuning.prediction import length_sorted_batches
from albert_core.finetuning.truncation import count_truncated, describe_truncation
from albert_core.tasks import Example
from albert_core.tokenization import Tokenizer, WordPieceTokenizer

CLS_ID, SEP_ID = 2, 3  # of the vocabulary trained for the tests
LONG = "the old lighthouse and the slow train and the river"
SHORT = "two dogs"
BLANK = "the slow river and the train"


def example_of(*texts: str, target: float | None = 1.0) -> Example:
    return Example(id="0", texts=texts, target=target)


def sequences(features: Features) -> list[list[int]]:
    return [ids.tolist() for ids in np.split(features.ids, features.begins[1:-1])]


def lengths_of(count: int) -> np.ndarray:
    return np.array([5 + number % 30 for number in range(count)])


def take(lengths: np.ndarray, batch_size: int, count: int, **settings: int) -> list[list[int]]:
    """Return the numbers of the examples of the first batches."""
    values = {"seed": 1, **settings}
    batches = training_batches(lengths, lambda examples: examples, batch_size, **values)
    return [np.asarray(batch).tolist() for batch in itertools.islice(iter(batches), count)]


def test_single_text_lies_between_its_special_pieces(tokenizer: Tokenizer) -> None:
    features = make_features([example_of(SHORT)], tokenizer, 64)
    ids = [CLS_ID, *tokenizer.encode(SHORT), SEP_ID]
    assert sequences(features) == [ids]
    assert features.second_starts.tolist() == [len(ids)]
    assert features.targets["target"].tolist() == [1.0]


@pytest.mark.parametrize("are_apart", [False, True])
def test_examples_that_lose_tokens_are_counted_with_the_length_that_most_would_need(
    tokenizer: Tokenizer, are_apart: bool
) -> None:
    examples = [example_of(SHORT, SHORT)] * 2 + [example_of(SHORT, LONG)]
    whole = make_features(examples, tokenizer, 512, are_apart=are_apart)
    assert not whole.are_truncated.any()
    assert count_truncated(whole) == {}
    assert describe_truncation(whole, "dev") == ""
    longest = int(whole.lengths.max())
    cut = make_features(examples, tokenizer, longest - 1, are_apart=are_apart)
    assert cut.are_truncated.tolist() == [False, False, True]
    assert count_truncated(cut) == {
        "num_truncated": 1,
        "sequence_length_for_95_percent": longest,
    }
    assert describe_truncation(cut, "dev").startswith("1 of 3 dev examples (33%) lose tokens")


def test_a_choice_above_its_own_limit_loses_tokens(tokenizer: Tokenizer) -> None:
    examples = [example_of(SHORT, SHORT, LONG), example_of(SHORT, SHORT, SHORT)]
    features = make_features(examples, tokenizer, 512, max_choice_length=8)
    assert features.are_truncated.tolist() == [True, False]


def test_second_text_is_segment_one_and_ends_in_a_separator(tokenizer: Tokenizer) -> None:
    features = make_features([example_of(SHORT, LONG, target=None)], tokenizer, 200)
    first, second = tokenizer.encode(SHORT), tokenizer.encode(LONG)
    assert sequences(features) == [[CLS_ID, *first, SEP_ID, *second, SEP_ID]]
    assert features.ids[features.second_starts[0] :].tolist() == [*second, SEP_ID]
    assert not features.targets


def test_special_pieces_may_lie_anywhere_in_the_vocabulary() -> None:
    pieces = ["two", "[SEP]", "dogs", "[MASK]", "[CLS]", "[UNK]", "[PAD]"]
    tokenizer = WordPieceTokenizer(pieces, lower_case=True)
    features = make_features([example_of("Two dogs", "two cats")], tokenizer, 64)
    assert sequences(features) == [[4, 0, 2, 1, 0, 5, 1]]
    assert features.second_starts.tolist() == [4]


@pytest.mark.parametrize("length", [8, 12, 20, 40])
def test_single_text_loses_its_end(length: int, tokenizer: Tokenizer) -> None:
    features = make_features([example_of(LONG)], tokenizer, length)
    assert sequences(features) == [[CLS_ID, *tokenizer.encode(LONG)[: length - 2], SEP_ID]]


@pytest.mark.parametrize("texts", [(LONG, SHORT), (SHORT, LONG), (LONG, LONG)])
@pytest.mark.parametrize("length", [8, 9, 16, 24, 25])
def test_longer_text_loses_its_end(
    texts: tuple[str, str], length: int, tokenizer: Tokenizer
) -> None:
    """As in the original: piece by piece from the longer text, the second one on a tie."""
    first, second = (tokenizer.encode(text) for text in texts)
    while len(first) + len(second) > length - 3:
        (first if len(first) > len(second) else second).pop()
    features = make_features([example_of(*texts)], tokenizer, length)
    assert sequences(features) == [[CLS_ID, *first, SEP_ID, *second, SEP_ID]]
    assert features.second_starts.tolist() == [len(first) + 2]


def test_texts_apart_are_two_sequences_and_each_loses_its_own_end(tokenizer: Tokenizer) -> None:
    examples = [example_of(LONG, SHORT), example_of(SHORT, "")]
    features = make_features(examples, tokenizer, 12, are_apart=True)
    texts = [tokenizer.encode(text)[:10] for text in (LONG, SHORT, SHORT, "")]
    assert sequences(features) == [[CLS_ID, *ids, SEP_ID] for ids in texts]
    assert (len(features), features.group_size) == (2, 2)
    assert features.targets["target"].shape == (2,)
    inputs = pad_inputs(features, np.array([1, 0]), 16)
    assert inputs["input_ids"].shape == (2, 2, 16)
    assert inputs["input_mask"].sum(axis=-1).tolist() == [
        [len(texts[2]) + 2, 2],
        [12, len(texts[1]) + 2],
    ]
    assert not inputs["segment_ids"].any()
    # A second text that is left out, as `albert predict` has it, is empty.
    alone = make_features([example_of(SHORT)], tokenizer, 12, are_apart=True)
    assert sequences(alone) == sequences(features)[2:]


@pytest.mark.parametrize(("length", "longest_choice"), [(24, 10), (24, 200), (64, 5)])
def test_choice_keeps_its_end_and_the_text_loses_its_own(
    length: int, longest_choice: int, tokenizer: Tokenizer
) -> None:
    """As in the original's race_utils.py; a choice leaves room for a piece of the text, too."""
    example = example_of(LONG, SHORT, BLANK, target=1.0)
    features = make_features([example], tokenizer, length, max_choice_length=longest_choice)
    expected = []
    for choice in (SHORT, BLANK):
        kept = tokenizer.encode(choice)[-min(longest_choice, length - 4) :]
        text = tokenizer.encode(LONG)[: length - 3 - len(kept)]
        expected.append([CLS_ID, *text, SEP_ID, *kept, SEP_ID])
    assert sequences(features) == expected
    assert (len(features), features.group_size) == (1, 2)
    inputs = pad_inputs(features, np.array([0]), length)
    assert inputs["input_ids"].shape == (1, 2, length)
    assert inputs["input_ids"][0, 1, : len(expected[1])].tolist() == expected[1]


def test_every_example_has_as_many_choices(tokenizer: Tokenizer) -> None:
    examples = [example_of(LONG, SHORT, BLANK), example_of(LONG, SHORT)]
    with pytest.raises(InputError, match="got 1 choices, expected 2 as in the first"):
        make_features(examples, tokenizer, 24)


@given(st.lists(st.tuples(st.integers(3, 40), st.integers(0, 40)), min_size=1, max_size=9))
def test_batch_is_padded(shapes: list[tuple[int, int]]) -> None:
    ids = [list(range(10, 10 + length)) for length, _ in shapes]
    starts = [min(second, length) for length, second in shapes]
    features = Features.from_sequences(ids, starts, {})
    rows = np.arange(len(shapes))[::-1]
    width = padded_length(features, rows, 1000)
    inputs = pad_inputs(features, rows, width)
    longest = max(length for length, _ in shapes)
    assert longest <= width
    for own, row in enumerate(rows):
        length = len(ids[row])
        assert inputs["input_ids"][own].tolist() == ids[row] + [0] * (width - length)
        assert inputs["input_mask"][own].tolist() == [1] * length + [0] * (width - length)
        assert np.flatnonzero(inputs["segment_ids"][own]).tolist() == list(
            range(starts[row], length)
        )


def test_batch_is_a_round_number_long_but_no_longer_than_allowed() -> None:
    features = Features.from_sequences([[1] * 13, [1] * 4], [13, 4], {})
    assert padded_length(features, np.array([0, 1]), 128) in (16, 64)
    assert padded_length(features, np.array([0]), 15) == 15


def test_answers_start_and_end_in_the_context_or_at_the_beginning() -> None:
    features = Features.from_sequences([[2, 7, 3, 8, 9, 3]], [3], {})
    mask = answer_mask(pad_inputs(features, np.array([0]), 8))
    assert mask.tolist() == [[0, 1, 1, 0, 0, 1, 1, 1]]


@pytest.mark.parametrize(("count", "batch_size"), [(60, 4), (300, 2), (7, 7), (12, 1)])
def test_every_example_comes_once_an_epoch(count: int, batch_size: int) -> None:
    steps = batches_in_epoch(count, batch_size)
    batches = take(lengths_of(count), batch_size, 2 * steps)
    first, second = (list(itertools.chain(*own)) for own in (batches[:steps], batches[steps:]))
    assert sorted(first) == sorted(second) == list(range(count))
    assert first != second or count <= batch_size


@pytest.mark.parametrize(("count", "batch_size"), [(61, 4), (300, 7), (9, 5), (3, 8)])
def test_incomplete_batch_is_left_out_and_none_comes_twice(count: int, batch_size: int) -> None:
    steps = batches_in_epoch(count, batch_size)
    examples = list(itertools.chain(*take(lengths_of(count), batch_size, steps)))
    assert len(examples) == len(set(examples)) == min(count, steps * batch_size)


def test_no_example_is_left_out_of_every_epoch() -> None:
    batches = take(np.array([10, 20, 30, 40, 50]), 2, 2 * 20)  # twenty epochs, each without one
    assert set(itertools.chain(*batches)) == set(range(5))


@pytest.mark.parametrize("start_step", [1, 14, 15, 16, 40])
def test_batches_resume_where_they_stopped(start_step: int) -> None:
    lengths = lengths_of(61)  # 15 batches
    whole = take(lengths, 4, start_step + 20)[start_step:]
    assert take(lengths, 4, 20, start_step=start_step) == whole


def test_order_follows_the_seed() -> None:
    orders = [take(lengths_of(60), 4, 15, seed=seed) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_batches_of_like_length_need_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(5, 100, 128)
    in_file_order = np.arange(128).reshape(-1, 4)
    paddings = [
        sum(lengths[batch].max() * len(batch) for batch in batches) - lengths.sum()
        for batches in (epoch_batches(lengths, 4, seed=1, epoch=0), in_file_order)
    ]
    assert paddings[0] < paddings[1] / 3


def test_evaluation_reads_all_examples_once() -> None:
    batches = length_sorted_batches(lengths_of(61), 8)
    assert sorted(itertools.chain(*batches)) == list(range(61))
    assert len(batches) == 8


def test_a_batch_is_cut_where_padding_would_cost_more() -> None:
    lengths = np.array([100, 5, 98, 6, 5, 99])
    parts = length_sorted_batches(lengths, 6, batch_cost_tokens=32)
    assert [part.tolist() for part in parts] == [[1, 4, 3], [2, 5, 0]]
    (whole,) = length_sorted_batches(lengths, 6, batch_cost_tokens=1000)
    assert sorted(whole) == list(range(6))


def test_features_are_kept_and_made_once(tokenizer: Tokenizer, tmp_path: Path) -> None:
    made = []

    def make() -> Features:
        made.append(1)
        return make_features([example_of(LONG, SHORT), example_of(SHORT, LONG)], tokenizer, 40)

    first, second = (cached_features(tmp_path / "cache" / "key", make, key="key") for _ in range(2))
    assert len(made) == 1
    assert sequences(first) == sequences(second) == sequences(make())
    assert second.targets["target"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", ["ids.npy", "target-target.npy", "features.json"])
@pytest.mark.parametrize("how", ["changed", "cut", "lost", "swapped"])
def test_damaged_features_are_named_and_made_again(
    name: str, how: str, tokenizer: Tokenizer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def make(*texts: str) -> Features:
        return make_features([example_of(*texts), example_of(SHORT, LONG)], tokenizer, 40)

    first = cached_features(tmp_path / "key", lambda: make(LONG, SHORT), key="key")
    expected = (sequences(first), first.targets["target"].tolist())
    cached_features(tmp_path / "other", lambda: make(SHORT, SHORT), key="other")
    path = tmp_path / "key" / name
    if how == "swapped":
        shutil.rmtree(tmp_path / "key")
        shutil.copytree(tmp_path / "other", tmp_path / "key")
    elif how == "changed" and path.suffix == ".npy":
        array = np.load(path).copy()
        array[0] += 1
        np.save(path, array)
    else:
        data = path.read_bytes()
        path.unlink()
        if how != "lost":
            path.write_bytes(data[:-9] if how == "cut" else data.replace(b"0", b"1", 1))
    again = cached_features(tmp_path / "key", lambda: make(LONG, SHORT), key="key")
    assert (sequences(again), again.targets["target"].tolist()) == expected
    assert f"{tmp_path / 'key'}: damaged (" in capsys.readouterr().err
    cached_features(tmp_path / "key", lambda: pytest.fail("made again"), key="key")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "other"]
