"""What pretraining and fine-tuning share: a resumable `fit`, its plan and its checkpoints."""
