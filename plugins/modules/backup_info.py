#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_info
short_description: List backup sets, choose one, and judge their age
version_added: 1.0.0
description:
  - Reads the catalogue of a store, which is the list of its manifests, and describes the sets of one source or of all sources.
  - Judges the recovery point objective by exposure, the longest gap between recovery points in a window, because the age
    of the newest set does not show earlier gaps.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - boto3 (for S3 stores)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
  - lifeline.recovery._store
  - lifeline.recovery._selection
options:
  rpo_seconds:
    description:
      - The recovery point objective in seconds that RV(sources[].rpo_met) is judged by.
    type: int
  window_seconds:
    description:
      - The window of the exposure in seconds. The default is a week.
    type: int
    default: 604800
  days:
    description:
      - On how many calendar days in UTC, up to today, each source must have a set; RV(sources[].missing_days) lists
        the days without a set. V(0) judges no day.
      - Any tier but V(emergency) and V(undo) makes a day present. Days before the first such set are not missing, nor is today
        before it is over. With V(30), what M(lifeline.recovery.backup_prune) keeps with C(keep_daily=30) has no gap.
    type: int
    default: 0
  limit:
    description:
      - How many of a source's newest sets are described. Sets of the tiers V(emergency) and V(undo) are counted separately.
    type: int
    default: 100
seealso:
  - module: lifeline.recovery.pg_backup
  - module: lifeline.recovery.backup_verify
"""

EXAMPLES = r"""
- name: List the sets of one source
  lifeline.recovery.backup_info:
    source: school
    store:
      bucket: school-backups
  register: backups

- name: Find the last set before the incident
  lifeline.recovery.backup_info:
    source: school
    set: latest
    before: "2026-03-01T12:40:00Z"
    store:
      bucket: school-backups
  register: candidate

- name: Check that every source meets an objective of a day and has a set of each day of a month
  lifeline.recovery.backup_info:
    rpo_seconds: 86400
    days: 30
    store:
      provider: directory
      path: /var/backups/lifeline
  register: all_sources
"""

RETURN = r"""
sets:
  description: The sets, newest first within their source; only the chosen one when O(set) or O(before) is given.
  type: list
  elements: dict
  returned: success
  contains:
    set_id:
      description: The id of the set.
      type: str
      sample: 20260301T020005Z
    source:
      description: Its source.
      type: str
      sample: school
    tier:
      description: Its tier.
      type: str
      sample: daily
    engine:
      description: The content - V(postgresql) a database, V(bucket) the files of a bucket, V(postgresql-rows) rows.
      type: str
      sample: postgresql
    recovery_point:
      description: The instant it shows the source at.
      type: str
      sample: "2026-03-01T02:00:05.123+00:00"
    age_seconds:
      description: Seconds since the recovery point.
      type: float
      sample: 3600.5
    duration_seconds:
      description: How long it took to make, in seconds.
      type: float
      sample: 41.2
    bytes_plain:
      description: Size of the dump before compression.
      type: int
      sample: 734003200
    bytes_stored:
      description: Size of its objects in the store.
      type: int
      sample: 183500800
    tables:
      description: How many tables have rows in it.
      type: int
      sample: 38
    rows:
      description: How many rows, or null without a fingerprint.
      type: int
      sample: 1250000
    files:
      description: How many files a set of a bucket has, or null.
      type: int
      sample: null
    size_change:
      description: Plain size against the median of up to ten sets of the tier before it; V(-0.25) means a quarter less.
      type: float
      sample: 0.012
    verified:
      description: The last verification - set_id, verified_at, depth, status, damaged, and when each depth last passed; null for none.
      type: dict
      sample: {set_id: 20260301T020005Z, verified_at: "2026-03-01T03:00:00.000+00:00", depth: decode, status: passed, damaged: []}
    server_version:
      description: The version of the server that was backed up.
      type: str
      sample: "16.4"
    problem:
      description: Why the set cannot be used - its manifest is damaged, forged or of a newer version, or its date lies in the future. Else null.
      type: str
      sample: null
    authentic:
      description:
        - V(true) when the manifest carries the authentication code of O(store.name_key), V(false) when it has no code.
        - Null when no key was given, so that nothing was checked.
      type: bool
      sample: true
  sample: []
sources:
  description: Each source as a whole.
  type: list
  elements: dict
  returned: success
  contains:
    source:
      description: The source.
      type: str
      sample: school
    sets:
      description: How many sets it has.
      type: int
      sample: 30
    newest:
      description: The newest usable set.
      type: str
      sample: 20260301T020005Z
    newest_verified:
      description: The newest set whose last verification passed and read the objects, V(digests) or V(decode).
      type: str
      sample: 20260228T020004Z
    age_seconds:
      description: Age of the newest set.
      type: float
      sample: 3600.5
    exposure_seconds:
      description: The longest gap between recovery points in the window, up to now.
      type: float
      sample: 86412.0
    rpo_seconds:
      description: The objective, as given.
      type: int
      sample: 86400
    rpo_met:
      description: Whether the exposure is within the objective; null without one.
      type: bool
      sample: false
    missing_days:
      description:
        - The days of O(days) without a set that can be used, oldest first.
        - Null when O(days) is V(0), and for a source without sets of the tier V(daily).
      type: list
      elements: str
      sample: ["2026-02-27"]
  sample: []
selected:
  description: The set that O(set), O(before) and O(tier) choose, like an element of RV(sets); null when nothing was asked.
  type: dict
  returned: success
  sample: null
unreadable:
  description: The sets of RV(sets) that have a problem, each with source, tier, set_id and problem.
  type: list
  elements: dict
  returned: success
  sample: []
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: no_backup_set
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import selection_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.store_requests import readable_store, set_selection, store_spec
from ..module_utils._core.clock import utc_now
from ..module_utils._repository.info import InfoRequest, InfoResult, describe_sets

SPEC = spec_of(InfoRequest).merge(selection_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> InfoResult:
        selection = set_selection(params) if params["set"] or params["before"] else None
        request = request_of(InfoRequest, params, check_mode=module.check_mode, selection=selection)
        store = readable_store(params, params["source"])
        # Where the clocks differ, the one that makes sets older is believed.
        return describe_sets(store, request, max(utc_now(), store.now()))

    run_module(module, work)


if __name__ == "__main__":
    main()
