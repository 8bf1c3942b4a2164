# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Edge functions are rolled back to the sources of a commit, all or none, proved, and restored from their bundles."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from tests.support.fakes.supabase import REF, Fault
from tests.support.fakes.supabase_functions import FunctionsServer, functions_server
from tests.support.git import Repository, git
from tests.support.runner.modules import ModuleFailed, run_module

Options = dict[str, t.Any]
BASE = "supabase/functions"
#: A function with an import map, a shared module, a module over several lines, a dynamic import and a static file.
GOOD = {
    f"{BASE}/hello/index.ts": 'import { serve } from "std/http";\nimport {\n  greet,\n  type Greeting,\n} from '
    '"@shared/greet.ts";\nexport * from "./types.ts";\nconst late = await import("./late.ts");\n'
    'export const BUILD = "1";\n',
    f"{BASE}/hello/types.ts": "export type X = string;\n",
    f"{BASE}/hello/late.ts": 'import data from "./data.json" with { type: "json" };\n',
    f"{BASE}/hello/data.json": "{}\n",
    f"{BASE}/hello/deno.json": '{\n  // Shared modules\n  "imports": {"std/": "https://deno.land/std/", '
    '"@shared/": "../_shared/",},\n}\n',
    f"{BASE}/_shared/greet.ts": 'import "../_shared/log.ts";\nexport const greet = 1;\n',
    f"{BASE}/_shared/log.ts": "export const log = 1;\n",
    f"{BASE}/hello/page.html": "<p>hello</p>\n",
    f"{BASE}/other/index.ts": 'export const BUILD = "other 1";\n',
    "supabase/config.toml": '[functions.hello] # comment\nverify_jwt = true\nstatic_files = [\n'
    '  "./functions/hello/*.html",\n]\n[functions.other]\nverify_jwt = false\n',
}  # fmt: skip
SENT = sorted(name for name in GOOD if "/other/" not in name and not name.endswith(".toml"))


@pytest.fixture
def server(tmp_path: Path) -> t.Iterator[FunctionsServer]:
    """The bad release is current; the service does not check tokens of the function hello."""
    with functions_server(tmp_path / "api") as running:
        running.deploy("hello", {f"{BASE}/hello/index.ts": 'export const BUILD = "2";'}, verify_jwt=False)
        running.deploy("other", {f"{BASE}/other/index.ts": 'export const BUILD = "other 2";'}, verify_jwt=True)
        running.deploy("third", {f"{BASE}/third/index.ts": 'export const BUILD = "3";'})
        yield running


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository.create(tmp_path)
    repository.commit("Release 1", GOOD)
    repository.commit("Release 2", {f"{BASE}/hello/index.ts": 'export const BUILD = "2";\n'})
    return repository


@pytest.fixture
def options(server: FunctionsServer, repository: Repository, tmp_path: Path) -> Options:
    return {
        **server.options(
            api_timeout=4, poll_seconds=0.02, deploy_timeout=5, keep_dir=str(tmp_path / "kept"), health_timeout=0.2
        ),
        "remote": str(repository.bare),
        "ref": "main~1",
        "functions": ["hello"],
    }


def act(options: Options, *, check_mode: bool = False, **more: t.Any) -> Options:
    result = run_module("supabase_function", {**options, **more}, check_mode=check_mode)
    assert options["access_token"] not in json.dumps(result)
    return result


def refused(options: Options, **more: t.Any) -> Options:
    with pytest.raises(ModuleFailed) as caught:
        act(options, **more)
    result = caught.value.result
    assert "Unexpected" not in result["msg"] and options["access_token"] not in json.dumps(result)
    return result


def writes(server: FunctionsServer) -> list[str]:
    """Requests that replace a function. A bundle that is only made is no such request."""
    return [line for line in server.writes() if line != "POST functions/deploy"]


def test_a_function_gets_the_sources_of_the_commit_and_keeps_verify_jwt(
    server: FunctionsServer, repository: Repository, options: Options
) -> None:
    tree = repository.state()
    others = {slug: server.functions[slug] for slug in ("other", "third")}
    server.slow_looks = 2
    health = {"health_url": f"{server.api_url}/functions/v1/hello", "health_body": {"build": "1"}}
    done = act(options, **health)
    assert server.files("hello") == {name: GOOD[name] for name in SENT}
    assert (done["changed"], done["proved"], done["commit"]) == (
        True,
        True,
        git(repository.bare, "rev-parse", "main~1"),
    )
    (entry,) = done["functions"]
    assert (entry["from_version"], entry["version"], entry["verify_jwt"], entry["equal"]) == (1, 2, False, True)
    assert entry["ezbr_sha256"] == server.functions["hello"]["ezbr_sha256"]
    assert server.functions["hello"]["verify_jwt"] is False
    assert {slug: server.functions[slug] for slug in others} == others
    assert server.forms[0]["metadata"] == {
        "entrypoint_path": f"{BASE}/hello/index.ts",
        "import_map_path": f"{BASE}/hello/deno.json",
        "name": "hello",
        "static_patterns": [f"{BASE}/hello/*.html"],
        "verify_jwt": False,
    }
    assert repository.state() == tree

    again = act(options, **health)
    assert (again["changed"], again["unchanged"]["next_step"]) == (False, "Nothing is left to do.")
    assert writes(server) == ["PUT functions"]

    back = act({**options, **done["undo"]}, functions=[])
    assert server.files("hello") == {f"{BASE}/hello/index.ts": 'export const BUILD = "2";'}
    assert (back["functions"][0]["version"], server.functions["hello"]["verify_jwt"]) == (3, False)
    assert act({**options, **done["undo"]}, functions=[])["changed"] is False
    act({**options, **back["undo"]}, functions=[])
    assert server.files("hello") == {name: GOOD[name] for name in SENT}


