"""A page of the documentation, walked: its commands as they stand there, and what they print."""

import re
import subprocess
from fnmatch import fnmatchcase

from tests.fleet.fleet import Fleet
from tests.projects import ROOT


def blocks(page: str, heading: str) -> list[str]:
    """The blocks with commands of the section whose heading starts so."""
    text = (ROOT / "docs" / page).read_text()
    (section,) = (s for s in re.split(r"^## ", text, flags=re.M) if s.startswith(heading))
    return re.findall(r"^```console\n(.*?)^```$", section, re.M | re.S)


def walk(fleet: Fleet, block: str, **variables: str) -> str:
    """Run a block's commands; each must pass and print the lines under it. All of the output."""
    told = ""
    for command, *expected in (part.splitlines() for part in block.split("$ ")[1:]):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=fleet.project,
            env={
                **fleet.environment,
                "PATH": f"{ROOT / '.venv' / 'bin'}:{fleet.environment['PATH']}",
                "PULUMI_SKIP_CONFIRMATIONS": "true",
                **variables,
                "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com",
                "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.com",
            },
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        printed = done.stdout + done.stderr
        assert done.returncode == 0, f"{command}\n{printed}"
        lines = [line.rstrip() for line in printed.splitlines()]
        for line in expected:
            pattern = re.sub(r"([*?[])", r"[\1]", line.rstrip()).replace("…", "*")
            assert any(fnmatchcase(each, pattern) for each in lines), (
                f"{command}: {line}\n{printed}"
            )
        told += printed
    return told
