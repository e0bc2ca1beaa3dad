"""Vocabulary training."""
