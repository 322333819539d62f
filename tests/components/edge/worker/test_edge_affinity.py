"""A cookie that keeps a visitor in his region."""

from collections.abc import Callable

from tests.components.edge.worker.conftest import Regions
from tests.components.edge.worker.edge_rig import APAC, DENVER, EU, MADRID, US, Edge

Start = Callable[..., Edge]


def ask(edge: Edge, cookie: str | None, path: str = "/") -> tuple[str, str | None]:
    """A visitor in Denver: the region that answered, and the cookie that he got."""
    response = edge.request(path, DENVER, headers={"cookie": cookie} if cookie else {})
    cookies = response.raw.headers.getlist("set-cookie")
    ours = [said for said in cookies if said.startswith("__Host-edge-region=")]
    return response.headers["x-edge-region"], ours[0] if ours else None


def held(region: str) -> str:
    return f"a=1; __Host-edge-region={region}; b=2"


def given(region: str) -> str:
    return f"__Host-edge-region={region}; Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Lax"


def test_a_visitor_stays_where_he_was(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(affinitySeconds=600)
    # From an ingress that names itself, and from one that doesn't.
    for path in ("/", "/named"):
        assert ask(edge, None, path) == ("us", given("us"))
        assert ask(edge, held("us"), path) == ("us", None)
        assert ask(edge, held("eu"), path) == ("eu", None)
    response = edge.request("/cookies", MADRID)
    assert response.raw.headers.getlist("set-cookie") == ["a=1", "b=2", given("eu")]


def test_he_moves_with_a_failure_and_stays_there(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(affinitySeconds=600)
    origins["apac"].fail("status", status=521)
    assert ask(edge, held("apac")) == ("us", given("us"))
    origins["us"].fail("status", status=502)
    origins["eu"].fail("status", status=502)
    assert ask(edge, held("us"))[1] is None, "a failure is nothing to stay with"


def test_a_cookie_opens_nothing(start_edge: Start, origins: Regions) -> None:
    drained = {**EU, "drain": True}
    canary = {**APAC, "weight": 0}
    edge = start_edge([US, drained, canary], affinitySeconds=600)
    for name in ("eu", "apac", "nowhere"):
        assert ask(edge, held(name)) == ("us", given("us"))
    strict = {**US, "strict": True, "countries": ["US"]}
    assert ask(start_edge([strict, EU, APAC], affinitySeconds=600), held("eu"))[0] == "us"


def test_there_is_no_cookie_unless_asked_for(start_edge: Start) -> None:
    assert ask(start_edge(), held("eu")) == ("us", None)
