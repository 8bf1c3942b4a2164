# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commits are taken back on the remote by new commits, completely or not at all, and nothing of a repository runs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import typing as t
from pathlib import Path

import pytest

from tests.support.git import Repository, git, git_over_http
from tests.support.runner.modules import ModuleFailed, run_module

Options = dict[str, t.Any]
APP = "".join(f"line {number}\n" for number in range(20))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Three releases; each changes a file of its own."""
    found = Repository.create(tmp_path)
    found.commit("First release", {"app.ts": APP, "style.css": "body {}"})
    found.commit("Second release", {"style.css": "body { color: red }", "new.ts": "new"})
    found.commit("Third release", {"app.ts": APP.replace("line 5", "broken"), "style.css": None})
    return found


def revert(repository: Repository, *commits: str, check_mode: bool = False, **options: t.Any) -> Options:
    arguments = {"remote": str(repository.bare), "commits": list(commits), **options}
    return run_module("git_revert", arguments, check_mode=check_mode)


def refused(repository: Repository, *commits: str, **options: t.Any) -> Options:
    """The error of a run that must leave the remote unchanged."""
    before = repository.refs()
    with pytest.raises(ModuleFailed) as caught:
        revert(repository, *commits, **options)
    assert repository.refs() == before
    assert "Unexpected" not in caught.value.result["msg"]
    return caught.value.result


def test_the_last_release_is_taken_back_once(repository: Repository) -> None:
    before, parent = repository.state(), git(repository.bare, "rev-parse", "main^")
    planned = revert(repository, "HEAD", check_mode=True, _ansible_diff=True)
    assert (planned["changed"], planned["files"], len(repository.log())) == (True, ["app.ts", "style.css"], 3)
    assert "-broken\n+line 5" in planned["diff"]["prepared"]
    done = revert(repository, "HEAD", reason="The login failed.")
    assert repository.log()[:2] == ['Revert "Third release"', "Third release"]
    assert repository.files() == repository.files(parent)
    assert (done["equal_to"], done["pushed_to"], done["plan_digest"]) == (parent, "main", planned["plan_digest"])
    message = git(repository.bare, "log", "-1", "--format=%B", "main")
    assert f"This reverts commit {done['tip']}." in message and message.endswith("The login failed.")
    assert git(repository.bare, "rev-parse", "main") == done["commit"]
    again = revert(repository, "HEAD")
    assert (again["changed"], "is a revert already" in again["unchanged"]["reason"]) == (False, True)
    assert revert(repository, done["tip"])["changed"] is False
    assert repository.state() == before
    back = revert(repository, *done["undo"]["commits"], branch=done["undo"]["branch"])
    assert back["equal_to"] == done["tip"]


def test_a_range_and_an_older_commit(repository: Repository) -> None:
    first, second = git(repository.bare, "rev-parse", "main~2"), git(repository.bare, "rev-parse", "main~1")
    result = refused(repository, second)
    assert (result["error_kind"], result["conflicts"]) == ("conflict", ["style.css"])
    assert "Take the later commits back too" in result["next_step"]
    repository.commit("Fourth release", {"other.ts": "other"})
    done = revert(repository, f"{first}..main~1")
    assert [one["subject"] for one in done["reverted"]] == ["Third release", "Second release"]
    assert repository.files() == {**repository.files(first), "other.ts": "other"}
    assert done["equal_to"] is None
    everything = revert(repository, *done["undo"]["commits"])
    assert len(everything["reverted"]) == 2
    assert refused(repository, f"{first}..{everything['commit']}", max_commits=3)["error_kind"] == "limit_exceeded"


def test_a_merge_needs_its_mainline(repository: Repository) -> None:
    git(repository.tree, "checkout", "--quiet", "-b", "feature")
    repository.commit("Feature", {"feature.ts": "feature"}, push=False)
    git(repository.tree, "checkout", "--quiet", "main")
    repository.commit("Meanwhile", {"meanwhile.ts": "meanwhile"})
    git(repository.tree, "merge", "--quiet", "--no-ff", "--message", "Merge feature", "feature")
    repository.push()
    before = git(repository.bare, "rev-parse", "main^1")
    result = refused(repository, "HEAD")
    assert (result["error_kind"], f"1 is {before[:12]}" in result["next_step"]) == ("invalid_options", True)
    assert refused(repository, "HEAD", mainline=3)["error_kind"] == "invalid_options"
    assert "is no merge" in refused(repository, "main~1", mainline=1)["msg"]
    merge = git(repository.bare, "rev-parse", "main")
    done = revert(repository, merge, mainline=1)
    assert (done["equal_to"], repository.files()) == (before, repository.files(before))
    assert "changes made to" in git(repository.bare, "log", "-1", "--format=%B", "main")
    revert(repository, *done["undo"]["commits"])
    third = git(repository.bare, "rev-parse", f"{merge}~2")
    assert [one["subject"] for one in revert(repository, f"{third}..{merge}", mainline=1)["reverted"]] == [
        "Merge feature", "Meanwhile"
    ]  # fmt: skip


def test_a_protected_branch_gets_a_branch_to_merge_if_that_is_wanted(repository: Repository) -> None:
    repository.hook(
        "pre-receive",
        'while read -r _ _ ref; do [ "$ref" != refs/heads/main ] || { echo "GH006: protected"; exit 1; }; done',
    )
    result = refused(repository, "HEAD")
    assert (result["error_kind"], "GH006: protected" in result["msg"]) == ("access_denied", True)
    tip = git(repository.bare, "rev-parse", "main")
    done = revert(repository, "HEAD", on_protected="branch")
    aside = f"revert/{tip[:12]}"
    assert (done["pushed_to"], done["changed"], aside in done["summary"]) == (aside, True, True)
    assert git(repository.bare, "rev-parse", "main") == tip
    assert repository.files(aside) == repository.files("main~1")
    again = revert(repository, "HEAD", on_protected="branch")
    assert (again["changed"], again["unchanged"]["next_step"]) == (False, f"Merge {aside}.")
    git(repository.bare, "update-ref", f"refs/heads/{aside}", "main~2")
    assert refused(repository, "HEAD", on_protected="branch")["error_kind"] == "conflict"


#: A program git that lets another developer push before each push, for each count in the file.
_RACE = """#!/bin/sh
left=$(cat "$RACE/left")
case " $* " in *" push "*)
  if [ "$left" -gt 0 ]; then
    echo $((left - 1)) > "$RACE/left"
    (cd "$RACE/tree" && echo "$left" > "other$left" && env -u GIT_CEILING_DIRECTORIES sh "$RACE/other")
  fi;;
