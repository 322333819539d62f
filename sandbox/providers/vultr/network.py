"""The emulated Vultr provider's FirewallGroup, FirewallRule and Vpc (Terraform provider 2.27.1)."""

import ipaddress
from typing import Any

import ediri_vultr

from sandbox.providers.base.http import HttpError
from sandbox.providers.base.operations import Call, Failure, PluginError, ReadResult
from sandbox.providers.base.resource import Resource
from sandbox.providers.base.values import Properties
from sandbox.providers.vultr.rest import Vultr

_DETACH_SECONDS, _DETACH_POLL_SECONDS = 19 * 60.0, 10.0
_RULE_FIELDS = {
    "ipType": "ip_type",
    "protocol": "protocol",
    "subnet": "subnet",
    "subnetSize": "subnet_size",
    "port": "port",
    "source": "source",
    "notes": "notes",
}
_CHOICES = {
    "ipType": ("v4", "v6"),
    "protocol": ("icmp", "tcp", "udp", "gre", "ah", "esp"),
    "source": ("", "cloudflare"),
}


class FirewallGroup(Resource[Vultr]):
    """A firewall group."""

    sdk = ediri_vultr.FirewallGroup
    optional = frozenset({"description"})

    def create(self, session: Vultr, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """POST, GET."""
        body = {"description": inputs.get("description", "")}
        made = session.http.json(call, "POST", "/v2/firewalls", json=body)
        id = made["firewall_group"]["id"]
        return id, self._outputs(session.get(call, f"/firewalls/{id}", "firewall_group"))

    def read(self, session: Vultr, call: Call, id: str, state: Properties) -> ReadResult | None:
        """GET; any 404 drops it from the state."""
        found = session.gone(call, f"/firewalls/{id}", "firewall_group", '"status"', "Invalid")
        if found is None:
            return None
        outputs = self._outputs(found)
        return ReadResult(id, outputs, {"description": outputs["description"]})

    def update(
        self, session: Vultr, call: Call, id: str, olds: Properties, news: Properties
    ) -> Properties:
        """PUT, GET."""
        body = {"description": news.get("description", "")}
        session.http.send(call, "PUT", f"/v2/firewalls/{id}", json=body)
        return self._outputs(session.get(call, f"/firewalls/{id}", "firewall_group"))

    def delete(self, session: Vultr, call: Call, id: str, state: Properties) -> None:
        """DELETE."""
        session.http.send(call, "DELETE", f"/v2/firewalls/{id}")

    def _outputs(self, group: dict[str, Any]) -> Properties:
        return {
            "description": group.get("description", ""),
            "dateCreated": group["date_created"],
            "dateModified": group["date_modified"],
            "instanceCount": group.get("instance_count", 0),
            "ruleCount": group.get("rule_count", 0),
            "maxRuleCount": group.get("max_rule_count", 0),
        }


class FirewallRule(Resource[Vultr]):
    """A rule of a firewall group; every field replaces it.

    The ``source`` that the API echoes ("0.0.0.0/0") differs from the none of the program, so such
    a rule is replaced on every up (docs/facts/real-providers.md, Vultr 5; fixed in v2.31.0).
    """

    sdk = ediri_vultr.FirewallRule
    replaces = frozenset({*_RULE_FIELDS, "firewallGroupId"})
    optional = frozenset({"source", "port", "notes"})

    def check(self, inputs: Properties) -> list[Failure]:
        """Values that the provider knows by itself; a CIDR as subnet is refused."""
        failures = []
        for name, allowed in _CHOICES.items():
            value = inputs.get(name)
            if isinstance(value, str) and value not in allowed:
                known = " ".join(f'"{item}"' for item in allowed)
                snake = _RULE_FIELDS[name]
                reason = f"expected {snake} to be one of [{known}], got {value}"
                failures.append(Failure(name, reason))
        subnet = inputs.get("subnet")
        if isinstance(subnet, str) and not _is_address(subnet):
            reason = f"expected subnet to contain a valid IP, got: {subnet}"
            failures.append(Failure("subnet", reason))
        return failures

    def create(self, session: Vultr, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """POST, GET."""
        group = inputs["firewallGroupId"]
        body = {key: inputs[name] for name, key in _RULE_FIELDS.items() if name in inputs}
        made = session.http.json(call, "POST", f"/v2/firewalls/{group}/rules", json=body)
        id = str(made["firewall_rule"]["id"])
        rule = session.get(call, f"/firewalls/{group}/rules/{id}", "firewall_rule")
        return id, self._outputs(group, rule)

    def read(self, session: Vultr, call: Call, id: str, state: Properties) -> ReadResult | None:
        """GET. Import by ``GROUPID,RULEID``."""
        group = state.get("firewallGroupId")
        if not group:
            group, comma, id = id.partition(",")
            if not comma:
                raise PluginError(
                    'invalid import format, expected "firewallGroupID,firewallRuleID", '
                    f"got {group!r}"
                )
        words = ("Firewall rule ID not found", "Invalid resource ID")
        rule = session.gone(call, f"/firewalls/{group}/rules/{id}", "firewall_rule", *words)
        if rule is None:
            return None
        outputs = self._outputs(group, rule)
        return ReadResult(id, outputs, dict(outputs))

    def delete(self, session: Vultr, call: Call, id: str, state: Properties) -> None:
        """DELETE."""
        path = f"/v2/firewalls/{state['firewallGroupId']}/rules/{id}"
        session.http.send(call, "DELETE", path)

    def _outputs(self, group: str, rule: dict[str, Any]) -> Properties:
        fields = {name: rule.get(key, "") for name, key in _RULE_FIELDS.items()}
        return {**fields, "firewallGroupId": group}


class Vpc(Resource[Vultr]):
    """A private network."""

    sdk = ediri_vultr.Vpc
    replaces = frozenset({"region", "v4Subnet", "v4SubnetMask"})
    optional = frozenset({"description"})

    def create(self, session: Vultr, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """POST, GET."""
        body = {
            "region": inputs["region"],
            "description": inputs.get("description", ""),
            "v4_subnet": inputs.get("v4Subnet", ""),
            "v4_subnet_mask": inputs.get("v4SubnetMask", 0),
        }
        id = session.http.json(call, "POST", "/v2/vpcs", json=body)["vpc"]["id"]
        return id, self._outputs(session.get(call, f"/vpcs/{id}", "vpc"))

    def read(self, session: Vultr, call: Call, id: str, state: Properties) -> ReadResult | None:
        """GET."""
        found = session.gone(call, f"/vpcs/{id}", "vpc", "Invalid VPC ID")
        if found is None:
            return None
        outputs = self._outputs(found)
        inputs = {name: value for name, value in outputs.items() if name != "dateCreated"}
        return ReadResult(id, outputs, inputs)

    def update(
        self, session: Vultr, call: Call, id: str, olds: Properties, news: Properties
    ) -> Properties:
        """PUT of the description, GET."""
        body = {"description": news.get("description", "")}
        session.http.send(call, "PUT", f"/v2/vpcs/{id}", json=body)
        return self._outputs(session.get(call, f"/vpcs/{id}", "vpc"))

    def delete(self, session: Vultr, call: Call, id: str, state: Properties) -> None:
        """DELETE, again and again while nodes are attached to it, up to 19 minutes."""
        tries = 0
        while True:
            tries += 1
            try:
                session.http.send(call, "DELETE", f"/v2/vpcs/{id}")
                return
            except HttpError as error:
                if "attached" not in error.body or tries > _DETACH_SECONDS / _DETACH_POLL_SECONDS:
                    raise
            call.wait(_DETACH_POLL_SECONDS / session.speed)

    def _outputs(self, vpc: dict[str, Any]) -> Properties:
        return {
            "region": vpc["region"],
            "description": vpc.get("description", ""),
            "v4Subnet": vpc["v4_subnet"],
            "v4SubnetMask": vpc["v4_subnet_mask"],
            "dateCreated": vpc["date_created"],
        }


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
