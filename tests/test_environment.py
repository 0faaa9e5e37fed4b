"""What figures were made with: versions as they are installed, and the state of the folder as git has it."""

import subprocess
from importlib.metadata import version

import pytest

from rtcprobe.probe.environment import environment

PACKAGES = ("aiortc", "aioice", "av", "numpy", "scipy", "pyopenssl", "cryptography", "pylibsrtp")

NOBODY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


@pytest.fixture
def git(tmp_path, monkeypatch):
    """A checkout without a commit, and the current folder; called with what git is to do there."""
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def git(*asked):
        named = ("-c", "user.name=anna", "-c", "user.email=anna@example.org")
        return subprocess.run(("git", *named, *asked), capture_output=True, text=True, check=True).stdout.strip()

    git("init", "-q")
    return git


def test_each_package_says_the_version_that_is_installed():
    made = environment()
    assert {name: made[name] for name in PACKAGES} == {name: version(name) for name in PACKAGES}


def test_the_commit_is_the_one_checked_out_and_dirty_once_a_tracked_file_differs(git, tmp_path):
    assert "commit" not in environment()  # before the first one
    (tmp_path / "kept").write_text("1")
    git("add", "kept")
    git("commit", "-qm", "first")
    first = git("rev-parse", "HEAD")
    (tmp_path / "beside").write_text("not tracked, so no difference")
    assert environment()["commit"] == first
    (tmp_path / "kept").write_text("2")
    assert environment()["commit"] == f"{first}-dirty"
    git("commit", "-qam", "second")
    git("checkout", "-q", first)  # no branch at all
    assert environment()["commit"] == first


def test_a_folder_below_is_of_the_same_checkout(git, tmp_path, monkeypatch):
    (tmp_path / "kept").write_text("1")
    git("add", "kept")
    git("commit", "-qm", "first")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert environment()["commit"] == git("rev-parse", "HEAD")


def test_outside_a_checkout_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "commit" not in environment()
