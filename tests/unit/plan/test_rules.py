# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sound plan, broken in one way, gives exactly the finding of that rule, and no other."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._plan.placeholders import is_placeholder
from ansible_collections.lifeline.recovery.plugins.module_utils._plan.registry import RULES, TRAPS
from ansible_collections.lifeline.recovery.plugins.module_utils._plan.rules_methods import _BAD_STEPS
from ansible_collections.lifeline.recovery.plugins.module_utils._plan.steps import STEPS
from tests.support.data.plans import GONE, changed, judge, sound

_FAIL_OVER = ["check_lag", "fence", "promote", "wait_writable", "switch_config", "switch_dns", "roll_back"]
_NEW_SOURCE = {"name": "extra", "kind": "d1", "objectives": {"rto_seconds": "1h", "rpo_seconds": "1h"}}
_NEW_ASSET = {"name": "avatars", "bucket": "school-avatars", "region": "eu-central-1"}
_VERSIONS = [{"name": "drafts", "objectives": {"rpo_seconds": "1h"}, "covered_by": "versions"}]


def without(step: str) -> list[str]:
    return [item for item in _FAIL_OVER if item != step]


#: Rule, what is changed, and where it is found. A rule may be broken in several ways.
BREAKS: list[tuple[str, dict[str, t.Any], list[str]]] = [
    ("name_unknown", {"scenarios[0].method": "restore_swop"}, ["scenarios[0].method"]),
    ("name_unknown", {"sources[0].stores[1]": "bakcups"}, ["sources[0].stores[1]"]),
    ("name_unknown", {"stores[0].copies[1]": "third"}, ["stores[0].copies[1]"]),
    ("name_unknown", {"channels[1].fallback": "rom"}, ["channels[1].fallback"]),
    ("objective_missing", {"sources[1].objectives.rto_seconds": GONE}, ["sources[1].objectives"]),
    ("rpo_gap", {"sources[1].objectives.rpo_seconds": "12h"}, ["sources[1].objectives.rpo_seconds"]),
    ("rpo_gap", {"sources[1].tiers.daily.schedule": "Mon..Fri 02:00"}, ["sources[1].objectives.rpo_seconds"]),
    ("rpo_loose", {"sources[0].objectives.rpo_seconds": "24h"}, ["sources[0].objectives.rpo_seconds"]),
    ("rpo_of_versions", {"sources[1].classes": _VERSIONS}, ["sources[1].classes[0].objectives.rpo_seconds"]),
    ("pitr_without_method", {"methods[2].steps": ["keep_undo", "check_content"]}, ["sources[0].pitr"]),
    ("rto_estimate", {"scenarios[3].estimate_seconds.max": "4h"}, ["scenarios[3].estimate_seconds"]),
    ("estimate_missing", {"scenarios[3].estimate_seconds": GONE}, ["scenarios[3].estimate_seconds"]),
    ("backup_missing", {"sources[2]": _NEW_SOURCE}, ["sources[2]"]),
    ("backup_in_bucket_of_assets", {"stores[0].bucket": "school-media"}, ["stores[0].bucket"]),
    ("backup_in_account_of_assets", {"stores[1].account": "school-production"}, ["stores[1].account"]),
    (
        "copy_elsewhere_missing",
        {"sources[0].account": "one", "stores[0].account": "one", "stores[1].account": "one"},
        ["sources[0].stores"],
    ),
    ("single_place", {"stores[0].copies": []}, ["sources[0].stores", "sources[1].stores"]),
    ("copies_in_one_region", {"stores[1].region": "eu-central-1"}, ["sources[0].stores", "sources[1].stores"]),
    ("lock_missing", {"stores[0].object_lock": False}, ["sources[0].stores", "sources[1].stores"]),
    ("not_encrypted", {"stores[1].encrypted": GONE}, ["stores[1].encrypted"]),
    ("files_unprotected", {"assets[1]": _NEW_ASSET}, ["assets[1]"]),
    ("region_side_missing", {"regions.primary": GONE}, ["regions.primary"]),
    ("region_side_missing", {"regions.secondary": GONE}, ["regions.secondary"]),
    ("secondary_empty", {"regions.secondary": {"name": "eu-north-1", "application": True}}, ["regions.secondary"]),
    ("residency_undefined", {"residency": {}}, ["residency.allowed_regions"]),
    ("region_forbidden", {"stores[1].region": "us-east-1"}, ["stores[1].region"]),
    ("region_forbidden", {"assets[0].region": "us-east-1"}, ["assets[0].region"]),
    ("region_forbidden", {"regions.secondary.name": "us-east-1"}, ["regions.secondary.name"]),
    ("region_unknown", {"stores[1].region": GONE}, ["stores[1].region"]),
    ("keep_missing", {"sources[1].tiers.daily.keep": GONE}, ["sources[1].tiers.daily.keep"]),
    ("pruning_missing", {"sources[1].tiers.daily.pruned_by": "nobody"}, ["sources[1].tiers.daily.pruned_by"]),
    ("pruning_missing", {"sources[1].tiers.daily.pruned_by": GONE}, ["sources[1].tiers.daily.pruned_by"]),
    ("pruned_by_lifecycle", {"sources[1].tiers.daily.pruned_by": "lifecycle"}, ["sources[1].tiers.daily.pruned_by"]),
    ("kept_too_short", {"sources[1].tiers.daily.keep": 31}, ["sources[1].tiers"]),
    ("kept_too_long", {"sources[0].keep_at_most_seconds": "90d"}, ["sources[0].keep_at_most_seconds"]),
    ("limit_missing", {"sources[0].keep_at_most_seconds": GONE}, ["sources[0].keep_at_most_seconds"]),
    ("record_too_long", {"records[0].keep_seconds": "3y"}, ["records[0].keep_seconds"]),
    ("erasure_missing", {"erasure.replayed": False}, ["erasure.replayed"]),
    *(
        (
            step,
            {"methods[7]": {"name": "other", "kind": "restore", "steps": ["quiesce", step]}},
            ["methods[7].steps[1]"],
        )
        for step, *_rest in _BAD_STEPS
    ),
    ("dump_narrower_than_checks", {"methods[0].schemas": ["public"]}, ["methods[6].counts"]),
    ("latest_never_written", {"methods[1].steps[4]": "read_latest"}, ["methods[1].steps[4]"]),
    ("not_neutralised", {"methods[6].steps": ["restore_copy", "check_content"]}, ["methods[6].steps"]),
    ("undo_missing", {"scenarios[3].destructive": True}, ["scenarios[3].undo"]),
    ("method_missing", {"scenarios[3].method": GONE}, ["scenarios[3].method"]),
    ("failover_unfenced", {"methods[5].steps": without("fence")}, ["methods[5].steps"]),
    ("failover_unfenced", {"methods[5].steps": [*without("fence"), "fence"]}, ["methods[5].steps"]),
    ("failover_lag_unchecked", {"methods[5].steps": without("check_lag")}, ["methods[5].steps"]),
    ("failover_not_awaited", {"methods[5].steps": without("wait_writable")}, ["methods[5].steps"]),
    (
        "failover_dns_early",
        {"methods[5].steps": ["check_lag", "fence", "switch_dns", "promote", "wait_writable", "roll_back"]},
        ["methods[5].steps[2]"],
    ),
    ("failover_no_rollback", {"methods[5].steps": without("roll_back")}, ["methods[5].steps"]),
    ("verification_missing", {"verification[2].proves": "readable"}, ["verification"]),
    ("verification_untimed", {"verification[0].every": GONE}, ["verification[0].every"]),
    ("freshness_by_rows", {"verification[0].freshness": "application_rows"}, ["verification[0].freshness"]),
    ("drill_missing", {"drills[3]": GONE}, ["scenarios[3]"]),
    ("drill_never_run", {"drills[3].last": GONE}, ["drills[3].last"]),
    ("drill_never_run", {"drills[3].last": "_[To be filled in]_"}, ["drills[3].last"]),
    ("window_missing", {"drills[3].window": GONE}, ["drills[3].window"]),
    ("drill_overdue", {"drills[0].last": "2025-11-28"}, ["drills[0].last"]),
    ("first_steps_undated", {"document.begun": GONE}, ["document.begun"]),
    ("first_step_overdue", {"first_steps[1].done": GONE}, ["first_steps[1].done"]),
    ("first_step_overdue", {"first_steps[2].after_days": 30}, ["first_steps[2].done"]),
    (
        "failure_unannounced",
        {"channels[0].events": ["backup.succeeded"], "channels[1].sources": ["school"]},
        ["channels"],
    ),
    (
        "failure_unannounced",
        {"channels[0].severities": ["warning"], "channels[1].sources": ["*-media"]},
        ["channels"],
    ),
    ("heartbeat_missing", {"channels[2]": GONE}, ["channels"]),
    ("escalation_flat", {"escalation": [{"who": "on_call"}]}, ["escalation"]),
    ("escalation_untimed", {"escalation[1].after_seconds": GONE}, ["escalation[1].after_seconds"]),
    ("contact_unfilled", {"contacts[0].mail": "[CONTACT INFO]"}, ["contacts[0].mail"]),
    ("contact_unfilled", {"contacts[0].name": "TBD"}, ["contacts[0].name"]),
    ("contact_unfilled", {"contacts[0].mail": ""}, ["contacts[0].mail"]),
    ("contact_unfilled", {"contacts[0].mail": GONE}, ["contacts[0]"]),
    ("role_missing", {"contacts[4]": GONE}, ["contacts"]),
    ("vendor_missing", {"contacts[5]": GONE}, ["contacts"]),
    ("document_unfilled", {"document.owner": "[NAME]"}, ["document.owner"]),
    ("document_unfilled", {"document.next_review": "[DATE]"}, ["document.next_review"]),
    ("review_overdue", {"document.next_review": "2026-02-28"}, ["document.next_review"]),
    ("message_missing", {"messages[1]": GONE}, ["messages"]),
]


