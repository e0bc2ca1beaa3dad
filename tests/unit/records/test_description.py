"""TFRecord files of the original: all of a folder are read, or one is refused by its name."""

from pathlib import Path

import numpy as np
import pytest

from albert_core.errors import InputError
from albert_core.records.description import describe_records
from albert_core.records.example_encoder import encode_examples
from albert_core.records.static import LABEL_FEATURE, PREDICTION_FEATURES, TOKEN_FEATURES
from albert_core.records.tfrecord import write_tfrecords


def write_static(path: Path, *, length: int = 8, num_predictions: int = 2, count: int = 3) -> None:
    """Write static records of zeros."""
    features = {
        **{name: np.zeros((count, length), np.int32) for name in TOKEN_FEATURES},
        **{name: np.zeros((count, num_predictions), np.int32) for name in PREDICTION_FEATURES},
        LABEL_FEATURE: np.zeros((count, 1), np.int32),
    }
    features["masked_lm_weights"] = features["masked_lm_weights"].astype(np.float32)
    write_tfrecords(path, encode_examples(features))


def test_files_of_both_usual_endings_are_read(tmp_path: Path) -> None:
    for name in ("a.tfrecord", "b.tf_record", "c.tf_record-00001-of-00002"):
        write_static(tmp_path / name)
    write_tfrecords(tmp_path / "empty.tfrecord", [])
    described = describe_records(tmp_path)
    assert len(described.train_files) == 4
    assert (described.num_train_records, described.sequence_length) == (9, 8)


@pytest.mark.parametrize("other", [{"length": 16}, {"num_predictions": 4}])
def test_a_file_of_other_lengths_is_refused_by_its_name(
    other: dict[str, int], tmp_path: Path
) -> None:
    write_static(tmp_path / "a.tfrecord")
    write_static(tmp_path / "b.tfrecord", **other)
    with pytest.raises(InputError, match=r"b\.tfrecord: sequences of .* as in .*a\.tfrecord"):
        describe_records(tmp_path)
