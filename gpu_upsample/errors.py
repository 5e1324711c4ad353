"""The errors that are this package's own."""


class BackendUnavailableError(RuntimeError):
    """A backend was asked for that this machine cannot run; the message says what is missing."""
