"""Traefik, built from source: for tests of its ingress with real requests.

Its module lacks three things that a build needs: the dashboard's files, a module in a folder of its
own, and, on some module proxies, the versions of two libraries. And ACME's hundred DNS providers
and Amazon's SDK would take longer to compile than all the rest; nobody here asks Let's Encrypt for
anything, nor routes to ECS.
Everything that decides what comes out is in `RECIPE`.
"""

import json
import shutil
from dataclasses import asdict, dataclass

from sandbox.toolchain.go_build import writable_copy
from sandbox.toolchain.source_build import SourceBuild, Workshop, patch

VERSION = "3.7.13"
_MODULE = "github.com/traefik/traefik/v3"
_GATEWAY_API = ("sigs.k8s.io/gateway-api", "v1.6.1")
"""As Traefik's go.mod requires it."""
_EXT = "pkg/config/dynamic/ext"
_ECS = "pkg/provider/ecs"
_DEFINITIONS = "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"
_NO_ECS = """\
package ecs

import (
	"errors"

	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/safe"
)

const ProviderName = "ecs"

type Provider struct{}

func (p *Provider) SetDefaults() {}

func (p *Provider) Init() error { return errors.New("built without Amazon's SDK") }

func (p *Provider) Provide(chan<- dynamic.Message, *safe.Pool) error { return nil }
"""


@dataclass(frozen=True)
class _Patch:
    file: str
    old: str
    new: str


@dataclass(frozen=True)
class _Recipe:
    module: str
    sum: str
    replaced: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]
    patches: tuple[_Patch, ...]
    go: tuple[str, ...]


RECIPE = _Recipe(
    module=f"{_MODULE}@v{VERSION}",
    sum="h1:T8wy9KuaFzCkmXCqAzDy7t73pBDR1DHrJe3pqXpNXTw=",
    replaced=(
        # Basic and digest authentication, before their last change.
        (
            "github.com/abbot/go-http-auth",
            "github.com/containous/go-http-auth@v0.4.1-0.20200324110947-a37a7636d23e",
        ),
        ("github.com/go-acme/lego/v5", "github.com/go-acme/lego/v5@v5.3.1"),
    ),
    files=(
        ("webui/static/index.html", "<!doctype html><title>no dashboard</title>\n"),
        # A module within the module, which the proxy's archive leaves out; what upstream has there
        # are two empty structures for others to fill.
        (f"{_EXT}/go.mod", "module github.com/traefik/traefik/dynamic/ext\n\ngo 1.26.0\n"),
        (f"{_EXT}/ext.go", "package ext\n\ntype HTTP struct{}\n\ntype Router struct{}\n"),
        (f"{_ECS}/ecs.go", _NO_ECS),
        (f"{_ECS}/config.go", "package ecs\n"),
        (f"{_ECS}/label.go", "package ecs\n"),
    ),
    patches=(
        _Patch(
            "pkg/provider/acme/provider.go",
            '\t"github.com/go-acme/lego/v5/providers/dns"\n',
            "",
        ),
        _Patch(
            "pkg/provider/acme/provider.go",
            "dns.NewDNSChallengeProviderByName(p.DNSChallenge.Provider)",
            'nil, errors.New("built without the DNS providers of ACME")',
        ),
        # Newer than the library that is taken.
        _Patch(
            "pkg/provider/acme/provider.go",
            "EnableCommonName: !p.DisableCommonName,\n\t\t}\n\n\t\trenewedCert",
            "}\n\n\t\trenewedCert",
        ),
    ),
    go=(
        "-mod=mod",
        "-buildvcs=false",
        "-trimpath",
        "-ldflags",
        f"-s -w -X {_MODULE}/pkg/version.Version={VERSION}",
    ),
)


def _build(shop: Workshop) -> None:
    shop.env["CGO_ENABLED"] = "0"
    module, _, version = RECIPE.module.partition("@")
    tree = shop.work / "traefik"
    writable_copy(shop.module(module, version, RECIPE.sum), tree)
    for name, content in RECIPE.files:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content)
    for change in RECIPE.patches:
        patch(tree / change.file, change.old, change.new)
    for name, instead in RECIPE.replaced:
        shop.run_go(tree, "mod", "edit", f"-replace={name}={instead}")
    shop.run_go(tree, "build", *RECIPE.go, "-o", f"{shop.result}/traefik", "./cmd/traefik")
    crds = shop.result / "crds"
    crds.mkdir()
    shutil.copyfile(tree / _DEFINITIONS, crds / "traefik.yaml")
    gateway_api = shop.module(*_GATEWAY_API) / "config/crd/standard"
    for file in gateway_api.glob("gateway.networking.k8s.io_*.yaml"):
        shutil.copyfile(file, crds / file.name)


BUILD = SourceBuild("traefik", VERSION, json.dumps(asdict(RECIPE), sort_keys=True), 5, _build)
"""Leaves the program ``traefik``, and its definitions and the Gateway API's for an API server
(``crds``)."""
