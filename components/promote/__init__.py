"""Accept a model if it is better than the one before."""
