"""Batches of examples: the bytes that protobuf writes, and TensorFlow reads them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_core.records.compact import encode_compact, token_dtype
from albert_core.records.example_encoder import encode_examples
from albert_core.records.tfrecord import parse_example
from tests.helpers.segment_samples import Pair, make_segment_pairs

rows = st.integers(1, 5)
values = st.integers(0, 2**31 - 1)


def tensorflow_example(features):
    import tensorflow as tf

    kinds = {
        bytes: lambda value: tf.train.Feature(bytes_list=tf.train.BytesList(value=value)),
        float: lambda value: tf.train.Feature(float_list=tf.train.FloatList(value=value)),
        int: lambda value: tf.train.Feature(int64_list=tf.train.Int64List(value=value)),
    }
    own = {name: kinds[type(value[0])](value) for name, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=own))


@given(st.data(), rows, st.integers(1, 200))
def test_bytes_are_those_of_protobuf(data, num_rows, num_columns):
    pick = np.random.default_rng(data.draw(st.integers(0, 99)))
    largest = data.draw(st.sampled_from([1, 127, 128, 30_000, 2**31 - 1]))
    integers = pick.integers(0, largest + 1, (num_rows, num_columns)).astype(np.int32)
    floats = pick.random((num_rows, 3)).astype(np.float32)
    texts = [pick.bytes(size) for size in pick.integers(0, 300, num_rows)]
    encoded = encode_examples(
        {
            "b_integers": integers,
            "a_floats": floats,
            "c": (np.frombuffer(b"".join(texts), np.uint8), np.cumsum([len(t) for t in texts])),
        }
    )
    for row, record in enumerate(encoded):
        expected = tensorflow_example(
            {
                "a_floats": floats[row].tolist(),
                "b_integers": integers[row].tolist(),
                "c": [texts[row]],
            }
        )
        assert record == expected.SerializeToString(deterministic=True)


@pytest.mark.parametrize(("vocab_size", "itemsize"), [(2**16, 2), (2**16 + 1, 4)])
def test_pairs_are_stored_as_small_as_the_vocabulary_allows(vocab_size, itemsize):
    largest = vocab_size - 1
    pairs = make_segment_pairs([Pair([5, 6], [largest]), Pair([9], [7])])
    first, second = encode_compact(pairs, token_dtype(vocab_size))
    (stored,) = parse_example(first)["pieces"]
    assert len(stored) == 3 * itemsize
    assert np.frombuffer(stored, token_dtype(vocab_size)).tolist() == [5, 6, largest]
    assert parse_example(second)["first_length"] == [1]
    assert "sentence_order_label" not in parse_example(first)


def test_decided_orders_are_stored():
    pairs = make_segment_pairs([Pair([5], [6], 1), Pair([5], [7], 0)])
    labels = [
        parse_example(r)["sentence_order_label"] for r in encode_compact(pairs, np.dtype("<u2"))
    ]
    assert labels == [[1], [0]]
