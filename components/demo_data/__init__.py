"""The demo's data set: a corpus and two tasks from the documentation of installed packages."""
