"""Draws what five changes of this project look like as comments on a pull request.

`make docs` runs it: it changes copies of the stack files, asks `fleet render --diff` what that
means, and has Chromium draw the comment as GitHub shows it, beside this file. `drawn.json` says of
which texts the pictures are, so that a test can tell when they are old.
"""

import hashlib
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from markdown_it import MarkdownIt

from ops.render.cli import comparison
from ops.render.markdown import markdown
from ops.render.revisions import Fleet, render_folder

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DRAWN = HERE / "drawn.json"
WIDTH = 900
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")

Edit = Callable[[str], str]


def _replaced(old: str, new: str) -> Edit:
    def edit(text: str) -> str:
        if old not in text:
            raise SystemExit(f"draw.py: {old!r} isn't in the file any more: {text}")
        return text.replace(old, new, 1)

    return edit


def _with(lines: str) -> Edit:
    return lambda text: text.rstrip("\n") + "\n" + lines


CHANGES: dict[str, dict[str, Edit]] = {
    "upgrade": {"us": _replaced("version: v1.35.5+1", "version: v1.36.2+1")},
    "nodes": {"us": _replaced("nodes: 3", "nodes: 5"), "eu": _replaced("nodes: 3", "nodes: 5")},
    "drain": {"eu": _with("  edgefleet:drain: true\n")},
    "firewall": {
        "us": _with(
            "  edgefleet:firewall:\n"
            "    extraRules:\n"
            "      - {protocol: tcp, port: 5432, sources: [203.0.113.0/24], reason: reports}\n"
        )
    },
    "refused": {"apac": _replaced("plan: vc2-2c-4gb", "plan: vc2-4c-8gb")},
}
"""Edits by the picture's name and the stack's."""


def texts() -> dict[str, str]:
    """The comments' Markdown, by the picture's name."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        committed = {file.name: file.read_text() for file in ROOT.glob("Pulumi*.yaml")}
        _write(project, committed)
        before = Fleet(render_folder(project, []))
        found = {}
        for name, edits in CHANGES.items():
            edited = {
                file: edits[stack](text) if (stack := file.split(".")[1]) in edits else text
                for file, text in committed.items()
            }
            _write(project, edited)
            after = render_folder(project, [])
            found[name] = markdown(comparison(project, "main", before, after))
    return found


def _write(project: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (project / name).write_text(text)


def digests(found: dict[str, str]) -> dict[str, str]:
    """What `drawn.json` holds."""
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in found.items()}


def page(text: str) -> str:
    """A comment as HTML, folded parts open; lines of a difference in GitHub's colours."""
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    body = re.sub(
        r'<code class="language-diff">(.*?)</code>',
        lambda match: f"<code>{_coloured(match[1])}</code>",
        body,
        flags=re.DOTALL,
    )
    return _PAGE.format(body=body.replace("<details>", "<details open>"))


def _coloured(code: str) -> str:
    kinds = {"+": "added", "-": "removed", "@": "place", "!": "alert"}
    return "".join(
        f'<span class="{kinds.get(html.unescape(line)[:1], "plain")}">{line or " "}</span>'
        for line in code.splitlines()
    )


def _draw(browser: str, document: Path, picture: Path) -> None:
    common = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    common += ["--disable-background-networking", "--no-first-run", "--force-device-scale-factor=1"]
    measured = subprocess.run(
        [*common, f"--window-size={WIDTH},600", "--dump-dom", document.as_uri()],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    height = re.search(r"<title>(\d+)</title>", measured)
    if height is None:
        raise SystemExit(f"draw.py: {browser} didn't measure {document}")
    size = f"--window-size={WIDTH},{int(height[1])}"
    subprocess.run(
        [*common, size, f"--screenshot={picture}", document.as_uri()],
        check=True,
        capture_output=True,
    )


def main() -> None:
    """Draw all pictures anew."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        wanted = "Debian: chromium, fonts-noto-color-emoji"
        sys.exit(f"draw.py: none of {', '.join(BROWSERS)} is here ({wanted})")
    found = texts()
    with tempfile.TemporaryDirectory() as folder:
        for name, text in found.items():
            document = Path(folder) / f"{name}.html"
            document.write_text(page(text))
            _draw(browser, document, HERE / f"{name}.png")
    DRAWN.write_text(json.dumps(digests(found), indent=1) + "\n")


_PAGE = """<!doctype html><meta charset="utf-8"><title></title>
<style>
body {{ margin: 0; padding: 16px; background: #ffffff; color: #1f2328;
  font: 14px/1.5 -apple-system, "Segoe UI", "Liberation Sans", Helvetica, Arial, sans-serif; }}
.comment {{ border: 1px solid #d1d9e0; border-radius: 6px; }}
.by {{ background: #f6f8fa; border-bottom: 1px solid #d1d9e0; padding: 8px 16px; color: #59636e;
  border-radius: 6px 6px 0 0; }}
.text {{ padding: 16px; overflow-wrap: anywhere; }}
h3 {{ margin: 0 0 12px; font-size: 18px; }} h4 {{ margin: 16px 0 8px; }}
pre {{ background: #f6f8fa; border-radius: 6px; padding: 12px; white-space: pre-wrap; }}
code {{ font: 12px/1.45 "DejaVu Sans Mono", "Liberation Mono", monospace; background: #818b981f;
  border-radius: 4px; padding: 1px 4px; }}
pre code {{ background: none; padding: 0; }}
pre span {{ display: block; }}
.added {{ background: #dafbe1; color: #116329; }}
.removed {{ background: #ffebe9; color: #82071e; }}
.place {{ color: #6639ba; font-weight: 600; }} .alert {{ background: #fff8c5; color: #953800; }}
blockquote {{ margin: 0 0 12px; padding: 0 12px; border-left: 4px solid #d1d9e0; color: #59636e; }}
table {{ border-collapse: collapse; }} td, th {{ border: 1px solid #d1d9e0; padding: 4px 10px; }}
</style>
<div class="comment"><div class="by"><b>github-actions</b> commented</div>
<div class="text">{body}</div></div>
<script>document.title = Math.ceil(document.body.getBoundingClientRect().height)</script>
"""

if __name__ == "__main__":
    main()
