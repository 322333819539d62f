"""What an ingress can't do with the options that it was given."""

from ..errors import OptionsError


class IngressMistake(OptionsError):
    """Options that the controller would ignore or refuse; the text says which, and why."""
