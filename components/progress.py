"""What a dynamic provider's process says while it works."""

import sys


def say(text: str) -> None:
    """Pulumi shows, while an update runs, what its plugins write to standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
