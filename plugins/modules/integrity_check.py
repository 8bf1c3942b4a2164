#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: integrity_check
short_description: Check that the content of a database, a bucket or a service is sound
version_added: 1.0.0
description:
  - Runs a list of typed checks on a database, a bucket or a service and returns for each the expected value, the actual value, and the offending rows.
  - Reads only. Each check runs in a transaction of its own that cannot write, and sees one moment of the database.
  - A check that cannot run, for want of a right or of time, has the status V(error) and never passes. A table,
    column, role or schema that is missing makes its check V(failed).
  - All descriptions are read before the first check runs, and all mistakes in them are reported together, with their index.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
  - boto3 (for files in a bucket)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
  - lifeline.recovery._d1
  - lifeline.recovery._cloudflare
  - lifeline.recovery._files
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._store
  - lifeline.recovery._selection
attributes:
  check_mode:
    support: full
    details:
      - Neither O(junit_path) is written nor O(record) followed.
options:
  engine:
    description:
      - Engine of the checked database. V(sqlite) is a file (O(path)) or a database of Cloudflare D1 (O(database)).
      - For V(sqlite) there are the types V(row_count), V(tables), V(orphans), V(foreign_keys), V(quick_check), V(sql),
        V(sql_dump), V(sample), V(objects), V(json_files), V(monotonic) and V(http). Names of tables have no schema there.
      - V(bucket) is a bucket without a database, with the types V(json_files) and V(http).
      - No database is opened, and none has to be named, when all checks are of the types V(sql_dump), V(json_files) and V(http).
    type: str
    choices: [postgresql, sqlite, bucket]
    default: postgresql
  path:
    description:
      - The SQLite file to check.
    type: path
  checks:
    description:
      - The checks, in the order in which they run. Each is a dictionary with a C(type) and the options of that type.
      - Options of all types - C(name) for reports (by default the type and its subject), C(severity), which is V(error) or
        V(warning) (a failed check of severity V(warning) has the status V(warning)), C(timeout) in seconds instead of
        O(timeout), and C(skip) to switch a check off without forgetting it.
      - Tables are named C(table), which means C(public.table), or C(schema.table), or with quotes around a part that
        holds a dot or a quote. Case counts, quoted or not. Columns are named as they are, without quotes.
      - Types that look at the whole catalog take C(schemas) and C(exclude_schemas), lists of names. By default they look at
        all schemas but the system's.
      - V(row_count) - C(table) has rows in the number of C(equals), or C(min) and C(max).
      - V(tables) - the tables in the list C(present) exist, and C(schema) (by default V(public)) holds at least
        C(min_count) tables.
      - V(orphans) - every row of C(table) whose C(columns) are all filled has its values in the C(parent_columns) of
        C(parent).
      - V(foreign_keys) - every row keeps every foreign key, also those that claim to be valid. PostgreSQL believes a
        constraint that was loaded past with triggers off, this check does not.
      - V(references) - every id inside an array, json or jsonb C(column) of C(table) exists in C(parent_column) of
        C(parent). For JSON, C(path) is a jsonpath that gives the ids, by default V($[*]).
      - V(rls) - row-level security of C(tables), or of all tables in C(schemas) but C(exclude_tables), is C(enabled)
        (by default V(true)), C(forced) when that is given, has the C(policies) of these names, and at least C(min_policies).
      - V(grants) - C(role) holds the C(privileges) on the C(objects), or, with C(granted=false), none of them.
        C(object_type) is V(table) (the default), V(sequence), V(schema), V(function) or V(database). C(schema.*) means all
        tables or sequences of a schema; functions are written C(schema.name(type, type)).
      - V(sql) - C(query) gives one value that C(equals) this one, or lies between C(min) and C(max); or it gives C(rows),
        which is their number or a list of them; or it is C(empty) (V(true) or V(false)). C(search_path) is by default
        V([public]). The catalog is searched first. An operator or function of a user schema in C(search_path) still wins if it
        takes exactly the types of the query, so write C(OPERATOR(pg_catalog.=)) where users may create such operators.
      - V(freshness) - the newest instant in C(column) of C(table), or the one that C(query) gives, is at most C(max_age)
        seconds old. An empty table fails. An instant more than C(max_future) seconds (by default V(300)) ahead fails as
        well, for it would hide that nothing new arrives. C(at) is the instant to measure from, by default now.
      - V(sequences) - the next value of every sequence lies beyond the values in the columns it fills.
      - V(indexes) - every index is valid and ready, those of constraints too, and the indexes in C(present) exist.
      - V(constraints) - no CHECK or NOT NULL constraint is left NOT VALID. With C(allow_not_valid=true), only rows that
        break such a constraint fail.
      - V(json) - every document in the json, jsonb or text C(column) of C(table) is JSON and has the C(shape), a dictionary
        of C(type), C(required), C(properties), C(items), C(min_items) and C(enum) with their meaning in JSON Schema.
        With C(nullable=false), NULL fails.
      - V(objects) - every file that C(query) names is in the bucket of O(files), and there is no other below C(prefix). The query
        gives the key, and in a second and third column the size and the digest where they are known. With C(allow_others=true), files
        that no row names are no failure. C(search_path) is by default V([public]).
      - V(objects) reads the files whose rows have a digest, which is hexadecimal and of C(algorithm) V(sha256) (the default), V(sha1) or
        V(md5). With C(digest_bytes), about that many bytes are read, of files that C(seed) chooses; the result names the seed. ETags are
        not used, because the ETag of a file that was uploaded in parts is no digest.
      - V(json_files) - every file of the bucket of O(files) whose key begins with C(prefix) and ends with C(suffix) (by default V(.json))
        is JSON in UTF-8 and has the C(shape), as for V(json). With C(id_path), the value at that path is the part of the key between
        prefix and suffix. Fewer than C(min_count) files (by default V(1)) fail.
      - V(sample) - C(rows) random rows of C(table) (by default V(10)) can be read, their C(columns) are neither null nor blank, and
        C(condition) is true for them. C(seed) chooses the same rows again; the result names it. Rows are shown as the first 12 digits of
        HMAC-SHA-256 of seed and key. An empty table is not verified. Of a large table not all rows have the same chance - PostgreSQL samples
        its pages, and for V(engine=sqlite) a row after a gap of row numbers is more likely.
      - V(monotonic) - the number of rows of C(table), the maximum of its C(column), or the number that C(query) gives is not less than in the
        earlier runs for O(source), which O(record) keeps in O(store). Without an earlier run nothing is compared, and the check is V(skipped).
        A smaller number fails in every run until it is restored, or accepted by C(accept_decrease), which is the reason, such as a
        restore of an earlier state. A reason accepts one decrease. A value belongs to a database, and to a table and column or a query,
        whatever the check is called. C(search_path) is by default V([public]).
      - V(http) - a request to C(url) with C(method) V(GET) (the default), V(HEAD) or V(POST) and its C(body) is answered with C(status) (by
        default V(200), or a list), with C(answer_headers), with a text that C(contains) states, and within C(max_seconds). C(json) is the
        path of a value such as V(courses[0].id), which exists, or is C(equals). Redirects are not followed. C(ca_bundle) is a file of
        certificate authorities. At most 1 MiB of an answer is read.
      - V(http) sends C(headers) as they are. C(token) (sent as bearer token) and the values of C(secret_headers) are names of O(secrets).
      - V(quick_check) - SQLite finds its file sound.
      - V(sql_dump) - the file C(path) on the host that runs the module is a whole dump in SQL. It has at least C(min_tables)
        statements CREATE TABLE, and the tables in the list C(present).
      - V(sql_dump) of V(engine=sqlite) accepts exports of D1, which have neither BEGIN nor COMMIT, and output of C(.dump) of the
        shell, which has both. The dump is loaded into a temporary file, where every row has to keep its foreign keys; with
        C(load=false) it is only read. Statements that D1 would not import unchanged (rows before the table that they refer to, statements
        of more than 100,000 bytes, infinities as words, texts with NUL, counters without their table, transactions) are reported in
        the message and the sample and are no failure, because M(lifeline.recovery.d1_restore) corrects them.
      - V(sql_dump) of V(engine=postgresql) accepts plain dumps of pg_dump and pg_dumpall, also compressed with gzip or zstd, and
        does not load them. If it has a C(.sha256) file, the digest must match. A statement that M(lifeline.recovery.pg_restore) would refuse is
        reported in the message and in C(actual), and is no failure.
      - V(sql_dump) - a dump that is cut off between two statements and has no COMMIT to miss looks whole. Give C(min_tables) or
        C(present).
      - V(fingerprint) - the content equals that of a backup set; with C(replayed=true), on a server that was recovered from its log,
        which empties unlogged tables and lets sequences skip up to 33 values.
    type: list
    elements: dict
    required: true
  secrets:
    description:
      - Values that checks of the type V(http) send, by the names that the checks use. They are in no result.
    type: dict
    default: {}
  fail_on:
    description:
      - Status at which the module fails.
      - With V(error), a check that failed or could not run. With V(warning), a warning too.
      - With V(never), the module only reports; the result still contains the verdict. A mistake in O(checks) and a server that
        cannot be reached fail in any case.
    type: str
    choices: [error, warning, never]
    default: error
  sample:
    description:
      - How many offending rows a check shows at most, by their primary key and the columns at issue.
      - V(0) shows no row and no text from a row, for databases whose content must not reach a log.
    type: int
    default: 5
  timeout:
    description:
      - Seconds that one statement of a check may take before the check ends as V(error). V(0) is no limit.
      - Raise it where a foreign key of a very large table is looked up.
    type: int
    default: 600
  junit_path:
    description:
      - A file to write a JUnit report to, in a folder that exists. It holds the messages, and with O(sample=0) no value of a row.
      - It is not written in check mode.
      - It is written whether the module fails or not.
    type: path
  record:
    description:
      - Write an audit record to O(store) with the verdict of the checks of O(source) and the names of those that did not pass. It holds no rows,
        but the numbers that checks of the type V(monotonic) compare.
      - M(lifeline.recovery.recovery_status) reads the state of the content and the time of the last check from it.
      - Nothing is recorded in check mode.
    type: bool
    default: false
  run_as:
    description:
      - The PostgreSQL role whose rights the checks have. Functions, casts and operators of database users that a check calls
        cannot leave this role.
      - If unset and the login role is a superuser, a role that may only read is used. It exists inside the transaction of the
        check and is rolled back with it. If unset and the login role is no superuser, the rights of the login role are used.
      - Set it if a check reads a foreign table, whose user mapping belongs to a role, or calls a function that not every role
        may execute. The login role must be a superuser, or a member of this role that owns or may create temporary objects.
      - A standby cannot create the functions that confine a check, so that the login role must not be a superuser there.
    type: str
