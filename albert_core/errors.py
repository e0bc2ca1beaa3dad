"""The one exception type that means: the user's input is wrong, not the program."""


class InputError(ValueError):
    """Bad input: a setting, a file or a folder that cannot be used as given.

    The message is one line that names the thing, what was got, what was expected and the remedy.
    Commands print it without a traceback and exit with status 2.
    """
