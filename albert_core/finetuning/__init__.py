"""Fine-tuning and evaluation on tasks of sentences and pairs of sentences."""