def test_a_sound_plan_has_no_finding() -> None:
    assert judge(sound()) == []


@pytest.mark.parametrize(("rule", "changes", "paths"), BREAKS, ids=[f"{n}-{item[0]}" for n, item in enumerate(BREAKS)])
def test_a_plan_broken_in_one_way_has_that_finding_alone(
    rule: str, changes: dict[str, t.Any], paths: list[str]
) -> None:
    found = judge(changed(sound(), changes))
    assert [(item.id, item.path) for item in found] == [(rule, path) for path in paths]


def test_every_rule_is_broken_by_a_test_and_has_a_name_of_its_own() -> None:
    assert {rule for rule, _changes, _paths in BREAKS} == {rule.id for rule in RULES}
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_every_trap_is_detected_by_a_rule() -> None:
    assert {rule.trap for rule in RULES if rule.trap} == set(TRAPS)


def test_every_step_that_a_rule_is_about_is_a_word_of_plans() -> None:
    assert [step for step, *_rest in _BAD_STEPS if step not in STEPS] == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"drills[0].last": "2025-11-29", "document.next_review": "2026-03-01"}, id="due today"),
        pytest.param({"first_steps[2].after_days": 120}, id="a first step due today"),
        pytest.param({"first_steps": GONE, "document.begun": GONE}, id="no first steps"),
        pytest.param({"sources[0].keep_at_most_seconds": "360d"}, id="kept as long as allowed"),
        pytest.param({"scenarios[3].estimate_seconds.max": "2h"}, id="as long as the RTO"),
        pytest.param({"scenarios[0].undo": GONE}, id="the method keeps the undo"),
        pytest.param({"methods[1].steps[0]": "read_latest", "methods[0].steps[3]": "write_latest"}, id="both pointers"),
        pytest.param(
            {
                "regions.secondary": {"name": "eu-north-1", "database": True},
                "residency.allowed_regions[2]": "eu-north-1",
            },
            id="the database of a secondary region",
        ),
        pytest.param({"residency": GONE, "stores[1].region": GONE}, id="no residency"),
        pytest.param({"regions": GONE}, id="no regions"),
    ],
)
def test_a_plan_that_is_still_sound_has_no_finding(changes: dict[str, t.Any]) -> None:
    assert judge(changed(sound(), changes)) == []


