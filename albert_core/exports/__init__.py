"""Models in formats that other runtimes execute, each with a proof that it is the same model."""
