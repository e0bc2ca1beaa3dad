"""Addresses of artifacts on the platforms."""

import pytest
from kfp import dsl

from components.artifacts import artifact_address


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("gs://bucket/run/model", "gs://bucket/run/model"),
        ("s3://bucket/run/model", "s3://bucket/run/model"),
        ("minio://bucket/run/model", "/minio/bucket/run/model"),
        ("/runs/mine/model", "/runs/mine/model"),
    ],
)
def test_artifacts_in_buckets_that_steps_reach_have_remote_addresses(uri, address):
    assert artifact_address(dsl.Model(uri=uri)) == address