def test_check_mode_bundles_and_replaces_nothing(server: FunctionsServer, options: Options, tmp_path: Path) -> None:
    before = {slug: dict(one) for slug, one in server.functions.items()}
    planned = act(options, check_mode=True)
    assert planned["plan"]["functions"][0]["files"] == SENT
    assert planned["summary"].startswith("Would deploy 1 function of ")
    assert (server.functions, writes(server), (tmp_path / "kept").exists()) == (before, [], False)
    assert refused(options, recovery_confirm="other")["error_kind"] == "confirmation_required"
    done = act(options, recovery_confirm=planned["plan_digest"])
    assert done["functions"][0]["ezbr_sha256"] == planned["plan"]["functions"][0]["ezbr_sha256"]
    assert act(options, check_mode=True)["changed"] is False


def test_several_functions_are_switched_in_one_request_or_not_at_all(
    server: FunctionsServer, repository: Repository, options: Options
) -> None:
    before = {slug: dict(one) for slug, one in server.functions.items()}
    repository.commit("Broken", {f"{BASE}/other/index.ts": 'import "./gone.ts";\n'})
    result = refused(options, functions=["hello", "other"], ref="main")
    assert result["error_kind"] == "invalid_options"
    assert 'Module not found "file:///src/supabase/functions/other/gone.ts"' in result["msg"]
    assert (server.functions, writes(server)) == (before, [])
    done = act(options, functions=["hello", "other"], ref="main~2")
    assert writes(server) == ["PUT functions"]
    assert [entry["version"] for entry in done["functions"]] == [2, 2]
    assert server.functions["other"]["verify_jwt"] is True
    assert server.functions["third"] == before["third"]


def test_a_function_that_the_project_does_not_have_gets_the_configured_verify_jwt(
    server: FunctionsServer, options: Options
) -> None:
    del server.functions["other"]
    done = act(options, functions=["other"])
    assert (server.functions["other"]["verify_jwt"], done["functions"][0]["from_version"]) == (False, None)
    assert done["undo"] == {"state": "absent", "functions": ["other"]}
    undone = act(options, **{**done["undo"], "recovery_confirm": "other"})
    assert "other" not in server.functions
    act({**options, **undone["undo"]}, functions=[])
    assert server.files("other") == {f"{BASE}/other/index.ts": GOOD[f"{BASE}/other/index.ts"]}
    assert server.functions["other"]["verify_jwt"] is False


def test_a_function_is_deleted_only_after_its_replacement_was_proved(server: FunctionsServer, options: Options) -> None:
    absent = {
        "state": "absent",
        "functions": ["third"],
        "replacement": "hello",
        "health_url": f"{server.api_url}/functions/v1/hello",
        "health_body": {"build": "1"},
        "recovery_confirm": "third",
    }
    result = refused(options, **absent)
    assert (result["error_kind"], "No function was deleted." in result["msg"]) == ("check_failed", True)
    assert refused(options, **{**absent, "replacement": "gone"})["error_kind"] == "not_ready"
    assert refused(options, **{**absent, "replacement": "third"})["error_kind"] == "invalid_options"
    assert (writes(server), set(server.functions)) == ([], {"hello", "other", "third"})
    act(options)
    assert refused(options, **{**absent, "recovery_confirm": None})["error_kind"] == "confirmation_required"
    server.faults = [Fault("DELETE functions/third", after="drop")]
    done = act(options, **absent)
    assert (set(server.functions), done["answer_lost"], done["proved"]) == ({"hello", "other"}, True, True)
    assert act(options, **absent)["changed"] is False


@pytest.mark.parametrize(
    ("fault", "kind", "part"),
    [
        (Fault("POST functions/deploy", before="402"), "unsupported", "change the plan"),
        (Fault("POST functions/deploy", before="403"), "access_denied", "edge_functions:write"),
        (Fault("GET functions", before="404"), "target_missing", "Check `project_ref`"),
        (Fault("PUT functions", before="409"), "target_in_use", "Wait until the other deployment"),
        (Fault("PUT functions", before="402"), "unsupported", "change the plan"),
        (Fault("GET functions/hello/body", before="403"), "access_denied", "edge_functions:read"),
    ],
)
def test_a_refusal_is_one_error_and_leaves_every_function_unchanged(
    server: FunctionsServer, options: Options, fault: Fault, kind: str, part: str
) -> None:
    before = {slug: dict(one) for slug, one in server.functions.items()}
    server.faults = [fault]
    result = refused(options, functions=["hello", "other"])
    assert (result["error_kind"], server.functions) == (kind, before)
    assert part.replace("`project_ref`", "project_ref") in result["msg"]


