"""Namespaces need root and the distribution's programs."""

import pytest

from tests.twin.machine import require


@pytest.fixture(scope="session")
def machine() -> None:
    """This machine can have namespaces with real firewalls."""
    require()
