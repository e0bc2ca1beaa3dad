"""LAMB and AdamW as the original defines them, Muon, and learning-rate schedules."""
