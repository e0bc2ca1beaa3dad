"""The card of a model and of its text: one Markdown file of what the steps noted."""
