# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lifecycle rules that delete objects of sets are detected, and the safe rule is set beside the others."""

from __future__ import annotations

import json
import secrets
import typing as t
from pathlib import Path

import pytest

from tests.support.fakes.faults import faulty, matching, refusal
from tests.support.operator import Operator
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.s3 import S3Server, moto_server

Options = dict[str, t.Any]
Rule = dict[str, t.Any]


@pytest.fixture(scope="module")
def moto() -> t.Iterator[S3Server]:
    with moto_server() as server:
        yield server


class Backups:
    """A bucket with a store below C(backups/) that has one set of the source C(media)."""

    def __init__(self, server: S3Server, root: Path) -> None:
        self.server, self.client = server, server.client()
        self.bucket = f"b{secrets.token_hex(6)}"
        self.client.create_bucket(Bucket=self.bucket)
        self.store = server.store_options(prefix="backups", bucket=self.bucket)
        (root / "files").mkdir()
        (root / "files/a").write_text("a")
        self.files = {"provider": "directory", "path": str(root / "files")}
        run_module("bucket_backup", {"source": "media", "files": self.files, "store": self.store})

    def put(self, key: str) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=b"x")

    def set_rules(self, *rules: Rule) -> None:
        self.client.put_bucket_lifecycle_configuration(
            Bucket=self.bucket, LifecycleConfiguration={"Rules": list(rules)}
        )

    def rules(self) -> list[Rule]:
        return t.cast(list[Rule], self.client.get_bucket_lifecycle_configuration(Bucket=self.bucket)["Rules"])

    def check(self, url: str | None = None) -> Options:
        return run_module("store_check", {"store": {**self.store, "endpoint_url": url or self.server.endpoint_url}})

    def lifecycle(self, *, check_mode: bool = False, **options: t.Any) -> Options:
        return run_module("store_lifecycle", {"store": self.store, **options}, check_mode=check_mode)


@pytest.fixture
def backups(moto: S3Server, tmp_path: Path) -> Backups:
    return Backups(moto, tmp_path)


def rule(prefix: str | None = "", *, days: int | None = 30, status: str = "Enabled", **more: t.Any) -> Rule:
    made: Rule = {"ID": f"rule-{secrets.token_hex(3)}", "Status": status, **more}
    if prefix is not None:
        made.setdefault("Filter", {"Prefix": prefix})
    if days:
        made["Expiration"] = {"Days": days}
    return made


EXPIRING = {
    "of the bucket": rule(),
    "of the store": rule("backups/"),
    "of a prefix of its name": rule("back"),
    "of a source": rule("backups/media/daily/"),
    "of a source to come": rule("backups/school/"),
    "at a date": rule("backups/", days=None, Expiration={"Date": "2030-01-01T00:00:00Z"}),
    "of the old form": {**rule(None), "Prefix": "backups/"},
    "by size": rule(Filter={"And": {"Prefix": "backups/", "ObjectSizeGreaterThan": 10}}),
}

HARMLESS = {
    "of another prefix": rule("logs/"),
    "of another application below the store": rule("backups/exports/"),
    "disabled": rule(status="Disabled"),
    "of probes": rule("backups/probes/"),
    "of older versions": rule(days=None, NoncurrentVersionExpiration={"NoncurrentDays": 7}),
    "of uploads": rule(days=None, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7}),
    "of tagged objects": rule(Filter={"And": {"Prefix": "backups/", "Tags": [{"Key": "a", "Value": "b"}]}}),
}


@pytest.mark.parametrize("name", EXPIRING)
def test_a_rule_that_deletes_objects_of_the_store_is_detected(backups: Backups, name: str) -> None:
    backups.set_rules(HARMLESS["of uploads"], EXPIRING[name])
    before = backups.client.list_objects_v2(Bucket=backups.bucket)["KeyCount"]
    with pytest.raises(ModuleFailed) as caught:
        backups.check()
    failed = caught.value.result
    assert failed["error_kind"] == "expiring_rule"
    assert EXPIRING[name]["ID"] in failed["msg"]
    assert backups.client.list_objects_v2(Bucket=backups.bucket)["KeyCount"] == before
    verified = run_module("backup_verify", {"source": "media", "store": backups.store, "depth": "presence"})
    assert len(verified["expiring_rules"]) == 1
    assert "destroys backup sets" in json.dumps(verified["warnings"])


def test_rules_that_leave_the_store_alone_are_accepted(backups: Backups) -> None:
    backups.put("backups/exports/report.csv")
    assert backups.check()["lifecycle"] == "safe"
    backups.set_rules(*HARMLESS.values())
    checked = backups.check()
    assert checked["lifecycle"] == "safe"
    assert "no lifecycle rule deletes its objects" in checked["summary"]


def test_rules_that_may_not_be_read_are_not_called_safe(backups: Backups) -> None:
    with faulty(backups.server, matching("^GET .*lifecycle", refusal(403, "AccessDenied"))) as url:
        checked = backups.check(url)
    assert checked["lifecycle"] == "unknown"
    assert "NOT checked" in checked["summary"]


def test_the_abort_of_uploads_is_added_to_the_existing_rules(backups: Backups) -> None:
    backups.set_rules(rule("logs/"), EXPIRING["of a source"])
    before = backups.rules()
    assert backups.lifecycle(check_mode=True)["changed"] is True
    assert backups.rules() == before
    done = backups.lifecycle(abort_uploads_days=5)
    assert done["changed"] is True
    assert len(done["expiring_rules"]) == 1
    (added,) = (one for one in backups.rules() if one not in before)
    assert added["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 5}
    assert (added["Filter"], "Expiration" in added) == ({"Prefix": "backups/"}, False)
    assert backups.lifecycle(abort_uploads_days=5)["changed"] is False
    assert backups.lifecycle(abort_uploads_days=6)["changed"] is True
    assert backups.lifecycle(state="absent")["changed"] is True
    assert backups.rules() == before
    assert backups.lifecycle(state="absent")["changed"] is False


def test_the_last_rule_can_be_removed(backups: Backups) -> None:
    backups.lifecycle()
    assert backups.lifecycle(state="absent")["rules"] == []
    assert backups.check()["lifecycle"] == "safe"


@pytest.mark.parametrize("options", [{"abort_uploads_days": 0}, {"store": {"provider": "directory", "path": "/tmp"}}])
def test_a_rule_that_cannot_be_set_is_refused(backups: Backups, options: Options) -> None:
    with pytest.raises(ModuleFailed) as caught:
        backups.lifecycle(**options)
    assert caught.value.result["error_kind"] in ("invalid_options", "unsupported")


def test_playbooks_set_the_safe_rule_and_report_the_other(backups: Backups, operator: Operator) -> None:
    inventory = {"recovery_source": "media", "recovery_store": backups.store, "recovery_environment": "sandbox"}
    pruned = operator.play("prune", "-e", "recovery_abort_uploads_days=7", inventory=inventory)
    assert pruned.returncode == 0, pruned.stdout + pruned.stderr
    assert [one["AbortIncompleteMultipartUpload"] for one in backups.rules()] == [{"DaysAfterInitiation": 7}]
    verified = operator.cold.play("verify", "-e", "verify_level=daily", inventory=inventory)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    backups.set_rules(EXPIRING["of the store"])
    verified = operator.play("verify", "-e", "verify_level=daily", inventory=inventory)
    assert verified.returncode != 0
    assert EXPIRING["of the store"]["ID"] in verified.stdout
