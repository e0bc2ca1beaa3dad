"""The step `export`: models in formats that other programs read, with proofs and cards."""
