"""Runs of the pipeline on this machine."""
