"""What ends is listed with its date; soon, it is found."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from components.firewall import cloudflare_ranges
from ops.doctor.finding import Blind
from ops.expiries.endings import Asked, Ending, Told, endings
from ops.expiries.text import due, plain, text
from ops.live.asking import Unasked, known
from ops.live.seen import Seen
from tests.ops.live.healthy import NOW, changed, edge, fleet

PIN = replace(cloudflare_ranges.load(), fetched=date(2026, 11, 18))


def asked(**changes: Any) -> Asked:
    well = Asked(token=None, ranges=(), pin=PIN, authorities=(NOW + timedelta(days=7000),))
    return replace(well, **changes)


def us(**changes: Any) -> Seen:
    seen = fleet()
    return replace(seen, regions=(*seen.regions[:2], changed(seen.regions[2], **changes)))


def with_pulls(ends: datetime) -> Seen:
    seen = edge()
    facts = known(seen.facts)
    assert facts
    shown = replace(facts, pulls=True, pulls_end=(NOW - timedelta(days=1), ends))
    wants = replace(seen.expected, pulls="observe")
    return replace(fleet(), edges=(replace(seen, expected=wants, facts=shown),))


def soon(found: list[Told], within: int = 30) -> list[str]:
    return [e.what for e in found if isinstance(e, Ending) and due(e, NOW, within)]


def test_a_healthy_fleet_by_date():
    found = endings(fleet(), asked(), NOW)
    assert soon(found) == []
    dates = [each.ends for each in found if isinstance(each, Ending) and each.ends]
    assert dates == sorted(dates)
    assert len(dates) == 7, "three releases, three certificates, the CA"
    assert not [each for each in found if isinstance(each, Blind)]
    told = text(found, NOW, 30)
    assert told.endswith("\nNothing ends within 30 days.")
    assert "\n\n\n" not in told
    assert "  2027-02-28  99 days    us     Kubernetes v1.35.5+1" in told.splitlines()
    assert "Cloudflare's ranges, pinned 3 days ago: as they are today" in told


@pytest.mark.parametrize(
    ("seen", "of_fleet", "said", "do"),
    [
        (
            us(part="cluster", certificate=replace(
                fleet().regions[2].cluster.certificate,  # type: ignore[union-attr]
                ends=NOW + timedelta(days=9),
            )),
            {},
            "the ingress's certificate, for api.example.com, example.com and 1 more",
            "fleet reconcile us --certificates, or pulumi up -s us",
        ),
        (
            us(key_ends={"client certificate": NOW - timedelta(hours=1)}),
            {},
            "the kubeconfig's client certificate",
            "docs/operations.md, Rotate the kubeconfig; then pulumi up -s us",
        ),
        (
            with_pulls(NOW + timedelta(days=29)),
            {},
            "Cloudflare's client certificate (Authenticated Origin Pulls)",
            "pulumi up -s edge",
        ),
        (
            fleet(),
            {"token": NOW + timedelta(days=2)},
            "the Cloudflare API token",
            "roll it in Cloudflare's dashboard",
        ),
        (
            fleet(),
            {"ranges": ["+ 192.0.2.0/24"]},
            "Cloudflare's ranges, pinned 3 days ago: + 192.0.2.0/24",
            "fleet ranges update, and pulumi up of every region",
        ),
        (
            fleet(),
            {"authorities": (NOW + timedelta(days=7000), NOW + timedelta(days=20))},
            "the CA of Authenticated Origin Pulls that is being replaced",
            "fleet ca retire",
        ),
    ],
)  # fmt: skip
def test_what_ends_soon(seen: Seen, of_fleet: dict[str, Any], said: str, do: str):
    found = endings(seen, asked(**of_fleet), NOW)
    assert soon(found) == [said]
    (ending,) = (each for each in found if isinstance(each, Ending) and each.what == said)
    assert ending.do == do
    told = text(found, NOW, 30)
    assert told.endswith(f"\n\n{ending.stack}: {said}\n  do  {do}")
    assert [line for line in told.splitlines() if line.startswith("!")]


def test_a_release_of_kubernetes_by_what_the_cluster_runs():
    found = endings(fleet(), asked(), NOW)
    assert soon(found, 98) == []
    assert soon(found, 99) == ["Kubernetes v1.35.5+1"] * 3
    cluster = known(fleet().regions[2].vultr).cluster  # type: ignore[union-attr]
    assert cluster
    ended = us(part="vultr", cluster=replace(cluster, version="v1.34.3+1"))
    (ending,) = (e for e in endings(ended, asked(), NOW) if soon([e]))
    assert isinstance(ending, Ending)
    assert (ending.stack, ending.do) == ("us", "fleet upgrade us --to …")
    new = endings(us(part="vultr", cluster=replace(cluster, version="v1.99.0+1")), asked(), NOW)
    assert "Kubernetes v1.99.0+1: its end isn't known here" in text(new, NOW, 3650)
    assert "Kubernetes v1.99.0+1" not in " ".join(soon(new, 3650))


def test_who_cannot_be_asked_is_named():
    seen = us(cluster=Unasked("no answer"))
    found = endings(seen, asked(token=Unasked("403"), ranges=Unasked("no way")), NOW)
    assert [(b.stack, b.system, b.cause) for b in found if isinstance(b, Blind)] == [
        ("-", "Cloudflare's ranges", "no way"),
        ("-", "the Cloudflare API token", "403"),
        ("us", "its API server", "no answer"),
    ]
    told = text(found, NOW, 30)
    assert "Couldn't be asked:\n  -: Cloudflare's ranges: no way" in told
    assert "Nothing ends" not in told
    document = plain(found, NOW, 30)
    assert len(document["blind"]) == 3
    assert {ending["due"] for ending in document["endings"]} == {False}


def test_images_without_a_digest_have_no_end_and_are_told():
    (images,) = (e for e in endings(fleet(), asked(), NOW) if isinstance(e, Ending) and not e.ends
                 and "tags" in e.what)  # fmt: skip
    assert images.do == "fleet images lock"
