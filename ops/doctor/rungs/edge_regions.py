"""Each region from the edge: by its own name through Cloudflare, by the Worker's status page, and
whether Cloudflare's client certificate arrives there."""

from collections.abc import Iterator
from datetime import datetime

from ops.doctor.finding import Finding, Note, Told, some
from ops.live.asking import Unasked
from ops.live.seen import EdgeSeen, RegionSeen

_WAY = "docs/security.md, Authenticated Origin Pulls"
SUCCESS = "SUCCESS"
"""What nginx logs of a certificate that our CA signed; of Traefik's log, see `ops/live/logs.py`."""


def of_region(seen: RegionSeen, _: datetime) -> Iterator[Told]:
    """The region under its own name: through Cloudflare, not through the Worker."""
    yield from _answers(seen)
    yield from _shown(seen)


def _answers(seen: RegionSeen) -> Iterator[Told]:
    expected, answer = seen.expected, seen.web
    url = f"https://{expected.hostname}{expected.health_path}"
    if expected.withdrawn:
        return
    if isinstance(answer, Unasked):
        yield Note("edge", expected.stack, f"the region as Cloudflare sees it: {answer.cause}")
        return
    came = ""
    if not 200 <= answer.status < 400:
        came = f"{answer.status}"
        means = (
            "Cloudflare gets no answer from the nodes, though all below is right: 521 and 522 are "
            "a firewall, 525 and 526 the certificate, 530 the name."
        )
    elif answer.region and answer.region != expected.region:
        came = f"answered by region {answer.region}"
        means = "The records of one region lead to nodes of another."
    if came:
        yield Finding(
            "edge",
            "region-unanswered",
            expected.stack,
            expected.hostname,
            f"GET {url}",
            came,
            means,
            f"curl -sSI {url}",
            symptom=True,
        )


def _shown(seen: RegionSeen) -> Iterator[Told]:
    """Whether the certificate came with what the Worker sent: `require` refuses what has none."""
    expected, cluster = seen.expected, seen.cluster
    if expected.pulls == "off" or isinstance(cluster, Unasked):
        return
    if isinstance(cluster.shown, Unasked):
        text = f"whether Cloudflare's client certificate comes: {cluster.shown.cause}"
        yield Note("edge", expected.stack, text)
        return
    total, well = sum(cluster.shown.values()), cluster.shown.get(SUCCESS, 0)
    others = [f"{count} {said}" for said, count in sorted(cluster.shown.items()) if said != SUCCESS]
    told = f"Cloudflare's client certificate came with {well} of the last {total} requests logged"
    if others:
        told += f" ({some(others)})"
    if expected.controller == "traefik" and expected.pulls == "observe":
        told += ", by its subject: who signed it Traefik looks at under `require` alone"
    if expected.pulls == "require":
        # Somebody else's zone at Cloudflare may try at any time: that is what is to be refused.
        if total and not well:
            yield Finding(
                "edge",
                "pulls-refused",
                expected.stack,
                "Authenticated Origin Pulls",
                f"the access log of {expected.namespace}, of the site's hosts",
                told,
                "The ingress requires the certificate, so it refuses every visitor with 400.",
                f"say edgefleet:originPulls: observe in {expected.file}, then "
                f"pulumi up -s {expected.stack}",
            )
    elif not total:
        yield Note(
            "edge",
            expected.stack,
            "no request of the site's hosts stands in the ingress's log: whether Cloudflare's "
            f"client certificate comes through the Worker shows with the first visitors ({_WAY})",
        )
    elif others:
        yield Note("edge", expected.stack, f"{told}: not yet `originPulls: require` ({_WAY})")
    else:
        text = f"{told}: `originPulls: require` may be switched on ({_WAY})"
        yield Note("edge", expected.stack, text)


def through_worker(seen: EdgeSeen) -> Iterator[Told]:
    """What the Worker itself says of each region, of just now."""
    expected = seen.expected
    if not expected.status_page:
        yield Note(
            "edge",
            expected.stack,
            "each region through the Worker: with a statusToken in the edge stack its status page "
            "is asked (docs/edge.md, Status page)",
        )
    for host, page in seen.status.items():
        if isinstance(page, Unasked):
            yield Note("edge", expected.stack, f"each region through the Worker: {page.cause}")
            continue
        for name, region in page.regions.items():
            for site, said in region.ejected.items():
                yield Finding(
                    "edge",
                    "application-ejected",
                    expected.stack,
                    f"{site} in {name}",
                    f"the Worker's status page on {host}, at {page.place or 'one place'}",
                    said,
                    "The region's ingress answers, and the application behind it doesn't: "
                    "visitors of this host are sent to other regions.",
                    f"kubectl get pods -A in {name}'s cluster; docs/edge.md, Dead applications",
                    symptom=True,
                )
