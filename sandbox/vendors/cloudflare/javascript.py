"""Whether a module is JavaScript: Cloudflare runs an upload once, and refuses what throws.

Node has the same engine as the Workers runtime, so that its words are the same, and only parses
here: what throws when it runs, or imports a module that isn't there, is accepted. On a machine
without Node everything is.
"""

import re
import shutil
import subprocess

_TIMEOUT_SECONDS = 30


def syntax_error(name: str, source: bytes, module: bool) -> str | None:
    """V8's message and place, or None; ``module`` tells ES modules from scripts."""
    node = shutil.which("node")
    if node is None:
        return None
    kind = "module" if module else "commonjs"
    done = subprocess.run(
        [node, "--check", f"--input-type={kind}", "-"],
        input=source,
        capture_output=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    said = done.stderr.decode(errors="replace")
    error = re.search(r"^(SyntaxError: .*)$", said, re.MULTILINE)
    if done.returncode == 0 or error is None:
        return None
    place = re.search(r"^\[stdin\]:(\d+)$", said, re.MULTILINE)
    return f"Uncaught {error[1]}\n  at {name}{':' + place[1] if place else ''}\n"
