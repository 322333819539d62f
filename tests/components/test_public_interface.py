"""`components` names what others may use, and loads no more than what is asked for."""

import subprocess
import sys

import components


def test_every_name_is_there():
    assert set(components.__all__) == set(components._HOMES)
    for name in components.__all__:
        assert getattr(components, name).__name__ == name


def test_a_dynamic_providers_process_loads_no_provider():
    program = (
        "import sys, components.server_side.patch\n"
        "print({'pulumi_kubernetes', 'pulumi_cloudflare', 'ediri_vultr'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
