"""`python -m tests.data.extract FOLDER`: make the tables anew from the vendors' own files.

FOLDER has the files that `SOURCES` names. A file with another SHA-256 is refused: for a newer one,
change its entry first.
"""

import hashlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.data.reduced_schemas import ANYTHING, one_of_each, without_texts

HERE = Path(__file__).parent
Json = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """A vendor's file: where it is from, in which version, under which licence."""

    file: str
    origin: str
    version: str
    licence: str
    sha256: str


SOURCES = {
    source.file: source
    for source in (
        Source(
            "calico-v3.32.1.yaml",
            "projectcalico/calico, manifests/calico.yaml",
            "v3.32.1",
            "Apache-2.0",
            "a1df919d9721cf667accdc3e72848911b0cb25cfab7d2478ad0c996302c95744",
        ),
        Source(
            "metallb-v0.16.1-native.yaml",
            "metallb/metallb, config/manifests",
            "v0.16.1",
            "Apache-2.0",
            "bf25feebb7582ca7df845efd52ffbc2960d6cbf4cfc972f47fded9f788b67f0b",
        ),
        Source(
            "nginx-ingress-v5.5.4-crds.yaml",
            "nginx/kubernetes-ingress, deploy/crds.yaml",
            "v5.5.4",
            "Apache-2.0",
            "9a79a8233162a61fc16820c17c62ec6c33f2c1666b69814f30603ef4e0b93098",
        ),
        Source(
            "nginx-ingress-v5.5.4-daemonset.yaml",
            "nginx/kubernetes-ingress, deployments/daemon-set/nginx-ingress.yaml",
            "v5.5.4",
            "Apache-2.0",
            "fe1bce460c73aa2101c2d954fa6610d73fb8329406a4e0c6812f233df0c80788",
        ),
        Source(
            "nginx-ingress-v5.5.4-rbac.yaml",
            "nginx/kubernetes-ingress, deployments/rbac/rbac.yaml",
            "v5.5.4",
            "Apache-2.0",
            "1f40827042a0f26f7d79f7fecce70b0a43e80cb38e260650df1c4fdad9605920",
        ),
        Source(
            "pulumi-cloudflare-schema-subset.json",
            "pulumi/pulumi-cloudflare, the provider's schema, cut to the resources used here",
            "6.17.0",
            "Apache-2.0",
            "f960d0a06ae017978bb1d87ac0a240ab1f9ef149619c409766413ee2c2f5f718",
        ),
        Source(
            "pulumi-metaschema.json",
            "pulumi/pulumi, pkg/codegen/schema/pulumi.json",
            "v3.246.0",
            "Apache-2.0",
            "45c9aa5144ef1c1ef1ce3515a6d379d288558d36d189435dfa32a246b9d3ad4b",
        ),
        Source(
            "pulumi-vultr-schema.json",
            "dirien/pulumi-vultr, the provider's schema",
            "2.26.1",
            "Apache-2.0",
            "232eca17ab80af40ebcf977320ffc08c0981d68d791b5f3b50f3106ef59da42e",
        ),
        Source(
            "vultr-openapi-2023.json",
            "vultr/vultr-python-client, swagger.json, cut to clusters, firewalls, VPCs, instances",
            "2023",
            "not established: names and types of fields only",
            "fdcaf3bdbaf4a37af1a2d873a63e8522224b04c71e0f378c1935095904943aa3",
        ),
    )
}
VULTR_RESOURCES = ("Kubernetes", "KubernetesNodePools", "FirewallGroup", "FirewallRule", "Vpc")
# These are held against what the components set: their fields have to be all there.
WHOLE_DEFINITIONS = {
    "BGPConfiguration",
    "BGPPeer",
    "FelixConfiguration",
    "GlobalNetworkPolicy",
    "HostEndpoint",
    "IPPool",
    "KubeControllersConfiguration",
}
# What decides whether an answer fits: no texts, no examples.
_ANSWER_KEYWORDS = {"$ref", "type", "items", "minItems", "minLength", "uniqueItems"}


def pulumi_schema(text: str) -> Json:
    """Of each resource: its inputs and outputs, which must be given, replace, are secret."""
    resources = {}
    for token, resource in json.loads(text)["resources"].items():
        if token.startswith("vultr:") and token.rpartition(":")[2] not in VULTR_RESOURCES:
            continue
        inputs, outputs = resource["inputProperties"], resource["properties"]
        replacing = [name for name, each in inputs.items() if each.get("willReplaceOnChanges")]
        resources[token] = {
            "inputs": sorted(inputs),
            "required": sorted(resource.get("requiredInputs", [])),
            "replacing": sorted(replacing),
            "outputs": sorted(outputs),
            "secret": sorted(n for n, each in outputs.items() if each.get("secret")),
        }
    return {"resources": resources}


