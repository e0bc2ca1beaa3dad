"""Tests; `helpers` is what they share."""
