"""Buckets: the interface of object storage, its settings and errors, Google's and S3's."""
