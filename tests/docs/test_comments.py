"""The pictures of comments on pull requests show what is written today."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import loaded

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "pull-requests.md").read_text()


@pytest.fixture(scope="module")
def draw() -> ModuleType:
    return loaded(ROOT / "docs" / "comments" / "draw.py")


def test_pictures_are_of_todays_texts(draw: ModuleType):
    found = draw.digests(draw.texts())
    assert len(found) == 5
    assert json.loads(draw.DRAWN.read_text()) == found, "make docs (it needs Chromium)"


def test_every_picture_is_on_the_page(draw: ModuleType):
    pictures = {path.stem for path in draw.HERE.glob("*.png")}
    assert pictures == set(draw.CHANGES)
    assert all(f"](comments/{name}.png)" in PAGE for name in pictures)


def test_code_in_a_comment_is_shown_and_not_run(draw: ModuleType):
    page = draw.page("```diff\n+ <script>x</script>\n```\n")
    assert '<span class="added">+ &lt;script&gt;x&lt;/script&gt;</span>' in page
