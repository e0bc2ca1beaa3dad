"""Resolve the settings of a dated run."""
