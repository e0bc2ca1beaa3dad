"""What TensorFlow needs to train ALBERT fast; no JAX is imported."""