esac
exec "$RACE_GIT" "$@"
"""


def race(repository: Repository, monkeypatch: pytest.MonkeyPatch, times: int, script: str) -> None:
    folder = repository.tree.parent
    (folder / "bin").mkdir()
    program, real = folder / "bin/git", shutil.which("git")
    program.write_text(_RACE.replace("$RACE_GIT", str(real)).replace("$RACE", str(folder)))
    program.chmod(0o755)
    (folder / "left").write_text(str(times))
    identity = "-c user.name=a -c user.email=a@example.org"
    (folder / "other").write_text(script.replace("GIT", f"{real} {identity}"))
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")


_PUSHES = "GIT pull -q origin main && GIT add . && GIT commit -qm other && GIT push -q origin HEAD"


def test_a_push_in_between_is_kept_and_the_revert_is_made_again(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip = git(repository.bare, "rev-parse", "main")
    race(repository, monkeypatch, 1, _PUSHES)
    done = revert(repository, tip)
    assert repository.log()[:3] == ['Revert "Third release"', "other", "Third release"]
    assert "other1" in repository.files() and "line 5" in repository.files()["app.ts"]
    assert done["equal_to"] is None


def test_two_pushes_in_between_are_refused(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    race(repository, monkeypatch, 2, _PUSHES)
    with pytest.raises(ModuleFailed, match="Another client pushed to the branch twice") as caught:
        revert(repository, "HEAD")
    assert caught.value.result["error_kind"] == "conflict"
    assert repository.log()[:3] == ["other", "other", "Third release"]


def test_a_branch_that_was_replaced_in_between_is_refused(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    race(repository, monkeypatch, 1, "GIT commit -q --amend -m other && GIT push -q --force origin HEAD")
    with pytest.raises(ModuleFailed, match="Another client replaced commits"):
        revert(repository, "HEAD")
    assert repository.log()[:2] == ["other", "Second release"]


def test_the_same_revert_of_another_developer_is_enough(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    race(repository, monkeypatch, 1, "GIT revert --no-edit HEAD && GIT push -q origin HEAD")
    done = revert(repository, git(repository.bare, "rev-parse", "main"))
    assert (done["changed"], len(repository.log())) == (False, 4)


def test_a_remote_with_a_shallow_history_is_refused(repository: Repository, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow.git"
    git(tmp_path, "clone", "--quiet", "--bare", "--depth=1", f"file://{repository.bare}", str(shallow))
    with pytest.raises(ModuleFailed, match="would delete every file") as caught:
        run_module("git_revert", {"remote": str(shallow), "commits": ["HEAD"]})
    assert caught.value.result["error_kind"] == "unsupported"


def test_nothing_of_a_repository_or_of_the_user_is_run(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hooks, filters, merge and diff drivers, helpers and submodules that would leave a trace."""
    trace = tmp_path / "trace"
    act = f"sh -c 'touch {trace}'"
    repository.commit(
        "Hostile",
        {
            ".gitattributes": "* filter=act merge=act diff=act text eol=crlf ident export-subst\n",
            ".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = "ext::{act}"\n\tupdate = !{act}\n',
            ".githooks/pre-push": f"#!/bin/sh\n{act}\n",
            ".gitconfig": f"[core]\n\tfsmonitor = {act}\n",
            "app.ts": "hostile\n",
        },
    )
    settings = f"""
[core]
  hooksPath = {tmp_path}/hooks
  sshCommand = {act}
  fsmonitor = {act}
[filter "act"]
  smudge = {act}
  clean = {act}
[merge "act"]
  driver = {act}
[diff "act"]
  command = {act}
  textconv = {act}
[credential]
  helper = "!{act}"
[url "ext::{act}"]
  insteadOf = {repository.bare}
[init]
  templateDir = {tmp_path}/template
"""
    for name in ("hooks", "template/hooks"):
        for hook in (
            "pre-push",
            "pre-commit",
            "commit-msg",
            "post-checkout",
            "prepare-commit-msg",
            "reference-transaction",
        ):
            path = tmp_path / name / hook
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/sh\n{act}\n")
            path.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(settings)
    workdir = tmp_path / "workdir"
    workdir.mkdir()
    git(workdir, "init", "--quiet")
    (workdir / ".git/config").write_text(settings)
    monkeypatch.chdir(workdir)
    for name, value in {
        "HOME": str(home), "GIT_SSH_COMMAND": act, "GIT_EXTERNAL_DIFF": act, "GIT_EDITOR": act, "GIT_DIR": str(workdir),
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": act,
        "GIT_TEMPLATE_DIR": str(tmp_path / "template"), "GIT_PAGER": act, "GIT_ASKPASS": act,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    done = revert(repository, "HEAD", _ansible_diff=True)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    assert (done["changed"], trace.exists()) == (True, False)
    assert repository.files() == repository.files("main~2")


def test_a_password_reaches_the_remote_and_no_command_line(repository: Repository) -> None:
    commands: list[str] = []

    def look(_path: str) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                commands.append((process / "cmdline").read_bytes().decode("utf-8", "replace"))

    git(repository.bare, "config", "http.receivepack", "true")
    with git_over_http(repository.bare.parent, "deploy:a-secret-token", look) as url:
        remote = {"remote": f"{url}/remote.git", "username": "deploy"}
        result = refused(repository, "HEAD", **remote, password="a-wrong-secret-token")
        assert (result["error_kind"], "a-wrong-secret-token" in json.dumps(result)) == ("access_denied", False)
        assert refused(repository, "HEAD", **remote)["error_kind"] == "access_denied"
        done = revert(repository, "HEAD", **remote, password="a-secret-token")
    assert (done["pushed_to"], repository.log()[0]) == ("main", 'Revert "Third release"')
    assert any("git" in command for command in commands)
    assert not any("a-secret-token" in command for command in commands)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"remote": "ext::sh -c id"}, "neither a path nor an address"),
        ({"remote": "--upload-pack=id"}, "neither a path nor an address"),
        ({"remote": "git://example.org/x.git"}, "the protocol git is not allowed"),
        ({"remote": "https://user:secret@example.org/x.git"}, "contains credentials"),
        ({"remote": "ssh://-oProxyCommand=id/x"}, "no host"),
        ({"remote": "-oProxyCommand=id:x"}, "neither a path"),
        ({"remote": "x.git"}, "neither a path"),
        ({"remote": "http://example.org/x.git", "password": "secret"}, "without encryption"),
        ({"remote": "/does/not/exist"}, "does not appear to be a git repository"),
        ({"branch": "--upload-pack=id"}, "`branch` must be the name of a branch"),
        ({"branch": "missing"}, "not found"),
        ({"commits": []}, "`commits` is required"),
        ({"commits": ["--help"]}, "`commits` must be commits of the branch main"),
        ({"commits": ["0" * 40]}, "`commits` must be commits of the branch main"),
        ({"commits": ["HEAD~1...HEAD"]}, "`commits` must be"),
        ({"commits": ["HEAD~2"]}, "is the first commit of the branch"),
        ({"commits": ["HEAD..HEAD~1"]}, "OLDER..NEWER"),
        ({"mainline": 0}, "`mainline` must be at least 1"),
        ({"author_name": "a <b>"}, "`author_name` must be one line"),
        ({"timeout": 0}, "`timeout` must be above 0"),
        ({"recovery_confirm": "other"}, "was confirmed as 'other'"),
    ],
)
def test_a_wrong_request_is_refused(repository: Repository, options: Options, message: str) -> None:
    result = refused(repository, **{"commits": ["HEAD"], **options})
    assert message in result["msg"]
    assert "secret" not in json.dumps({name: value for name, value in result.items() if name != "invocation"})


def test_an_empty_remote_has_nothing_to_take_back(tmp_path: Path) -> None:
    empty = Repository.create(tmp_path)
    assert refused(empty, "HEAD")["error_kind"] == "target_missing"


def test_a_remote_that_hangs_ends_with_the_timeout(repository: Repository) -> None:
    repository.hook("pre-receive", "sleep 60")
    result = refused(repository, "HEAD", timeout=2)
    assert (result["error_kind"], "within 2 seconds" in result["msg"]) == ("timeout", True)


def test_the_temporary_clone_is_removed(repository: Repository, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    revert(repository, "HEAD", spool_dir=str(spool))
    refused(repository, "HEAD~9", spool_dir=str(spool))
    assert list(spool.iterdir()) == []
