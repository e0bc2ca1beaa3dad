"""What JAX, and XLA below it, need to train ALBERT fast; no TensorFlow is imported."""
