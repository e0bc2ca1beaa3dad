"""Describe a folder of records, made by this project or by the original."""

import dataclasses
from pathlib import Path

from albert_core.artifacts.manifest import find_manifest
from albert_core.errors import InputError
from albert_core.files.atomic import hash_json, sha256_of_file
from albert_core.records.config import (
    HELD_OUT_PREFIX,
    TRAIN_PREFIX,
    MaskingConfig,
    RecordFormat,
    RecordsConfig,
)
from albert_core.records.static import LABEL_FEATURE, PREDICTION_FEATURES, TOKEN_FEATURES
from albert_core.records.tfrecord import count_tfrecords, parse_example, read_tfrecords
from albert_core.settings import parse_settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordsDescription:
    """What must be known to read a folder of records.

    Attributes:
        format: Kind of the records.
        sequence_length: Length S of a sequence.
        max_predictions: Prediction slots P of static records; 0 where the reader decides.
        masking: How static records were masked, where that is known.
        train_files: The files to train on, sorted.
        held_out_files: The files to evaluate on; none in folders of the original.
        num_train_records: Records in an epoch.
        num_held_out_records: Records held out.
        vocabulary: Hash of the vocabulary, where it is known.
        content_hash: Hash of the files.
    """

    format: RecordFormat
    sequence_length: int
    max_predictions: int
    masking: MaskingConfig | None
    train_files: tuple[Path, ...]
    held_out_files: tuple[Path, ...]
    num_train_records: int
    num_held_out_records: int
    vocabulary: str | None
    content_hash: str


def describe_records(path: str | Path) -> RecordsDescription:
    """Describe what `albert records` wrote, or TFRecord files of the original.

    A folder with a manifest is described from that and the names of its files, which are not opened
    or checked; there may be none to train on. Others are static records of the original; all their
    files are read for the hash.

    Args:
        path: A local folder, or one TFRecord file of the original.

    Raises:
        InputError: There are no records, records without the eight features of the original, the
            output of another step, or a damaged file or manifest.
    """
    folder = Path(path)
    manifest = find_manifest(folder)
    if manifest is None:
        return _describe_original(folder)
    if manifest.step != "records":
        raise InputError(
            f"{path}: made by `albert {manifest.step}`, expected the output of `albert records`"
        )
    config = parse_settings(RecordsConfig, manifest.config["records"], source=f"{path}: records")
    is_static = config.format == "static"
    masking = config.static_masking if is_static else None
    return RecordsDescription(
        format=config.format,
        sequence_length=config.sequence_length,
        max_predictions=masking.max_predictions(config.sequence_length) if masking else 0,
        masking=masking,
        train_files=tuple(sorted(folder.glob(f"{TRAIN_PREFIX}-*.tfrecord"))),
        held_out_files=tuple(sorted(folder.glob(f"{HELD_OUT_PREFIX}-*.tfrecord"))),
        num_train_records=manifest.metrics["num_train_records"],
        num_held_out_records=manifest.metrics["num_held_out_records"],
        vocabulary=manifest.inputs["vocab"],
        content_hash=manifest.content_hash,
    )


def _describe_original(path: Path) -> RecordsDescription:
    """Describe static TFRecord files without a manifest, all of them as training data.

    Lengths are those of the first record of each file, taken for all. Counts records without
    reading them, but reads all bytes for the hash.

    Args:
        path: One file, or a folder, of which the files `*.tfrecord*` and `*.tf_record*` count.

    Raises:
        InputError: There is no such file, no record, a damaged file, the first record of a file
            lacks one of the eight features, or files differ in their lengths.
    """
    files: tuple[Path, ...] = (path,)
    if path.is_dir():
        files = tuple(sorted({*path.glob("*.tfrecord*"), *path.glob("*.tf_record*")}))
    if not files or not all(file.is_file() for file in files):
        raise InputError(
            f"records {path}: no records there; expected the output of `albert records`, or "
            "*.tfrecord files of the original's create_pretraining_data.py"
        )
    counts = [count_tfrecords(file) for file in files]
    if not sum(counts):
        raise InputError(f"records {path}: {len(files)} files without a record")
    filled = [file for file, count in zip(files, counts, strict=True) if count]
    lengths = [_first_lengths(file) for file in filled]
    for file, others in zip(filled, lengths, strict=True):
        if others != lengths[0]:
            raise InputError(
                f"{file}: sequences of {others[0]} tokens with {others[1]} predictions, expected "
                f"{lengths[0][0]} with {lengths[0][1]}, as in {filled[0]}; give each length a "
                "folder of its own"
            )
    sequence_length, max_predictions = lengths[0]
    return RecordsDescription(
        format="static",
        sequence_length=sequence_length,
        max_predictions=max_predictions,
        masking=None,
        train_files=files,
        held_out_files=(),
        num_train_records=sum(counts),
        num_held_out_records=0,
        vocabulary=None,
        content_hash=hash_json([sha256_of_file(file) for file in files]),
    )


def _first_lengths(file: Path) -> tuple[int, int]:
    """Return the sequence length and the prediction slots of a file's first record.

    Raises:
        InputError: The record lacks one of the eight features.
        StopIteration: The file has no record.
    """
    features = parse_example(next(read_tfrecords(file)))
    expected = {*TOKEN_FEATURES, *PREDICTION_FEATURES, LABEL_FEATURE}
    if missing := sorted(expected - features.keys()):
        raise InputError(
            f"{file}: its records lack {', '.join(missing)}; expected the eight features of the "
            "original's create_pretraining_data.py"
        )
    return len(features["input_ids"]), len(features["masked_lm_ids"])
