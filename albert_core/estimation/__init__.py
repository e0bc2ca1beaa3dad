"""What a pretraining would need on an accelerator, asked of its compiler beforehand."""
