"""The emulated Cloudflare provider's resources of a zone.

The numbers after "Cloudflare" are those of docs/facts/real-providers.md.
"""

from typing import Any

import pulumi_cloudflare as cloudflare

from sandbox.providers.base.names import camels
from sandbox.providers.base.operations import Call, PluginError
from sandbox.providers.base.values import Properties
from sandbox.providers.cloudflare.rest import Cloudflare, RestResource


class DnsRecord(RestResource):
    """A DNS record (Cloudflare 1)."""

    sdk = cloudflare.DnsRecord
    scope = ("zoneId",)
    collection = "/zones/{zoneId}/dns_records"
    replaces = frozenset({"zoneId", "type"})
    optional = frozenset({"comment"})


class WorkersRoute(RestResource):
    """A Worker's route (Cloudflare 3)."""

    sdk = cloudflare.WorkersRoute
    scope = ("zoneId",)
    collection = "/zones/{zoneId}/workers/routes"
    replaces = frozenset({"zoneId"})
    optional = frozenset({"script"})


class AuthenticatedOriginPullsCertificate(RestResource):
    """A zone's client certificate (Cloudflare 6)."""

    sdk = cloudflare.AuthenticatedOriginPullsCertificate
    scope = ("zoneId",)
    collection = "/zones/{zoneId}/origin_tls_client_auth"
    replaces = frozenset({"zoneId", "certificate", "privateKey"})
    keeps = frozenset({"privateKey", "certificateId"})

    def outputs(self, made: Any, inputs: Properties) -> Properties:
        """With the id once more as ``certificateId``."""
        return {**super().outputs(made, inputs), "certificateId": made["id"]}


class AuthenticatedOriginPullsSettings(RestResource):
    """Whether a zone sends its client certificate; destroying leaves it (Cloudflare 6)."""

    sdk = cloudflare.AuthenticatedOriginPullsSettings
    scope = ("zoneId",)
    collection = "/zones/{zoneId}/origin_tls_client_auth/settings"
    replaces = frozenset({"zoneId"})
    create_method = "PUT"
    deletes = False

    def id_of(self, inputs: Properties, made: Any) -> str:
        """The zone's id."""
        return inputs["zoneId"]

    def member(self, id: str, values: Properties) -> str:
        """There is one of them."""
        return self.path(values)

    def import_id(self, id: str) -> tuple[Properties, str]:
        """The zone's id alone."""
        return {"zoneId": id}, id


class ZoneSetting(RestResource):
    """A setting of a zone; destroying leaves the value (Cloudflare 7)."""

    sdk = cloudflare.ZoneSetting
    scope = ("zoneId",)
    collection = "/zones/{zoneId}/settings"
    replaces = frozenset({"zoneId", "settingId"})
    keeps = frozenset({"settingId"})
    update_method = "PATCH"
    deletes = False

    def create(self, session: Cloudflare, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """PATCH."""
        id = inputs["settingId"]
        return id, self.update(session, call, id, {}, inputs)

    def body(self, inputs: Properties) -> Any:
        """The value."""
        return {"value": inputs["value"]}

    def import_id(self, id: str) -> tuple[Properties, str]:
        """Zone and setting."""
        scope, setting = super().import_id(id)
        return {**scope, "settingId": setting}, setting


class Ruleset(RestResource):
    """A phase's rules, all of them, whoever made them (Cloudflare 8)."""

    sdk = cloudflare.Ruleset
    scope = ("zoneId",)
    collection = "/zones/{zoneId}/rulesets"
    replaces = frozenset({"zoneId", "accountId", "kind", "phase"})
    optional = frozenset({"rules"})

    def path(self, values: Properties) -> str:
        """Of the zone or of the account."""
        if values.get("zoneId"):
            return super().path(values)
        if values.get("accountId"):
            return f"/accounts/{values['accountId']}/rulesets"
        raise PluginError("exactly one of zone_id, account_id must be specified")

    def import_id(self, id: str) -> tuple[Properties, str]:
        """``zones/ZONE/RULESET`` or ``accounts/ACCOUNT/RULESET``."""
        kinds = {"zones": "zoneId", "accounts": "accountId"}
        kind, _, rest = id.partition("/")
        owner, _, ruleset = rest.partition("/")
        if kind not in kinds or not ruleset:
            form = "<{accounts|zones}/{account_id|zone_id}>/<ruleset_id>"
            raise PluginError(f"import id {id!r}: expected {form}")
        return {kinds[kind]: owner}, ruleset


class OriginCaCertificate(RestResource):
    """A certificate of Cloudflare's Origin CA; every change makes a new one (Cloudflare 5)."""

    sdk = cloudflare.OriginCaCertificate
    scope = ()
    collection = "/certificates"
    replaces = frozenset({"csr", "hostnames", "requestType", "requestedValidity"})


def get_zone(session: Cloudflare, call: Call, args: Properties) -> Properties:
    """A zone by id or by filter; asked on every preview and up (Cloudflare 10)."""
    if args.get("zoneId"):
        zone = session.result(call, "GET", f"/zones/{args['zoneId']}")
    else:
        wanted = {k: v for k, v in (args.get("filter") or {}).items() if isinstance(v, str)}
        if isinstance((args.get("filter") or {}).get("account"), dict):
            wanted["account.id"] = args["filter"]["account"].get("id", "")
        found = session.result(call, "GET", "/zones", params=wanted)
        if len(found) != 1:
            raise PluginError(f"zone lookup by {wanted}: found {len(found)} zones, expected one")
        zone = found[0]
    return {**camels(zone), "zoneId": zone["id"], **args}


def get_ip_ranges(session: Cloudflare, call: Call, args: Properties) -> Properties:
    """Cloudflare's addresses."""
    return {"jdcloudCidrs": [], **camels(session.result(call, "GET", "/ips")), **args}
