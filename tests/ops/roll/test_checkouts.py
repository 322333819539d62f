"""Earlier commits beside the project: clean, with its packages, and gone afterwards."""

from pathlib import Path

import pytest

from ops.render.revisions import RevisionError
from ops.roll.checkouts import Checkouts, Files, commit_of, files_of
from tests.projects import copy_project, git, region, write_stack


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two commits, in a folder of a repository; packages that git doesn't know."""
    folder = copy_project(tmp_path / "repository" / "fleet")
    git(tmp_path / "repository", "init", "-q")
    (tmp_path / "packages").mkdir()
    (folder / ".venv").symlink_to(tmp_path / "packages")
    (tmp_path / "repository" / ".git" / "info" / "exclude").write_text(".venv\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    write_stack(folder, "us", region(version="v1.36.2+1"))
    git(folder, "commit", "-qam", "two")
    return folder


def test_what_the_files_are(project: Path):
    head = git(project, "rev-parse", "HEAD").strip()
    assert files_of(project) == Files(head, dirty=False)
    (project / "new").touch()
    assert files_of(project) == Files(head, dirty=True)
    assert commit_of(project, "HEAD~1") == git(project, "rev-parse", "HEAD~1").strip()
    with pytest.raises(RevisionError, match="nowhere: git knows no such commit"):
        commit_of(project, "nowhere")


def test_an_earlier_commit_is_there_with_the_packages_and_clean(project: Path, tmp_path: Path):
    before = commit_of(project, "HEAD~1")
    with Checkouts(project) as checkouts:
        there = checkouts.at(before)
        assert checkouts.at(before) is there
        assert "v1.36.2+1" not in (there / "Pulumi.us.yaml").read_text()
        assert (there / ".venv").resolve() == tmp_path / "packages"
        assert files_of(there) == Files(before, dirty=False)
    assert not there.exists()
    assert git(project, "worktree", "list").count("\n") == 1


def test_a_folder_outside_of_git_is_said(tmp_path: Path):
    with pytest.raises(RevisionError, match="not a git repository"):
        files_of(copy_project(tmp_path / "fleet"))
