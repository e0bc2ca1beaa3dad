"""What components leave for Kubeflow's pages beside their results."""

import json

from kfp import dsl

from components.artifacts import artifact_address, log_classification


def test_a_classification_is_shown_as_matrix_and_curve_and_kept_as_a_file(tmp_path):
    metrics = dsl.ClassificationMetrics(uri=str(tmp_path / "metrics"))
    drawn = {
        "labels": ["no", "yes"],
        "confusion_matrix": [[3, 1], [0, 4]],
        "roc_curve": {"fpr": [0.0, 1.0], "tpr": [0.5, 1.0], "thresholds": [1.0, 0.2]},
    }
    log_classification(metrics, drawn)
    assert [row["row"] for row in metrics.metadata["confusionMatrix"]["rows"]] == [[3, 1], [0, 4]]
    assert metrics.metadata["confidenceMetrics"][1] == {
        "confidenceThreshold": 0.2,
        "recall": 1.0,
        "falsePositiveRate": 1.0,
    }
    assert json.loads((tmp_path / "metrics").read_text()) == drawn


def test_another_kind_of_task_leaves_a_file_all_the_same(tmp_path):
    """kfp's local cache takes an artifact without a file for a miss."""
    metrics = dsl.ClassificationMetrics(uri=str(tmp_path / "metrics"))
    log_classification(metrics, None)
    assert metrics.metadata == {}
    assert (tmp_path / "metrics").read_text() == "{}"


def test_artifacts_in_a_bucket_are_taken_there_and_not_below_a_mount():
    assert artifact_address(dsl.Model(uri="gs://bucket/run/model")) == "gs://bucket/run/model"
    assert artifact_address(dsl.Model(uri="/runs/model")) == "/runs/model"
    assert artifact_address(dsl.Model(uri="minio://bucket/model")) == "/minio/bucket/model"
