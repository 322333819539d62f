"""The emulated Cloudflare's rulesets of a zone."""

from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.cloudflare.expressions import parsing_error
from sandbox.vendors.cloudflare.http import new_id, ok, refuse
from sandbox.vendors.cloudflare.state import CloudflareState, Zone
from sandbox.vendors.rest import RestApi, json_body

RULESETS = "/client/v4/zones/<zone_id>/rulesets"
RULESET = f"{RULESETS}/<ruleset_id>"
ENTRYPOINT = f"{RULESETS}/phases/<phase>/entrypoint"
Ruleset = dict[str, Any]


def _rules(sent: Any, before: list[dict[str, Any]], date: str) -> list[dict[str, Any]]:
    known = {rule["id"]: rule for rule in before}
    rules = []
    for rule in sent or []:
        _check_expression(rule.get("expression"))
        if not rule.get("action"):
            raise refuse(400, 20021, "A rule needs an action")
        rule_id = rule.get("id") if rule.get("id") in known else new_id()
        version = str(int(known[rule_id]["version"]) + 1) if rule_id in known else "1"
        rules.append(
            {"enabled": True, "ref": rule_id, **rule, "id": rule_id, "version": version}
            | {"last_updated": date}
        )
    return rules


def _check_expression(expression: Any) -> None:
    """Refuse one that isn't in the Rules language."""
    text = f"'{expression or ''}' is not a valid value for expression because"
    if not isinstance(expression, str) or not expression.strip():
        raise refuse(400, 20125, f"{text} the expression cannot be blank")
    if error := parsing_error(expression):
        raise refuse(400, 20127, f"{text} could not parse filter expression: {error}")


def add_rulesets(api: RestApi, state: CloudflareState) -> None:
    """Add ``/zones/{id}/rulesets`` and the phases' entry points."""

    def entrypoint(zone: Zone, phase: str) -> Ruleset | None:
        for ruleset in zone["rulesets"].values():
            if ruleset["kind"] == "zone" and ruleset["phase"] == phase:
                return ruleset
        return None

    def find(zone: Zone, ruleset_id: str) -> Ruleset:
        if ruleset_id not in zone["rulesets"]:
            raise refuse(404, 10003, "could not find ruleset")
        return zone["rulesets"][ruleset_id]

    def make(zone: Zone, body: dict[str, Any]) -> Ruleset:
        ruleset: Ruleset = {
            "id": new_id(),
            "name": str(body.get("name") or "default"),
            "description": str(body.get("description") or ""),
            "kind": body.get("kind") or "zone",
            "phase": body["phase"],
            "version": "1",
            "last_updated": state.date(),
            "rules": _rules(body.get("rules"), [], state.date()),
        }
        zone["rulesets"][ruleset["id"]] = ruleset
        return ruleset

    def replace(ruleset: Ruleset, body: dict[str, Any]) -> Ruleset:
        for name in ("name", "description"):
            if body.get(name):
                ruleset[name] = str(body[name])
        if "rules" in body:
            ruleset["rules"] = _rules(body["rules"], ruleset["rules"], state.date())
        ruleset["version"] = str(int(ruleset["version"]) + 1)
        ruleset["last_updated"] = state.date()
        return ruleset

    def list_rulesets(_: Request, zone_id: str) -> Response:
        found = state.zone(state.read(), zone_id)["rulesets"].values()
        return ok([{k: v for k, v in ruleset.items() if k != "rules"} for ruleset in found])

    def create(request: Request, zone_id: str) -> Response:
        body = json_body(request)
        if not isinstance(body.get("phase"), str):
            raise refuse(400, 20021, "phase is required")
        with state.change() as document:
            zone = state.zone(document, zone_id)
            if body.get("kind", "zone") == "zone" and entrypoint(zone, body["phase"]):
                text = f"A zone ruleset for the phase {body['phase']} already exists"
                raise refuse(400, 20217, text)
            ruleset = make(zone, body)
        return ok(ruleset)

    def get(_: Request, zone_id: str, ruleset_id: str) -> Response:
        return ok(find(state.zone(state.read(), zone_id), ruleset_id))

    def put(request: Request, zone_id: str, ruleset_id: str) -> Response:
        with state.change() as document:
            ruleset = find(state.zone(document, zone_id), ruleset_id)
            return ok(replace(ruleset, json_body(request)))

    def delete(_: Request, zone_id: str, ruleset_id: str) -> Response:
        with state.change() as document:
            zone = state.zone(document, zone_id)
            find(zone, ruleset_id)
            del zone["rulesets"][ruleset_id]
        return Response(status=204)

    def get_entrypoint(_: Request, zone_id: str, phase: str) -> Response:
        ruleset = entrypoint(state.zone(state.read(), zone_id), phase)
        if ruleset is None:
            text = f"could not find entrypoint ruleset in the {phase} phase"
            raise refuse(404, 10003, text)
        return ok(ruleset)

    def put_entrypoint(request: Request, zone_id: str, phase: str) -> Response:
        body = {**json_body(request), "phase": phase, "kind": "zone"}
        with state.change() as document:
            zone = state.zone(document, zone_id)
            ruleset = entrypoint(zone, phase)
            return ok(replace(ruleset, body) if ruleset else make(zone, body))

    api.add("GET", RULESETS, list_rulesets)
    api.add("POST", RULESETS, create)
    api.add("GET", RULESET, get)
    api.add("PUT", RULESET, put)
    api.add("DELETE", RULESET, delete)
    api.add("GET", ENTRYPOINT, get_entrypoint)
    api.add("PUT", ENTRYPOINT, put_entrypoint)
