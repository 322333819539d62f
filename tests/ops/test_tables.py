"""Tables for narrow terminals, and for what is no terminal."""

import os
import pty
import subprocess
import sys
import termios

import pytest

from ops.tables import table
from tests.projects import ROOT

ROWS = [
    ("STACK", "POOLS", "IMAGE", "DRAINED"),
    ("us", "3×vc2-2c-4gb (2–6), 1×vc2-4c-8gb", "nginx-ingress:5.6.1", "yes"),
]


def test_what_is_no_terminal_gets_all_of_it():
    assert table(ROWS, None, ("IMAGE",)) == table(ROWS, 200, ("IMAGE",)) == table(ROWS)
    assert "3×vc2-2c-4gb (2–6), 1×vc2-4c-8gb  nginx-ingress:5.6.1  yes" in table(ROWS)


def test_a_list_goes_over_several_lines_before_anything_is_left_out():
    assert table(ROWS, 60, ("IMAGE",)).splitlines() == [
        "STACK  POOLS                IMAGE                DRAINED",
        "us     3×vc2-2c-4gb (2–6),  nginx-ingress:5.6.1  yes",
        "       1×vc2-4c-8gb",
    ]


def test_what_is_left_out_is_named():
    assert table(ROWS, 40, ("IMAGE",)).splitlines() == [
        "STACK  POOLS                DRAINED",
        "us     3×vc2-2c-4gb (2–6),  yes",
        "       1×vc2-4c-8gb",
        "",
        "Not shown, for want of room: IMAGE.",
    ]


@pytest.mark.parametrize("columns", [60, 200])
def test_the_list_on_a_terminal(columns: int):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    program = "from ops.cli import main; main()"
    # Both are what a shell may say of another terminal.
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-c", program, "list"]
    subprocess.run(command, cwd=ROOT, env=environment, stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    lines = os.read(ours, 8192).decode().splitlines()
    os.close(ours)
    assert max(map(len, lines)) <= columns
    assert any("DRAINED" in line for line in lines)
    assert ("Not shown, for want of room: DATAPLANE, IMAGE." in lines) == (columns == 60)
