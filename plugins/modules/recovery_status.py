#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_status
short_description: Report in one dictionary whether a source can be recovered
version_added: 1.0.0
description:
  - Reads the state of a source, of the store of its sets and every copy of it, of the newest set, the results of verifications, checks of its content
    and drills, replication, WAL that waits to be archived, and disks; and judges them.
  - An unreachable server or store is a fact in the result, not a failure of the task. RV(breaches) has one element per breach,
    with a key that stays the same while it lasts, in the format of M(lifeline.recovery.notify).
  - Reads at most 50 manifests and lists keys, so that it can run every minute.
  - Waits at most 10 seconds for one answer, also if the timeout of a connection or store is longer.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2 (for sources that are PostgreSQL)
  - boto3 (for S3 stores)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
  - lifeline.recovery._d1
  - lifeline.recovery._cloudflare
  - lifeline.recovery._files
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._store
attributes:
  check_mode:
    support: full
    details:
      - Writes neither O(metrics_textfile) nor O(state_dir).
options:
  source:
    description:
      - Name of the source.
    type: str
    required: true
  engine:
    description:
      - Engine that checks whether the source answers.
      - If it is unset, it is a bucket if O(files) is set, SQLite if O(path) or O(database) is set, PostgreSQL if O(login_db) or O(dsn) is set;
        otherwise the source is not contacted.
    type: str
    choices: [postgresql, sqlite, bucket, none]
  path:
    description:
      - Path of a SQLite file, instead of a D1 database.
    type: path
  volumes:
    description:
      - Paths whose file systems are checked, such as the spool of backups and the data directory of the server.
    type: list
    elements: str
    default: []
  capacity_bytes:
    description:
      - Quota of the source in the store in bytes. If it is set, every key of the source is listed to add the sizes.
    type: int
  rpo_seconds:
    description:
      - Recovery point objective in seconds. If it is unset, the age of sets is reported and not judged.
    type: float
  window_seconds:
    description:
      - Period in seconds in which the longest gap between recovery points is searched. The default is a week.
    type: float
    default: 604800
  unreachable_seconds:
    description:
      - Seconds that a source or store may be unreachable before it is a breach. The start is stored in O(state_dir); if that is unset, the first
        failure is a breach.
    type: float
    default: 300
  duration_seconds:
    description:
      - Maximum duration of the newest backup in seconds; V(0) disables the check.
    type: float
    default: 1800
  size_tolerance:
    description:
      - Maximum ratio by which the size of the newest set may differ from the median of the ten earlier sets of its tier; V(0) disables the check.
    type: float
    default: 0.2
  verified_within_seconds:
    description:
      - Maximum age in seconds of the last verification that passed. V(0), the default, disables the check.
    type: float
    default: 0
  checked_within_seconds:
    description:
      - Maximum age in seconds of the last checks of the content. V(0), the default, disables the check.
      - Checks store their verdict by O(lifeline.recovery.integrity_check#module:record) of M(lifeline.recovery.integrity_check).
    type: float
    default: 0
  drilled_within_seconds:
    description:
      - Maximum age in seconds of the last drill. V(0), the default, disables the check.
      - A drill stores its verdict by O(store) of M(lifeline.recovery.drill_report).
    type: float
    default: 0
  replication_lag_seconds:
    description:
      - Maximum lag of a standby in seconds; V(0) disables the check.
    type: float
    default: 300
  archive_lag_seconds:
    description:
      - Maximum time in seconds that WAL may wait to be archived; V(0) disables the check.
    type: float
    default: 900
  storage_used:
    description:
      - Ratio of used space above which a disk, or O(capacity_bytes), is a breach.
    type: float
    default: 0.8
  storage_full:
    description:
      - Ratio of used space from which the breach is C(storage.full).
    type: float
    default: 0.95
  severities:
    description:
      - Severities that replace the defaults, by event - V(info), V(warning), V(error) or V(critical).
      - V(critical) are C(source.unreachable), C(store.unreachable), C(check.failed), C(backup.missing), C(backup.failed), C(backup.overdue), C(backup.damaged),
        C(verify.failed), C(restore.failed), C(replication.stopped), C(archive.failing) and C(storage.full); V(error) are C(store.behind),
        C(check.misconfigured), C(check.error) and C(drill.failed); V(warning) are C(backup.slow), C(backup.size),
        C(verify.overdue), C(check.overdue), C(drill.overdue), C(replication.lag), C(archive.lag) and C(storage.used).
    type: dict
    default: {}
  state_dir:
    description:
      - Folder that stores the start of outages and the last breaches of store and server, which stay open while these are unreachable.
    type: path
  metrics_textfile:
    description:
      - Path of a file for the textfile collector of node_exporter, for example C(/var/lib/prometheus/node-exporter/lifeline-school.prom).
    type: path
seealso:
  - module: lifeline.recovery.backup_info
  - module: lifeline.recovery.notify
"""

EXAMPLES = r"""
- name: Report the state of the school database
  lifeline.recovery.recovery_status:
    source: school
    login_host: db.example.org
    login_user: backup
    login_password: "{{ vault_backup_password }}"
    login_db: school
    rpo_seconds: 86400
    store:
      bucket: school-backups
  register: school

- name: Write metrics, store the start of outages, and require a drill each quarter
  lifeline.recovery.recovery_status:
    source: school
    login_db: school
    rpo_seconds: 3600
    drilled_within_seconds: 8035200
    volumes: [/var/lib/lifeline/spool]
    state_dir: /var/lib/lifeline/status
    metrics_textfile: /var/lib/prometheus/node-exporter/lifeline-school.prom
    store:
      provider: directory
      path: /var/backups/lifeline

- name: Report slow backups of a bucket as info only
  lifeline.recovery.recovery_status:
    source: media
    files:
      provider: directory
      path: /srv/media
    duration_seconds: 14400
    severities:
      backup.slow: info
    store:
      provider: directory
      path: /var/backups/lifeline
"""

RETURN = r"""
source:
  description: Name of the source.
  type: str
  returned: success
  sample: school
level:
  description: V(ok), or the highest severity of RV(breaches).
  type: str
  returned: success
  sample: warning
reachable:
  description: Whether the source answers; null if it was not contacted.
  type: bool
  returned: success
  sample: true
reach:
  description: The contacted location, whether it answered, the start of its outage, and its error; or null.
  type: dict
  returned: success
  sample: {place: "db.example.org:5432/school", ok: true, since: null, why: ""}
stores:
  description: The same for the store and each of its copies, with the newest set of the source in it.
  type: list
  elements: dict
  returned: success
  sample:
    - reach: {place: "s3://school-backups", ok: true, since: null, why: ""}
      newest: 20260301T020005Z
sets:
  description: Number of sets in the store.
  type: int
  returned: success
  sample: 30
backup:
  description: The newest set of the complete source, or null.
  type: dict
  returned: success
  contains:
    set_id:
      description: The id of the set.
      type: str
      sample: 20260301T020005Z
    tier:
      description: Tier of the set.
      type: str
      sample: daily
    recovery_point:
      description: Instant of the recovery point.
      type: str
      sample: "2026-03-01T02:00:05.123+00:00"
    age_seconds:
      description: Seconds since the recovery point.
      type: float
      sample: 3600.5
    bytes_plain:
      description: Size before compression.
      type: int
      sample: 734003200
    bytes_stored:
      description: Size of its objects in the store.
      type: int
      sample: 183500800
    duration_seconds:
      description: Duration of the backup.
      type: float
      sample: 41.2
    size_change:
      description: Its size against the median of the sets before it; V(-0.25) means a quarter less. Null for the first of its tier.
      type: float
      sample: 0.012
  sample: {set_id: 20260301T020005Z, tier: daily, recovery_point: "2026-03-01T02:00:05.123+00:00", age_seconds: 3600.5, bytes_plain: 734003200,
           bytes_stored: 183500800, duration_seconds: 41.2, size_change: 0.012}
rpo_seconds:
  description: The objective, as given.
  type: float
  returned: success
  sample: 86400.0
exposure_seconds:
  description: The longest gap between recovery points in the window, up to now; null without a set.
  type: float
  returned: success
  sample: 86412.0
verification:
  description: The last verification that passed, and the newest set whose verification failed.
  type: dict
  returned: success
  contains:
    passed_set:
      description: The set, or null.
      type: str
      sample: 20260301T020005Z
    passed_at:
      description: Time of the verification.
      type: str
      sample: "2026-03-01T03:00:00.000+00:00"
    depth:
      description: Depth of the verification, as in M(lifeline.recovery.backup_verify).
      type: str
      sample: digests
    age_seconds:
      description: Seconds since the verification.
      type: float
      sample: 1200.0
    failed_set:
      description: The newest set whose last verification failed, or null.
      type: str
      sample: null
    damaged:
      description: Number of its damaged objects.
      type: int
      sample: 0
  sample: {passed_set: 20260301T020005Z, passed_at: "2026-03-01T03:00:00.000+00:00", depth: digests, age_seconds: 1200.0, failed_set: null, damaged: 0}
attempt:
  description: The last attempt at a backup by its audit record - at, status and error_kind; or null.
  type: dict
  returned: success
  sample: {at: "2026-03-01T02:00:46.000+00:00", status: succeeded, error_kind: null}
check:
  description: The last checks of its content by their audit record - at, verdict, age_seconds and failed, the names of those that did not pass; or null.
  type: dict
  returned: success
  sample: {at: "2026-03-01T02:30:02.000+00:00", verdict: passed, age_seconds: 1800.0, failed: []}
restore:
  description: >-
    The set of the last restore that was equal to its set - passed_set, passed_at; and the newest set whose last restore failed -
    failed_set, failed_at, error_kind, objects (some of the object_count that were refused or not equal) - with failed_sets, every
    such set. A later restore of a set that is equal ends this. Failures that are facts of the target, such as a missing role, are not recorded.
  type: dict
  returned: success
  sample:
    passed_set: 20260301T020005Z
    passed_at: "2026-03-01T03:00:00.000+00:00"
    failed_set: null
    failed_at: null
    error_kind: null
    objects: []
    object_count: 0
    failed_sets: []
drill:
  description: >-
    The last drill of the data of the source by its audit record - at, verdict, scenario, age_seconds, rto_measured_seconds and
    rto_objective_seconds; or null. Drills of generated data do not count.
  type: dict
  returned: success
  sample: {at: "2026-02-01T10:00:00.000+00:00", verdict: passed, scenario: database_loss, age_seconds: 2476800.0, rto_measured_seconds: 84.2,
           rto_objective_seconds: 300.0}
operations:
  description: >-
    The last run of each operation on the source by its audit record, the newest first - operation, at, age_seconds, status, performed_by and
    host. Records of the last three months are read.
  type: list
  elements: dict
  returned: success
  sample:
    - {operation: backup, at: "2026-03-01T02:00:46.000+00:00", age_seconds: 3560.0, status: succeeded, performed_by: lifeline, host: backup1}
replication:
  description: Whether standbys stream, and the lag of the slowest - role, streaming, standbys, lag_seconds, lag_bytes; or null without standbys.
  type: dict
  returned: success
  sample: {role: primary, streaming: true, standbys: 1, lag_seconds: 0.4, lag_bytes: 16384}
archive:
  description: >-
    Whether WAL is archived - failing, waiting in segments, lag_seconds of the oldest of them, last_archived_at; or null if archiving is off.
    Only members of pg_monitor can read the number of waiting segments.
  type: dict
  returned: success
  sample: {failing: false, waiting: 0, lag_seconds: null, last_archived_at: "2026-03-01T02:59:00.000+00:00"}
kept:
  description: >-
    The databases that swaps of the source kept as their undo - name, age_seconds and bytes, which are null where the role may not know. The
    module M(lifeline.recovery.pg_prune) drops them by a policy.
  type: list
  elements: dict
  returned: success
  sample:
    - {name: school_before_20260301t124500z, age_seconds: 439200.0, bytes: 734003200}
storage:
  description: Each of O(volumes), and the store with O(capacity_bytes) - place, used_bytes, size_bytes and used_ratio.
  type: list
  elements: dict
  returned: success
  sample:
    - {place: /var/lib/lifeline/spool, used_bytes: 1073741824, size_bytes: 10737418240, used_ratio: 0.1}
breaches:
  description: The breaches, the most severe first; also returned if only O(state_dir) or O(metrics_textfile) could not be written.
  type: list
  elements: dict
  returned: success
  contains:
    key:
      description: Key of the incident. It stays the same while the breach lasts.
      type: str
      sample: school/backup.size
    event:
      description: Name of the event.
      type: str
      sample: backup.size
    severity:
      description: Severity of the breach.
      type: str
      sample: warning
    message:
      description: One sentence for the operator.
      type: str
      sample: "school: the newest set is 34% smaller than earlier sets."
  sample: []
summary:
  description: The state in one or two sentences.
  type: str
  returned: success
  sample: "school: no breach. The newest of 30 sets is 1 h 00 min old."
error_kind:
  description: Stable name of the error.
  type: str
  returned: failure
  sample: invalid_options
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import d1_spec, postgres_spec
from ..module_utils._ansible.options import ArgumentSpec, spec_of
from ..module_utils._ansible.status_requests import status_request
from ..module_utils._ansible.store_requests import files_spec, store_spec
from ..module_utils._core.clock import utc_now
from ..module_utils._status.status import Status, StatusRequest, recovery_status

SOURCE = ArgumentSpec(
    {
        "engine": {"type": "str", "choices": ["postgresql", "sqlite", "bucket", "none"]},
        "path": {"type": "path"},
    }
)
SPEC = spec_of(StatusRequest).merge(SOURCE, files_spec(), d1_spec(), postgres_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)

    def work() -> Status:
        return recovery_status(status_request(module.params, check_mode=module.check_mode), utc_now())

    run_module(module, work)


if __name__ == "__main__":
    main()
