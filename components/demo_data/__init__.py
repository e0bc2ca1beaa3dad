"""The demo's data set: a corpus and three tasks from the documentation of installed packages."""