def metaschema(text: str) -> Json:
    """What a package's schema may be, without texts; groups have names as in Python's patterns."""
    return {"schema": without_texts(json.loads(text.replace("(?<", "(?P<")))}


def answers(text: str) -> Json:
    """Of each call of an API: the fields of what it answers, by status."""
    api = json.loads(text)
    paths = {
        path: {
            method: {
                "responses": {
                    status: _answer(answer)
                    for status, answer in operation["responses"].items()
                    if status.startswith("2")
                }
            }
            for method, operation in operations.items()
            if method in ("get", "post", "put", "patch", "delete")
        }
        for path, operations in api["paths"].items()
    }
    schemas = {name: _fields(each) for name, each in api["components"]["schemas"].items()}
    reached: set[str] = set()
    fresh = _references(paths)
    while fresh:
        reached |= fresh
        fresh = _references([schemas[name] for name in fresh]) - reached
    return {"paths": paths, "components": {"schemas": {n: schemas[n] for n in sorted(reached)}}}


def _answer(answer: Json) -> Json:
    if content := answer.get("content", {}).get("application/json"):
        return {"content": {"application/json": {"schema": _fields(content["schema"])}}}
    return {}


def _fields(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_fields(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _fields(value) for key, value in schema.items() if key in _ANSWER_KEYWORDS}
    if isinstance(properties := schema.get("properties"), dict):
        kept["properties"] = {name: _fields(each) for name, each in properties.items()}
    return kept


def _references(value: Any) -> set[str]:
    return set(re.findall(r"#/components/schemas/([\w-]+)", json.dumps(value)))


def objects(text: str) -> list[Json]:
    """A manifest's objects without texts; of definitions, one field of each sort.

    Of the definitions that our own objects are held against, every field.
    """
    seen: set[Any] = set()
    found = []
    for obj in yaml.load_all(text, yaml.CSafeLoader):
        if not obj:
            continue
        obj = without_texts(obj)
        if obj["kind"] == "CustomResourceDefinition":
            whole = obj["spec"]["names"]["kind"] in WHOLE_DEFINITIONS
            for version in obj["spec"]["versions"]:
                schema = version["schema"]["openAPIV3Schema"]
                if not whole:
                    version["schema"]["openAPIV3Schema"] = one_of_each(schema, seen) or ANYTHING
        found.append(obj)
    return found


def commented_mounts(text: str) -> Json:
    """Where NGINX's own DaemonSet, in its comments, mounts what nginx writes."""
    return {"paths": re.findall(r"^#.*mountPath: (\S+)", text, re.MULTILINE)}


# The table, the file that it is made from, and how.
TABLES: dict[str, tuple[str, Callable[[str], Json | list[Json]]]] = {
    "calico.yaml": ("calico-v3.32.1.yaml", objects),
    "metallb.yaml": ("metallb-v0.16.1-native.yaml", objects),
    "nginx-definitions.yaml": ("nginx-ingress-v5.5.4-crds.yaml", objects),
    "nginx-daemon-set.yaml": ("nginx-ingress-v5.5.4-daemonset.yaml", objects),
    "nginx-rights.yaml": ("nginx-ingress-v5.5.4-rbac.yaml", objects),
    "nginx-mounts.json": ("nginx-ingress-v5.5.4-daemonset.yaml", commented_mounts),
    "cloudflare-fields.json": ("pulumi-cloudflare-schema-subset.json", pulumi_schema),
    "pulumi-metaschema.json": ("pulumi-metaschema.json", metaschema),
    "vultr-fields.json": ("pulumi-vultr-schema.json", pulumi_schema),
    "vultr-answers.json": ("vultr-openapi-2023.json", answers),
}


class _Plain(yaml.SafeDumper):
    """Without anchors: each object is readable alone."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class Mistake(Exception):
    """What stands against an extraction, as a sentence."""


def extracted(name: str, folder: Path) -> str:
    """The text of the table `name`, from the vendor's file in `folder`."""
    file, facts = TABLES[name]
    source = SOURCES[file]
    path = folder / file
    if not path.is_file():
        raise Mistake(f"{path} isn't there: {source.version} of {source.origin}")
    content = path.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != source.sha256:
        raise Mistake(f"{path} has SHA-256 {found}, and {source.version} has {source.sha256}")
    made = facts(content.decode())
    if isinstance(made, dict):
        return json.dumps({"source": asdict(source), **made}, indent=1) + "\n"
    head = "".join(f"# {key}: {value}\n" for key, value in asdict(source).items())
    text = yaml.dump_all(made, Dumper=_Plain, width=100, sort_keys=False, allow_unicode=True)
    return f"{head}# Without descriptions and comments; tests/data/extract.py made it.\n---\n{text}"


def main(folder: Path) -> None:
    for name in TABLES:
        (HERE / name).write_text(extracted(name, folder))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except IndexError:
        sys.exit(__doc__)
    except Mistake as mistake:
        sys.exit(str(mistake))
