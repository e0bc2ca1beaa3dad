"""The step that says what became of a run, however it ended."""
