"""Admission policies, by which the API server refuses what would break everybody's hosts."""

from collections.abc import Mapping, Sequence
from typing import Any

_GROUP = "admissionregistration.k8s.io/v1"


def admission_policy(
    name: str,
    labels: Mapping[str, str],
    resources: Sequence[tuple[str, str, Sequence[str]]],
    validations: Sequence[tuple[str, str]],
    condition: tuple[str, str] | None = None,
) -> list[dict[str, Any]]:
    """A ValidatingAdmissionPolicy and its binding (in Kubernetes since 1.30).

    `resources` are API group, version and plural names; `validations` CEL and what is said when it
    is false; `condition` a name and the CEL that an object has to meet to be looked at.
    """
    rules = [
        {
            "apiGroups": [group],
            "apiVersions": [version],
            "operations": ["CREATE", "UPDATE"],
            "resources": [*plurals],
        }
        for group, version, plurals in resources
    ]
    metadata = {"name": name, "labels": labels}
    spec: dict[str, Any] = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": rules},
        "validations": [
            {"expression": expression, "message": message, "reason": "Invalid"}
            for expression, message in validations
        ],
    }
    if condition:
        spec["matchConditions"] = [dict(zip(("name", "expression"), condition, strict=True))]
    return [
        {
            "apiVersion": _GROUP,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": metadata,
            "spec": spec,
        },
        {
            "apiVersion": _GROUP,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": metadata,
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    ]
