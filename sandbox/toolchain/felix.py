"""felix, Calico's agent on a node, built from source: for tests with its real policies and packets.

Upstream ships it only inside an image. Here it comes from the Go module proxy, libbpf from the
registry that has its source under a checksum, and felix's BPF programs from clang. Everything that
decides what comes out is in `RECIPE` (docs/facts/felix.md).
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path

import requests

from sandbox.toolchain.go_build import BuildFailed, writable_copy
from sandbox.toolchain.source_build import SourceBuild, Workshop, patch
from sandbox.toolchain.tools import ARCH, OS

VERSION = "3.31.0"
PACKAGES = (
    "clang-19",
    "gcc",
    "libc6-dev",
    "libelf-dev",
    "libpcap-dev",
    "llvm-19",
    "make",
    "zlib1g-dev",
)
"""Debian's packages that a build needs."""
_CALICO = "github.com/projectcalico/calico"
_COMMIT = "v0.0.0-20251021213802-b1f3c43f8437"


_CTLB_C, _CTLB_GO = "felix/bpf-gpl/connect_balancer_v46.c", "felix/bpf/nat/connecttime.go"
_CTLB = (
    "Kernels from 6.12.53 and 6.17.5 on refuse calls between programs of different hooks, on which "
    "felix panics (projectcalico/calico#11302, mended in v3.31.3). Without these lines it balances "
    "connections of both families, but over IPv6 no datagrams."
)


@dataclass(frozen=True)
class _Module:
    """A Go module and the sum of its files. Go's checksum database doesn't know these versions."""

    path: str
    version: str
    sum: str


@dataclass(frozen=True)
class _Patch:
    """Text of a file of felix's that becomes another, and why."""

    file: str
    old: str
    new: str
    why: str


@dataclass(frozen=True)
class _Recipe:
    calico: _Module
    std: _Module
    api: _Module
    libbpf_url: str
    libbpf_sha256: str
    patches: tuple[_Patch, ...]
    make: tuple[str, ...]
    objects: tuple[str, ...]
    go: tuple[str, ...]


RECIPE = _Recipe(
    # Release v3.31.0: the proxy has its commit, not its tag.
    calico=_Module(_CALICO, _COMMIT, "h1:PbLe6D0Yis8ce4F+o/Dmlrv4Her2ZN6ns8rmlZoFoEY="),
    std=_Module(f"{_CALICO}/lib/std", _COMMIT, "h1:iLY3Uzt4pVX3jpS9Wt+mxakq1nfzN/32t6YZK9n7p/U="),
    api=_Module(
        "github.com/projectcalico/api",
        "v0.0.0-20251022175904-f2ab03771208",
        "h1:ltTWo/cCc/8pEpzmlzIjt6r2383x2XDPkuBcd/9kE3k=",
    ),
    # The registry has libbpf's whole source; Debian 12's own libbpf lacks bpf_program__attach_tcx.
    libbpf_url="https://static.crates.io/crates/libbpf-sys/libbpf-sys-1.4.6+v1.4.7.crate",
    libbpf_sha256="f30caf02dfece12c94e2835cab8daf7b52e5c62c1675f334f1dac24be5bd5f82",
    patches=(
        _Patch(
            _CTLB_C, "\tbpf_tail_call(ctx, &cali_ctlb_progs, PROG_INDEX_V6_SENDMSG);\n", "", _CTLB
        ),
        _Patch(
            _CTLB_C, "\tbpf_tail_call(ctx, &cali_ctlb_progs, PROG_INDEX_V6_RECVMSG);\n", "", _CTLB
        ),
        _Patch(_CTLB_GO, '\t"calico_sendmsg_v6": ProgIndexCTLBSendV6,\n', "", _CTLB),
        _Patch(_CTLB_GO, '\t"calico_recvmsg_v6": ProgIndexCTLBRecvV6,\n', "", _CTLB),
        _Patch(
            "felix/bpf-gpl/icmp6.h",
            "\t\tif (bpf_skb_load_bytes(ctx->skb, off, data, sz)) {\n",
            """\
\t\t__u64 n = sz;
\t\tasm volatile("" : "+r"(n));
\t\tif (n > 128) return -1;
\t\tasm volatile("" : "+r"(n));
\t\tif (n == 0) return -1;
\t\tif (bpf_skb_load_bytes(ctx->skb, off, data, n)) {
""",
            "The bounds that this checks clang-19 keeps in another register than the one that is "
            "passed, and the kernel refuses every program of IPv6. Upstream builds with clang-18.",
        ),
    ),
    make=("CC=clang-19", "LD=llc-19"),
    # Those that a kernel with BTF takes, without debug logging.
    objects=("no_log.*co-re", "xdp_no_log", "connect_balancer_no_log"),
    go=(
        "-mod=mod",
        "-buildvcs=false",
        "-trimpath",
        "-ldflags",
        f"-s -w -X {_CALICO}/pkg/buildinfo.Version=v{VERSION}",
    ),
)
_OTHER_OBJECTS = (
    "tc_preamble", "tcx_test", "xdp_preamble", "policy_default",
    "common_map_stub", "ipv4_map_stub", "ipv6_map_stub", "xdp_map_stub",
)  # fmt: skip
_PROGRAMS = ("clang-19", "llc-19", "gcc", "make")
_HEADERS = {"libelf.h": "libelf-dev", "pcap.h": "libpcap-dev", "zlib.h": "zlib1g-dev"}


