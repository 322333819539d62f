"""An image that goes back is told from one that goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.state.resource_types import DAEMON_SET
from ops.render.meaning.images import Image, goes_back, images_moved, parse
from tests.ops.render.meaning.made import rendering, resource

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
NAME = "nginx/nginx-ingress"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (f"{NAME}:5.6.1", Image(NAME, "5.6.1", "")),
        (f"docker.io/{NAME}:5.6.1@{A}", Image(NAME, "5.6.1", A)),
        ("docker.io/library/busybox:1.37.0", Image("busybox", "1.37.0", "")),
        ("registry:5000/calico/node", Image("registry:5000/calico/node", "latest", "")),
        (f"registry:5000/calico/node@{A}", Image("registry:5000/calico/node", "latest", A)),
    ],
)
def test_references(reference: str, expected: Image):
    assert parse(reference) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("5.6.1", "5.6.0", True),
        ("5.6.1", "5.6", True),
        ("v3.30.2", "v3.29.10", True),
        ("3.10", "3.9", True),
        ("3.9", "3.10", False),
        ("5.6.1", "5.6.1-rc.1", True),
        ("5.6.1-rc.1", "5.6.1", False),
        ("5.6.1-rc2", "5.6.1-beta3", True),
        ("5.6.1-alpine", "5.6.0-alpine", True),
        # Two variants, or no versions: who knows.
        ("5.6.1", "5.6.0-alpine", False),
        ("latest", "5.6.0", False),
        ("edge", "nightly", False),
    ],
)
def test_versions(old: str, new: str, expected: bool):
    assert goes_back(old, new) is expected


NUMBERS = st.lists(st.integers(0, 30), min_size=1, max_size=4)


@given(NUMBERS, NUMBERS)
def test_versions_have_one_order(one: list[int], other: list[int]):
    old, new = (".".join(map(str, numbers)) for numbers in (one, other))
    padded = [(numbers + [0] * 4)[:4] for numbers in (one, other)]
    assert goes_back(old, new) == (padded[1] < padded[0])


def daemon_set(image: str, init: str = "x:1"):
    spec = {
        "containers": [{"name": "c", "image": image}],
        "initContainers": [{"name": "i", "image": init}],
    }
    return rendering(resource(DAEMON_SET, "us-ingress", spec={"template": {"spec": spec}}))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (f"{NAME}:5.6.1", f"{NAME}:5.7.0", []),
        (f"{NAME}:5.6.1", f"{NAME}:5.5.0", [f"Image {NAME} goes back: 5.6.1 → 5.5.0"]),
        (f"{NAME}:5.6.1", f"docker.io/{NAME}:5.6.1", []),
        (f"{NAME}:5.6.1", "other/ingress:1.0", []),
        (f"{NAME}:5.6.1", f"{NAME}:5.6.1@{A}", []),
        (
            f"{NAME}:5.6.1@{A}",
            f"{NAME}:5.6.1",
            [f"Image {NAME}:5.6.1 is no longer pinned by its digest: its registry decides"],
        ),
        (
            f"{NAME}:5.6.1@{A}",
            f"{NAME}:5.6.1@{B}",
            [
                f"Image {NAME}:5.6.1 is another one under the same tag: sha256:aaaaaaaaaaaa… → "
                "sha256:bbbbbbbbbbbb…"
            ],
        ),
    ],
)
def test_what_is_said_is_said_once(old: str, new: str, expected: list[str]):
    assert list(images_moved(daemon_set(old, old), daemon_set(new, new))) == expected
