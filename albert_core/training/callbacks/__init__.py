"""Keras callbacks of a resumable training; `train` lists them in the order they must run in."""