seealso:
  - module: lifeline.recovery.recovery_status
  - module: lifeline.recovery.pg_restore
  - module: lifeline.recovery.backup_verify
"""

EXAMPLES = r"""
- name: Check the content of a restored database
  lifeline.recovery.integrity_check:
    login_host: db.example.com
    login_user: recovery
    login_db: school
    checks:
      - type: foreign_keys
      - type: sequences
      - type: rls
        schemas: [public]
        min_policies: 1
      - type: row_count
        table: public.profiles
        min: 1

- name: Watch the live database, without a row of it in the log
  lifeline.recovery.integrity_check:
    login_unix_socket: /var/run/postgresql
    login_db: school
    sample: 0
    junit_path: /var/lib/lifeline/integrity.xml
    checks:
      - name: A booking arrived in the last day
        type: freshness
        table: public.bookings
        column: created_at
        max_age: 86400
      - name: Every tag of a lesson exists
        type: references
        table: public.lessons
        column: tag_ids
        parent: public.tags
        parent_column: id

- name: Check the live database each hour, and leave the verdict where the monitoring finds it
  lifeline.recovery.integrity_check:
    login_db: school
    source: school
    record: true
    sample: 0
    store:
      bucket: school-backups
    checks:
      - type: foreign_keys
      - type: sequences
      - type: monotonic
        table: public.course_versions