def lacking() -> str | None:
    """Why felix can't be built on this machine, or None."""
    if OS != "linux":
        return "felix runs on Linux alone"
    absent = [program for program in _PROGRAMS if not shutil.which(program)]
    absent += [h for h in _HEADERS if not Path("/usr/include", h).exists()]
    if not absent:
        return None
    return f"no {', '.join(absent)} here: apt-get install {' '.join(PACKAGES)}"


class _Build:
    """One build."""

    def __init__(self, shop: Workshop) -> None:
        self._shop, self._tree = shop, shop.work / "calico"
        shop.env |= {"CGO_ENABLED": "1", "GONOSUMDB": f"{_CALICO},{RECIPE.api.path}"}

    def all(self) -> None:
        result = self._shop.result
        self._source()
        self._libbpf()
        self._objects(result / "lib/calico/bpf")
        self._program(result / "calico-felix")
        shutil.copytree(self._tree / "libcalico-go/config/crd", result / "crds")

    def _source(self) -> None:
        writable_copy(self._module(RECIPE.calico), self._tree)
        writable_copy(self._module(RECIPE.std), self._tree / "lib/std")
        self._module(RECIPE.api)
        # A module that nothing of felix's imports, and the proxy doesn't have.
        stub = self._tree / "lib/httpmachinery"
        stub.mkdir()
        (stub / "go.mod").write_text(f"module {_CALICO}/lib/httpmachinery\n")
        for change in RECIPE.patches:
            patch(self._tree / change.file, change.old, change.new)
        for script in ("list-objs", "calculate-flags"):
            # The proxy's archive has no executables.
            (self._tree / "felix/bpf-gpl" / script).chmod(0o755)

    def _module(self, module: _Module) -> Path:
        return self._shop.module(module.path, module.version, module.sum)

    def _libbpf(self) -> None:
        archive = self._shop.work / "libbpf.crate"
        try:
            answer = requests.get(RECIPE.libbpf_url, timeout=30)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise BuildFailed(f"{RECIPE.libbpf_url}: {error}") from error
        digest = hashlib.sha256(answer.content).hexdigest()
        if digest != RECIPE.libbpf_sha256:
            raise BuildFailed(f"{RECIPE.libbpf_url} has SHA-256 {digest}, not the pinned one")
        archive.write_bytes(answer.content)
        with tarfile.open(archive) as crate:
            crate.extractall(self._shop.work, filter="data")
        (source,) = self._shop.work.glob("libbpf-sys-*/libbpf")
        libbpf = self._tree / "felix/bpf-gpl/libbpf"
        source.rename(libbpf)
        # felix's programs include <bpf/…>, as of an installed libbpf.
        (libbpf / "src/bpf").symlink_to(".")
        self._shop.run(["make", "BUILD_STATIC_ONLY=1", f"OBJDIR={ARCH}"], libbpf / "src")

    def _objects(self, result: Path) -> None:
        where = self._tree / "felix/bpf-gpl"
        listed = subprocess.run(
            ["./list-objs"], cwd=where, capture_output=True, text=True, check=True
        )
        pattern = re.compile("|".join(RECIPE.objects))
        wanted = [name for name in listed.stdout.split() if pattern.search(name)]
        wanted += [f"bin/{name}.o" for name in _OTHER_OBJECTS]
        self._shop.run(["make", f"-j{os.cpu_count()}", *RECIPE.make, *wanted], where)
        result.mkdir(parents=True)
        for name in wanted:
            shutil.copy2(where / name, result)

    def _program(self, result: Path) -> None:
        api = f"{RECIPE.api.path}={RECIPE.api.path}@{RECIPE.api.version}"
        self._shop.run_go(self._tree, "mod", "edit", f"-replace={api}")
        package = "./felix/cmd/calico-felix"
        self._shop.run_go(self._tree, "build", *RECIPE.go, "-o", str(result), package)


BUILD = SourceBuild(
    "felix",
    VERSION,
    json.dumps([asdict(RECIPE), _OTHER_OBJECTS], sort_keys=True),
    10,
    lambda shop: _Build(shop).all(),
    lacking,
)
"""Leaves ``calico-felix``, its BPF objects (``lib/calico/bpf``), and Calico's definitions for an
API server (``crds``)."""
