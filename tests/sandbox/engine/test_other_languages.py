"""TypeScript and YAML run by the real engine through the sandbox's language hosts."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.engine.node_packages import dependencies, environment, required_packages
from sandbox.engine.nodejs_host import executor_arguments
from sandbox.engine.python_environment import RuntimeProblem
from tests.languages import NODE_MODULES, needs_languages
from tests.sandbox.engine.cli_project import Project, cli

TYPESCRIPT = """
    import * as pulumi from "@pulumi/pulumi";

    const size: string = new pulumi.Config().require("size");
    class Pot extends pulumi.ComponentResource {
        constructor(name: string) {
            super("kiln:index:Pot", name);
            this.registerOutputs({});
        }
    }
    new Pot("pot");
    export const said = `${size}, ${pulumi.getStack()}`;
"""
YAML = """
    name: shop
    runtime: yaml
    config:
      size: {type: string}
    outputs:
      said: ${size}, ${pulumi.stack}
"""


@pytest.fixture(scope="module")
def pulumi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cli(tmp_path_factory.mktemp("pulumi"))


@pytest.fixture
def typescript(tmp_path: Path, pulumi: Path) -> Project:
    project = Project(tmp_path, pulumi, "name: shop\nruntime: nodejs\n")
    (project.folder / "node_modules").symlink_to(NODE_MODULES)
    project.write("package.json", '{"name": "shop", "main": "index.ts"}')
    project.write("index.ts", TYPESCRIPT)
    return project


def comes_up(project: Project) -> None:
    done = project.run("up", "-s", "dev", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    done = project.run("preview", "-s", "dev", "--expect-no-changes")
    assert done.returncode == 0, done.stdout + done.stderr
    done = project.run("stack", "output", "said", "-s", "dev")
    assert done.stdout.strip() == "small, dev"


@needs_languages
def test_typescript_comes_up_and_says_what_is_wrong(typescript: Project) -> None:
    comes_up(typescript)
    done = typescript.run("about", "-s", "dev")
    assert "nodejs" in done.stdout, done.stdout + done.stderr
    assert "executable='" in done.stdout

    typescript.write("index.ts", TYPESCRIPT.replace("size: string", "size: number"))
    shown = "".join(output(typescript))
    assert "index.ts(4,7): error TS2322" in shown
    assert "non-zero exit code" not in shown

    typescript.write("index.ts", "process.exit(3);")
    assert "Program exited with non-zero exit code: 3" in "".join(output(typescript))

    (typescript.folder / "node_modules").unlink()
    (typescript.folder / "node_modules").mkdir()
    assert "Have you run `pulumi install` in " in "".join(output(typescript))

    typescript.write(
        "Pulumi.yaml", "name: shop\nruntime: {name: nodejs, options: {packagemanager: bun}}"
    )
    assert "this language host knows npm only" in "".join(output(typescript))


@needs_languages
def test_yaml_comes_up_and_says_what_is_wrong(tmp_path: Path, pulumi: Path) -> None:
    project = Project(tmp_path, pulumi, YAML)
    comes_up(project)
    project.write("Pulumi.yaml", YAML.replace("${size}", "${sise}"))
    assert 'resource or variable named "sise" could not be found' in "".join(output(project))


def output(project: Project) -> tuple[str, str]:
    """What a preview says that fails."""
    done = project.run("preview", "-s", "dev")
    assert done.returncode != 0
    return done.stdout, done.stderr


def test_arguments_of_the_executor() -> None:
    request = SimpleNamespace(
        monitor_address="127.0.0.1:1",
        project="shop",
        stack="dev",
        dryRun=True,
        parallel=16,
        organization="organization",
        info=SimpleNamespace(root_directory="/shop", program_directory="/shop/of", entry_point="."),
        args=["--flag"],
    )
    given = executor_arguments(request, "127.0.0.1:2")
    assert given[-3:] == ["--dry-run", ".", "--flag"]
    assert dict(zip(given[:-3:2], given[1:-3:2], strict=True)) == {
        "--monitor": "127.0.0.1:1",
        "--engine": "127.0.0.1:2",
        "--organization": "organization",
        "--project": "shop",
        "--root-directory": "/shop",
        "--stack": "dev",
        "--pwd": "/shop/of",
        "--parallel": "16",
    }
    request.dryRun = False
    assert "--dry-run" not in executor_arguments(request, "")


def test_plugins_come_from_their_packages(tmp_path: Path) -> None:
    asks: dict[str, Any] = {"resource": True}
    elsewhere = {"name": "pot", "version": "v4.5.6", "server": "github://x/y/z"}
    for package, version, pulumi in (
        ("@pulumi/kiln", "1.2.3", asks),
        ("pottery", "1.0.0", asks | elsewhere),
        ("pottery/node_modules/clay", "", asks),
        ("plain", "1.0.0", None),
        ("component", "1.0.0", {"resource": False}),
    ):
        folder = tmp_path / "node_modules" / package
        folder.mkdir(parents=True)
        content = {"name": package.rpartition("modules/")[2], "version": version, "pulumi": pulumi}
        (folder / "package.json").write_text(json.dumps(content))
    kind = {"kind": "resource"}
    assert required_packages(tmp_path) == [
        {**kind, "name": "kiln", "version": "v1.2.3", "server": ""},
        {**kind, "name": "pot", "version": "v4.5.6", "server": "github://x/y/z"},
        {**kind, "name": "clay", "version": "", "server": ""},
    ]


def test_dependencies_come_from_what_is_installed(tmp_path: Path) -> None:
    assert dependencies(tmp_path, transitive=True) == {}
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "package.json").write_text('{"dependencies": {"kiln": "^1.0.0"}}')
    (tmp_path / "node_modules" / ".package-lock.json").write_text(
        '{"packages": {"node_modules/kiln": {"version": "1.2.3"}, "node_modules/clay": '
        '{"version": "2.0.0"}, "node_modules/kiln/node_modules/clay": {"version": "1.0.0"}}}'
    )
    assert dependencies(tmp_path, transitive=True) == {"kiln": "1.2.3", "clay": "2.0.0"}
    assert dependencies(tmp_path, transitive=False) == {"kiln": "1.2.3"}


def test_runtime_options() -> None:
    assert environment({}) == {"PULUMI_NODEJS_TYPESCRIPT": "true"}
    assert environment({"typescript": False, "tsconfig": "other.json"}) == {
        "PULUMI_NODEJS_TSCONFIG_PATH": "other.json"
    }
    with pytest.raises(RuntimeProblem, match="packagemanager is 'yarn'"):
        environment({"packagemanager": "yarn"})
    with pytest.raises(RuntimeProblem, match="typescript is 'yes'"):
        environment({"typescript": "yes"})