- name: Compare the files of a bucket with the rows of courses
  lifeline.recovery.integrity_check:
    login_db: school
    files:
      provider: r2
      endpoint_url: https://0123456789abcdef.r2.cloudflarestorage.com
      bucket: school-media
    checks:
      - type: objects
        query: SELECT path, bytes FROM media
        prefix: courses/

- name: Check the published courses of a bucket, and the application
  lifeline.recovery.integrity_check:
    engine: bucket
    files:
      bucket: school-media
    secrets:
      health: "{{ vault_health_token }}"
    checks:
      - type: json_files
        prefix: courses/
        id_path: id
        shape: {type: object, required: [items]}
      - type: http
        url: https://school.example.com/api/health
        token: health
        json: status
        equals: ok
        max_seconds: 2

- name: Check a restored database of D1
  lifeline.recovery.integrity_check:
    engine: sqlite
    account_id: 0123456789abcdef0123456789abcdef
    database: studio-platform-db-recovery
    checks:
      - type: quick_check
      - type: foreign_keys
      - {type: tables, min_count: 70}
      - {type: row_count, table: tenants, min: 1}

- name: Check last night's export of D1 without a database
  lifeline.recovery.integrity_check:
    engine: sqlite
    checks:
      - type: sql_dump
        path: /var/backups/backup-2026-03-01.sql
        min_tables: 70
        present: [tenants, users]

