"""Pretraining records."""