def test_a_bucket_without_a_schedule_is_in_no_backup() -> None:
    found = judge(changed(sound(), {"sources[1].tiers": GONE}))
    assert {item.id for item in found} == {"backup_missing", "files_unprotected"}


def test_drills_of_one_source_prove_nothing_about_another() -> None:
    changes = {"verification[2].proves": "readable", "drills[2].every": "yearly", "sources[1].tiers.daily.keep": 100}
    found = judge(changed(sound(), changes))
    assert [(item.id, item.path) for item in found] == [
        ("kept_too_short", "sources[1].tiers"),
        ("verification_missing", "verification"),
    ]


def test_a_restored_copy_acts_on_the_world_only_where_something_can() -> None:
    document = changed(sound(), {"methods[6].steps": ["restore_copy", "check_content"], "sources[0].kind": "d1"})
    assert "not_neutralised" not in {finding.id for finding in judge(document)}


def test_a_restore_from_backup_in_another_region_has_no_lag_to_look_at() -> None:
    steps = ["fence", "restore_new", "wait_writable", "switch_dns", "roll_back"]
    assert judge(changed(sound(), {"methods[5].steps": steps})) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "-",
        "???",
        "[CONTACT INFO]",
        "[Rotation Schedule]",
        "_[To be filled in]_",
        "[To be configured]",
        "<phone>",
        "TBD",
        "tbd.",
        "XXX",
        "n/a",
        "{{ lead }}",
        "your@mail.org",
        "name@example.com",
        "Jane Doe",
        "+1 555-0123",
        "+1 (555) 555-1234",
        "123-456-7890",
        "+00 000 0000",
    ],
)
def test_placeholders_are_seen(text: str) -> None:
    assert is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    [
        "support@supabase.io",
        "#engineering-oncall",
        "Via Lovable Cloud backend",
        "+49 30 5551288",
        "(030) 1288 (ext. 4)",
        "Head of operations",
        "<ops@school.internal>",
        "Example School",
        "Max Xander",
        "+1 212 736 5000",
    ],
)
def test_complete_text_is_no_placeholder(text: str) -> None:
    assert not is_placeholder(text)