- name: Report the results without failing the task
  lifeline.recovery.integrity_check:
    login_db: school
    fail_on: never
    checks:
      - name: Paid bookings have an invoice
        type: sql
        severity: warning
        query: SELECT id FROM bookings WHERE paid AND invoice IS NULL
        empty: true
      - name: Course content has lessons
        type: json
        table: public.course_versions
        column: content
        shape:
          type: object
          required: [lessons]
          properties:
            lessons: {type: array, min_items: 1, items: {type: object, required: [title]}}
  register: integrity
"""

RETURN = r"""
verdict:
  description:
    - V(passed), V(failed) when something is known to be wrong, V(error) when something could not be verified.
  type: str
  returned: when the checks were described correctly
  sample: failed
summary:
  description: One sentence that names the checks that did not pass.
  type: str
  returned: when the checks were described correctly
  sample: "Of 6 checks, 1 failed (foreign_keys in all schemas)."
counts:
  description: How many checks have each status.
  type: dict
  returned: when the checks were described correctly
  sample: {passed: 5, failed: 1, warning: 0, error: 0, skipped: 0}
checks:
  description: The results in the order of O(checks).
  type: list
  elements: dict
  returned: when the checks were described correctly
  contains:
    name:
      description: The name of the check.
      type: str
      sample: foreign_keys in all schemas
    type:
      description: Its type.
      type: str
      sample: foreign_keys
    status:
      description: V(passed), V(failed), V(warning), V(error) or V(skipped).
      type: str
      sample: failed
    severity:
      description: V(error) or V(warning), as given.
      type: str
      sample: error
    expected:
      description: Expected value; its form depends on the type.
      type: raw
      sample: []
    actual:
      description: Actual value in the same form. Null if the check could not run.
      type: raw
      sample:
        - constraint: children_parent_id_fkey
          table: public.children
          columns: [parent_id]
          parent: public.profiles
          parent_columns: [id]
          orphans: 3
          claims_valid: true
    message:
      description: One sentence for a person.
      type: str
      sample: >-
        Broken foreign keys: 1 of 14 (children_parent_id_fkey of public.children: 3 rows although it claims to be valid).
    sample:
      description: Offending rows, at most O(sample).
      type: list
      elements: dict
      sample: [{constraint: children_parent_id_fkey, table: public.children, row: {id: 17, parent_id: 4}}]
    seconds:
      description: How long the check took.
      type: float
      sample: 0.042
  sample: []
timings:
  description: Seconds per phase, with the total last.
  type: dict
  returned: when the checks were described correctly
  sample: {connect: 0.012, checks: 0.31, total: 0.322}
junit_path:
  description: The JUnit file, or null.
  type: str
  returned: when the checks were described correctly
  sample: /var/lib/lifeline/integrity.xml
mistakes:
  description: Mistakes in O(checks), each with the index of its description.
  type: list
  elements: dict
  returned: when the checks were not described correctly
  sample: [{index: 1, mistake: "row_count: unknown option 'tabel' (did you mean 'table'?)"}]
error_kind:
  description: A stable name of what went wrong; V(check_failed) whenever the verdict made the module fail.
  type: str
  returned: failure
  sample: check_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import d1_spec, postgres_spec, selection_spec
from ..module_utils._ansible.check_requests import check_history, check_recorder, check_target, set_comparison
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.store_requests import files_spec, optional_files, store_spec
from ..module_utils._integrity.result import Report
from ..module_utils._integrity.run import IntegrityRequest, check_integrity

TARGET = ArgumentSpec({"path": {"type": "path"}, "record": {"type": "bool", "default": False}})
SPEC = spec_of(IntegrityRequest).merge(TARGET, files_spec(), d1_spec(), postgres_spec(), selection_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> Report:
        history = check_history(params)
        request = request_of(
            IntegrityRequest,
            params,
            check_mode=module.check_mode,
            target=check_target(params),
            junit_path=None if module.check_mode else params["junit_path"],
            compare_fingerprint=set_comparison(params),
            files=optional_files(params),
            record=check_recorder(params, history, check_mode=module.check_mode),
            history=history,
        )
        return check_integrity(request)

    run_module(module, work)


if __name__ == "__main__":
    main()
