"""What is wrong with a project's files; the tree stands in components/errors.py."""

from collections.abc import Iterable

from components.errors import EdgefleetError


class SettingsError(EdgefleetError):
    """Mistakes in the project's files; the text is for the person who made them."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = list(mistakes)
        super().__init__("\n".join(self.mistakes))


class LockError(EdgefleetError):
    """The lock file of images isn't one; the text says why."""
