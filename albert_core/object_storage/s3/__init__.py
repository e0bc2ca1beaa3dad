"""S3, Amazon's or another server's."""
