"""What dynamic resources that ask a vendor share: they read the configuration when they run.

A key in the state would be the old one after a rotation. Subclasses are pickled by reference to
their module, so a state outlives changes of the code.
"""

from pulumi.dynamic import ConfigureRequest, ResourceProvider

from .credentials import Config


class VendorProvider(ResourceProvider):
    """`config` gives what `credentials.py` looks for."""

    def __init__(self) -> None:
        super().__init__()
        self.config: Config = lambda _: None

    def configure(self, req: ConfigureRequest) -> None:
        self.config = req.config.get
