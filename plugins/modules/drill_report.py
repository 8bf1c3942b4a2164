#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_report
short_description: Judge a drill and write its report
version_added: 1.0.0
description:
  - Judges the timeline, the recovered data, the checks and the detected damage of a drill by the objectives of the source,
    and writes a folder with C(report.json), C(report.html), C(junit.xml) and C(metrics.prom).
  - The recovery time runs from the incident to the end of the verification or of the first access, including waits.
    The data loss is taken from the newest restored marker row. Its objective must also hold for the longest gap
    between recovery points, because a drill shortly after a backup does not show the loss of the hours before the next backup.
  - The verdict is V(passed) only if everything is proved. If something could not be verified, the verdict is V(error).
  - An estimate of the recovery time, which a plan has for the scenario, is shown next to the measured time. A longer recovery is a warning
    and changes no verdict. Once five drills of the same scenario, source and environment passed, the report proposes an estimate.
  - A passed drill also requires that the sandbox is proved gone, every kind of damage was detected, and data were compared or checked.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._store
attributes:
  check_mode:
    support: full
    details:
      - Judges and writes nothing. The paths returned are those of the report that would be written.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Every run writes a report of its own.
options:
  journal:
    description:
      - The file that M(lifeline.recovery.drill_phase) recorded the phases in.
      - If it is unset or missing, no phase was timed and the verdict cannot be V(passed).
    type: path
  reports_dir:
    description:
      - The folder of all reports. Each drill gets a folder C(<instant>-<scenario>) in it, and C(latest) points to the newest.
      - Earlier reports in it are the history that the page draws. Those that cannot be read are named and left out.
    type: path
    required: true
  scenario:
    description:
      - The name of the rehearsed scenario, such as V(database_loss).
    type: str
    required: true
  source:
    description:
      - The name of the source.
    type: str
    required: true
  environment:
    description:
      - The environment of the drill, such as V(sandbox). Drills are compared with earlier ones of the same environment.
    type: str
    default: sandbox
  data_origin:
    description:
      - Where the rehearsed data came from. V(source) are backup sets of O(source), V(sample) are data that were generated for the drill.
      - A drill of sample data is reported as such, and M(lifeline.recovery.recovery_status) does not count it as a rehearsal of O(source).
    type: str
    choices: [source, sample]
    default: source
  outcome:
    description:
      - V(ran) is judged. V(skipped) records that a drill was left out on purpose, V(missed) that it was due and did not run.
    type: str
    choices: [ran, skipped, missed]
    default: ran
  rto_seconds:
    description:
      - The recovery time objective in seconds. If unset, every measured time meets it.
    type: float
  rpo_seconds:
    description:
      - The recovery point objective in seconds. If unset, every loss meets it, but the loss must be known.
    type: float
  estimate_seconds:
    description:
      - The estimated duration of the recovery, in the form of a plan. Both ends are optional.
      - The notes, the page and the summary report a recovery that took longer than C(max). A recovery faster than C(min) is not reported.
      - If unset, the estimate in O(plan) is used, if there is one.
    type: dict
    default: {}
    suboptions:
      min:
        description:
          - The shortest duration, in seconds, or as a length such as V(90s), V(15min) or V(4h).
        type: raw
      max:
        description:
          - The longest duration, in the same form.
        type: raw
  plan:
    description:
      - The recovery plan, as M(lifeline.recovery.validate_plan) reads it. Only the estimate of its scenario with the name O(scenario) is
        read, unless that scenario is of another source than O(source).
      - Ansible prints arguments, so it must hold no secret.
    type: dict
    default: {}
  window_seconds:
    description:
      - How many seconds before the incident the longest gap between recovery points is looked for, by default seven days.
      - If the recovery points do not reach back that far, the report states it.
    type: float
    default: 604800
  backup_set:
    description:
      - The id of the set that was restored.
    type: str
  recovery_point:
    description:
      - The instant that this set shows the source at, in RFC 3339.
    type: str
  set_facts:
    description:
      - Further facts about the set for the page, such as sizes and counts. Names with C(bytes) at an end are shown as sizes.
    type: dict
    default: {}
  incident_at:
    description:
      - The start of the incident, in RFC 3339. If unset, the mark C(incident) is used, otherwise the start of the phase C(failure).
    type: str
  recovery_points:
    description:
      - The instants of all sets of the source that could be restored, in RFC 3339 and in any order.
      - Points after the incident do not count.
    type: list
    elements: str
    default: []
  marker_at:
    description:
      - The instant in the newest marker row that was found in the recovered data, in RFC 3339.
      - If unset, the loss is unknown. An instant after the incident means that clocks differ. In both cases the verdict is V(error).
    type: str
  checks:
    description:
      - The RV(lifeline.recovery.integrity_check#module:checks) of M(lifeline.recovery.integrity_check), or dictionaries like
        them with C(name), C(status), C(expected) and C(actual).
      - C(mandatory=true) makes a skipped check an V(error). C(proves_data) states whether a pass proves that data were restored,
        by default true for the types V(row_count), V(sql), V(freshness), V(references), V(json) and V(fingerprint).
    type: list
    elements: dict
    default: []
  fingerprint:
    description:
      - The RV(lifeline.recovery.pg_restore#module:fingerprint) of M(lifeline.recovery.pg_restore) - C(tables), C(rows) and
        C(equal), which is null when nothing was compared. C(reference) names what the recovered data were compared with, by
        default the fingerprint of the backup set.
    type: dict
  self_tests:
    description:
      - The RV(lifeline.recovery.drill_self_test#module:self_tests) of M(lifeline.recovery.drill_self_test) - C(damage) and
        C(caught).
    type: list
    elements: dict
    default: []
  self_tests_required:
    description:
      - Whether a drill without any damaged copy is an V(error). Set V(false) only if no set can be damaged.
    type: bool
    default: true
  sandbox_used:
    description:
      - Whether the drill used a sandbox, which must be gone. Set V(false) for a rehearsal on permanent servers.
    type: bool
    default: true
  sandbox_removed:
    description:
      - Whether the sandbox is proved gone. If unset, its removal was not checked.
    type: bool
  versions:
    description:
      - Versions of the programs and servers, by name.
    type: dict
    default: {}
  notes:
    description:
      - Sentences for the reader of the report.
    type: list
    elements: str
    default: []
  metrics_textfile:
    description:
      - A second place for the metrics, for example in the folder of node_exporter's textfile collector.
      - Every scenario and source needs a file of its own.
    type: path
  fail_on_verdict:
    description:
      - Fail if the verdict is not V(passed), after the report was written. If V(false), a later task decides.
    type: bool
    default: false
seealso:
  - module: lifeline.recovery.drill_phase
  - module: lifeline.recovery.drill_self_test
  - module: lifeline.recovery.integrity_check
  - module: lifeline.recovery.validate_plan
"""

EXAMPLES = r"""
- name: Judge the drill and write its report
  lifeline.recovery.drill_report:
    journal: /var/lib/lifeline/drill.journal
    reports_dir: /var/lib/lifeline/reports
    scenario: database_loss
    source: school
    environment: sandbox
    rto_seconds: 900
    rpo_seconds: 3600
    estimate_seconds: {min: 10s, max: 1min}
    backup_set: "{{ backup.set_id }}"
    recovery_point: "{{ backup.recovery_point }}"
    incident_at: "{{ fault.incident_at }}"
    recovery_points: "{{ catalogue.sets | map(attribute='recovery_point') | list }}"
    marker_at: "{{ marker.query_result[0].written_at }}"
    checks: "{{ integrity.checks }}"
    fingerprint: "{{ restored.fingerprint }}"
    self_tests: "{{ self_test.self_tests }}"
    sandbox_removed: "{{ teardown.removed }}"
  register: drill

- name: Record that the drill of this month did not run
  lifeline.recovery.drill_report:
    reports_dir: /var/lib/lifeline/reports
    scenario: database_loss
    source: school
    outcome: missed

- name: Judge a rehearsal on permanent servers, and fail unless the verdict is passed
  lifeline.recovery.drill_report:
    journal: /var/lib/lifeline/drill.journal
    reports_dir: /var/lib/lifeline/reports
    scenario: standby_restore
    source: school
    environment: staging
    marker_at: "{{ marker.query_result[0].written_at }}"
    fingerprint: "{{ restored.fingerprint }}"
    self_tests: "{{ self_test.self_tests }}"
    sandbox_used: false
    metrics_textfile: /var/lib/node_exporter/lifeline_school.prom
    fail_on_verdict: true
"""

RETURN = r"""
verdict:
  description: V(passed), V(failed), V(error) when something could not be verified, V(skipped) or V(missed).
  type: str
  returned: when the drill was judged
  sample: passed
exit_class:
  description: The verdict as a number for scripts - V(0) passed, V(1) failed, V(3) not verified or not run.
  type: int
  returned: when the drill was judged
  sample: 0
reasons:
  description: The reasons of the verdict, the most important first.
  type: list
  elements: str
  returned: when the drill was judged
  sample: ["Recovered in 18.4 s; the objective is 15 min.", "38 tables with 1250000 rows are equal to the fingerprint of the backup set."]
notes:
  description: Further facts for the reader, such as warnings.
  type: list
  elements: str
  returned: when the drill was judged
  sample: []
rto:
  description: The recovery time in seconds, its objective, and whether it was met, which is null when that is not known.
  type: dict
  returned: when the drill was judged
  sample: {objective_seconds: 900.0, measured_seconds: 18.412, met: true}
rpo:
  description: The data loss and the longest gap between recovery points in seconds, their objective, and their sources.
  type: dict
  returned: when the drill was judged
  sample:
    objective_seconds: 3600.0
    observed_seconds: 12.204
    exposure_seconds: 3540.0
    met: true
    marker_at: "2026-03-01T02:59:48.000+00:00"
    window_seconds: 604800.0
    recovery_points: ["2026-03-01T02:01:00.204+00:00"]
    longest_gap: {from: "2026-03-01T02:01:00.204+00:00", until: "2026-03-01T03:00:00.204+00:00"}
estimate_seconds:
  description: The estimated recovery time as C(min) and C(max) in seconds, each null where it was left out; null without an estimate.
  type: dict
  returned: when the drill was judged
  sample: {min: 10.0, max: 60.0}
estimate_exceeded:
  description: Whether the recovery took longer than estimated; null when there is no C(max), or nothing was measured.
  type: bool
  returned: when the drill was judged
  sample: false
estimate_proposed_seconds:
  description:
    - An estimate for the scenario in the plan, in its form - the fastest of all drills of this scenario, source and environment that
      passed, this one included, and their 90th percentile by nearest rank. Null while there are fewer than five.
  type: dict
  returned: when the drill was judged
  sample: {min: 17.204, max: 22.51}
estimate_drills:
  description: How many passed drills there are to propose an estimate from.
  type: int
  returned: when the drill was judged
  sample: 11
phases:
  description: The timeline. C(offset_seconds) is from the incident, null where it is not known.
  type: list
  elements: dict
  returned: when the drill was judged
  sample:
    - {name: restore, started_at: "2026-03-01T03:00:02.110+00:00", seconds: 9.72, status: ok, offset_seconds: 1.906, note: ''}
report_dir:
  description: The folder of the report.
  type: str
  returned: when the drill was judged
  sample: /var/lib/lifeline/reports/20260301T025930Z-database_loss
report_html:
  description: The report as a page.
  type: str
  returned: when the drill was judged
  sample: /var/lib/lifeline/reports/20260301T025930Z-database_loss/report.html
report_json:
  description: The report as data.
  type: str
  returned: when the drill was judged
  sample: /var/lib/lifeline/reports/20260301T025930Z-database_loss/report.json
earlier_drills:
  description: How many earlier drills of this scenario, source and environment the history holds.
  type: int
  returned: when the drill was judged
  sample: 11
broken_reports:
  description: Folders whose report could not be read.
  type: list
  elements: str
  returned: when the drill was judged
  sample: []
summary:
  description: The result in five lines.
  type: list
  elements: str
  returned: when the drill was judged
  sample:
    - "Passed: drill database_loss of school (sandbox)."
    - "RTO: measured 18.4 s, objective 15 min."
    - "RPO: lost 12.2 s, exposure 59 min, objective 1 h."
    - "Proof: 1250000 rows in 38 tables equal; 6 of 6 checks passed; 5 of 5 kinds of damage caught."
    - "Slowest phase: restore, 9.7 s."
error_kind:
  description: A stable name of what went wrong; V(check_failed) when the verdict made the module fail.
  type: str
  returned: failure
  sample: check_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.store_requests import opened_store, store_spec
from ..module_utils._drill.evidence import DrillRequest, read_evidence
from ..module_utils._drill.model import Evidence
from ..module_utils._drill.publish import DrillResult, publish_report

RESULTS = ArgumentSpec(
    {
        "estimate_seconds": {
            "type": "dict",
            "default": {},
            "options": {"min": {"type": "raw"}, "max": {"type": "raw"}},
        },
        "plan": {"type": "dict", "default": {}},
        "checks": {"type": "list", "elements": "dict", "default": []},
        "fingerprint": {"type": "dict"},
        "self_tests": {"type": "list", "elements": "dict", "default": []},
    }
)
SPEC = spec_of(DrillRequest).merge(RESULTS, store_spec())


def main() -> None:
    module = create_module(SPEC)
    params, check_mode = module.params, module.check_mode

    def work() -> DrillResult:
        store = opened_store(params) if params["store"] else None
        evidence = request_of(Evidence, params, check_mode=check_mode, **read_evidence(params))
        return publish_report(request_of(DrillRequest, params, check_mode=check_mode, evidence=evidence), store)

    run_module(module, work)


if __name__ == "__main__":
    main()
