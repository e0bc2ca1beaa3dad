"""LAMB and AdamW as the original defines them, and learning-rate schedules."""