def test_a_limited_rate_and_a_lost_answer_end_well(server: FunctionsServer, options: Options) -> None:
    server.faults = [
        Fault("GET functions", before="429"),
        Fault("POST functions/deploy", before="429"),
        Fault("PUT functions", after="drop"),
    ]
    done = act(options)
    assert (done["answer_lost"], done["functions"][0]["version"]) == (True, 2)
    assert writes(server) == ["PUT functions"]


def test_an_answer_that_was_lost_before_the_switch_is_a_timeout(server: FunctionsServer, options: Options) -> None:
    server.faults = [Fault("PUT functions", before="drop")]
    result = refused(options, deploy_timeout=0.3)
    assert (result["error_kind"], result["applied"]) == ("timeout", "unknown")
    assert "hello is ACTIVE as version 1" in result["msg"] and "kept" in result["undo"]


def test_a_deployment_of_another_client_since_the_plan_is_kept(server: FunctionsServer, options: Options) -> None:
    files = {f"{BASE}/hello/index.ts": 'export const BUILD = "other client";'}
    answer = server._answer

    def answering(line: str, *arguments: t.Any) -> t.Any:
        if line == "GET functions/hello/body":
            server.deploy("hello", files, verify_jwt=False)
        return answer(line, *arguments)

    server._answer = answering  # type: ignore[method-assign]
    assert refused(options)["error_kind"] == "conflict"
    assert server.files("hello") == files


def test_a_release_that_does_not_answer_as_expected_is_reported_with_its_undo(
    server: FunctionsServer, options: Options
) -> None:
    result = refused(options, health_url=f"{server.api_url}/functions/v1/hello", health_body={"build": "0"})
    assert (result["error_kind"], result["applied"]) == ("check_failed", "yes")
    assert "The new version of hello is active." in result["msg"]
    act({**options, **result["undo"]}, functions=[])
    assert server.files("hello") == {f"{BASE}/hello/index.ts": 'export const BUILD = "2";'}


def test_a_service_without_digests_is_not_reported_as_equal(server: FunctionsServer, options: Options) -> None:
    server.digests = False
    done = act(options)
    assert (done["changed"], done["functions"][0]["equal"]) == (True, None)
    assert act(options)["changed"] is True


@pytest.mark.parametrize(
    ("more", "kind", "part"),
    [
        ({"ref": "v9"}, "invalid_options", "`ref` must be a commit, tag or branch"),
        ({"ref": "--help"}, "invalid_options", "`ref` must be a commit"),
        ({"functions": ["third"]}, "target_missing", "has no function third"),
        ({"functions": ["../x"]}, "invalid_options", "must be slugs"),
        ({"functions": []}, "invalid_options", "`functions` is required"),
        ({"functions": ["hello", "hello"]}, "invalid_options", "a slug twice"),
        ({"workdir": "../x"}, "invalid_options", "`workdir` must be a folder of the repository"),
        ({"workdir": "web"}, "target_missing", "web/supabase/functions/hello/index.ts"),
        ({"poll_seconds": 0}, "invalid_options", "`poll_seconds` must be above 0"),
        ({"health_url": "ftp://x"}, "invalid_options", "`health_url` must be an HTTP address"),
        ({"health_body": "x"}, "invalid_options", "`health_url` is required"),
        ({"project_ref": "b" * 20}, "target_missing", "Project not found"),
        ({"state": "restored", "kept": "/does/not/exist"}, "object_missing", "has no kept functions"),
    ],
)
def test_a_wrong_request_is_refused(
    server: FunctionsServer, options: Options, more: Options, kind: str, part: str
) -> None:
    result = refused(options, **more)
    assert (result["error_kind"], part in result["msg"]) == (kind, True), result["msg"]
    assert server.writes() == []


def test_a_kept_bundle_that_was_changed_is_not_restored(
    server: FunctionsServer, options: Options, tmp_path: Path
) -> None:
    undo = act(options)["undo"]
    Path(undo["kept"], "hello.eszip").write_bytes(b"EZBR{}")
    result = refused({**options, **undo}, functions=[])
    assert (result["error_kind"], "another digest" in result["msg"]) == ("damaged", True)
    index = Path(undo["kept"], "functions.json")
    index.write_text(index.read_text().replace(REF, "z" * 20))
    assert refused({**options, **undo}, functions=[])["error_kind"] == "conflict"
    assert writes(server) == ["PUT functions"]


def test_symbolic_links_and_git_lfs_pointers_are_no_sources(
    server: FunctionsServer, repository: Repository, options: Options
) -> None:
    path = repository.tree / BASE / "hello/page.html"
    path.unlink()
    path.symlink_to("/etc/passwd")
    repository.commit("Link", {f"{BASE}/other/index.ts": "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"})
    planned = act(options, ref="main", check_mode=True)
    assert f"{BASE}/hello/page.html" not in planned["plan"]["functions"][0]["files"]
    assert refused(options, ref="main", functions=["other"])["error_kind"] == "unsupported"
