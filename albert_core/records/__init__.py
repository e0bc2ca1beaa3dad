"""Pretraining records: segment pairs, their file format, masking, and the input pipeline."""
