#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore
short_description: Restore a PostgreSQL database and prove that it equals its source
version_added: 1.0.0
description:
  - Fetches a backup set, proves every object by its digests, loads it in parallel under a working name, and compares the
    fingerprint of what came back with the set's. Only then does the database get its name.
  - An object that PostgreSQL refuses fails the restore, after everything else was loaded; the message names the object, its
    statement and the option that helps. No error is ignored.
  - The properties of the database - locale, owner, grants, connection limit, comment and settings - are restored and compared
    as well. Settings may hold secrets, so that differences name a setting and never its value.
  - Restores dumps that others made too - plain SQL (also with gzip or zstd), custom and directory archives - with a
    C(.sha256) file in their folder if there is one.
  - A dump of another tool is untrusted input. The module reads the whole dump before the module creates or changes anything,
    also in check mode. Statements that leave the database or change the server, and psql commands, are refused with
    RV(error_kind=unsafe_dump); a dump that is cut off with RV(error_kind=damaged). The message names the line.
  - Restoring a dump creates its functions, triggers and views. Their code runs with the rights of the role that calls it, first
    of the role that restores. Use a role that is no superuser for a dump that is not trusted. See C(docs/foreign-dumps.md).
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
  - boto3 (for S3 stores)
  - zstandard
  - pg_restore and psql of the server's major version or newer
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
  - lifeline.recovery._store
  - lifeline.recovery._selection
  - lifeline.recovery._confirmation
  - lifeline.recovery._journal
attributes:
  check_mode:
    support: full
    details:
      - In check mode the set is chosen and the plan with its digest is returned; nothing is fetched or changed. The dump in
        O(archive) is read and judged as in a restore.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - V(new) fails when the database exists, the other modes replace it every time.
options:
  target_db:
    description:
      - The name of the database to restore. O(login_db) names a maintenance database of the same server, V(postgres)
        when it is not given.
    type: str
    required: true
  mode:
    description:
      - V(new) makes a database that does not exist yet.
      - V(swap) restores side by side with the live database, and then exchanges the names in one transaction. The old database is
        kept, and RV(undo) has the options that undo the restore. The new database takes over the properties that the live database has
        now - locale, owner, grants, connection limit, comment, settings - and RV(properties) lists those that were changed
        since the backup. A run that is killed leaves the names, and the right to connect, unchanged.
      - V(in_place) replaces the content within the live database in one transaction, for managed servers that can neither
        create nor rename one. The transaction first locks the tables against writers, then stores an undo set, so that no
        row whose insert was acknowledged is lost. The database keeps its properties. It refuses to remove what the undo
        set cannot hold, such as rows of tables that belong to an extension and that C(pg_dump) leaves out.
      - V(in_place) compares rows, sequences and large objects with the set before it commits, while no other session can
        write them. A difference rolls the transaction back. Definitions are compared after the commit.
      - PostgreSQL lets only a superuser lock large objects. For any other role, V(in_place) compares them with the undo set
        before it replaces them, and fails with the error kind C(conflict) if another session changed them in the meantime.
      - With V(in_place), a schema of another role (auth and storage of a managed platform) keeps its definitions and gets the
        rows of the set, and triggers of that role do not act on these rows. RV(not_restored) lists what the role that logs in
        cannot make, with the statement.
      - V(undo) gives a database that V(swap) kept its name back.
    type: str
    choices: [new, swap, in_place, undo]
    default: new
  archive:
    description:
      - The path of a dump that others made, on the host where the module runs, instead of a set.
      - A plain dump of pg_dump runs statement by statement. A script of unknown origin runs in one transaction, except when the
        script holds a statement that PostgreSQL runs only outside of transactions, such as CREATE INDEX CONCURRENTLY or VACUUM.
        A failure drops the new database in both cases.
    type: path
  skip_database_statements:
    description:
      - Restore a plain dump of one database that C(pg_dump --create) wrote. Leaves out the statements CREATE, ALTER, DROP
        and COMMENT ON DATABASE, GRANT and REVOKE ON DATABASE, ALTER ROLE IN DATABASE, and the line C(\connect), when all
        of them name the same database. Everything else of the dump goes into O(target_db).
      - The default is V(false), which refuses such a dump. Owner, rights and settings of the database are not restored.
    type: bool
    default: false
  create_schemas:
    description:
      - Schemas to create, empty, in the new database before the O(archive) runs there.
      - A dump of one schema (C(pg_dump --schema)) refers to other schemas and does not hold them, for example C(auth) on Supabase. The
        error of a restore that lacks schemas proposes the value.
      - Objects that the dump uses in these schemas are still missing. Set O(object_errors=report) to restore everything else.
    type: list
    elements: str
    default: []
  stand_ins:
    description:
      - Create what a platform makes itself and a dump of the schema C(public) uses, before the O(archive) runs.
      - V(supabase) creates the functions C(auth.uid), C(auth.jwt), C(auth.role) and C(auth.email), which read the claims of the request,
        an empty table C(auth.users), and the schema C(extensions). Foreign keys to the users of rows are still refused, because the
        dump does not hold the users. Set O(object_errors=report) to restore everything else.
    type: list
    elements: str
    choices: [supabase]
    default: []
  create_extensions:
    description:
      - Extensions to create in the new database before the O(archive) runs there, each as C(name) or as C(schema.name), for example
        V(extensions.uuid-ossp). The schema is created if it is missing. Extensions that an extension requires are created too.
      - A dump of one schema does not hold extensions. The error of a restore that lacks a function or a type of a common extension
        proposes the value.
    type: list
    elements: str
    default: []
  neutralize:
    description:
      - Whether a copy gets no effect outside it. Jobs of pg_cron, triggers, rules and event triggers that send requests, and subscriptions are
        disabled, as by M(lifeline.recovery.pg_neutralize). RV(neutralized) lists them.
      - A copy is a new database whose name is not the one of the source, and, unless O(recovery_environment=production), a database that is not
        the live one of the source. The live database is never changed in this way.
      - With V(new) and V(swap), this happens after the comparison, and before the database has its name. With V(in_place), jobs are deactivated
        before the commit, and the other objects after the definitions were compared.
      - To restore the state before, restore the set with V(false).
    type: bool
    default: true
  neutralize_rules:
    description:
      - Changes of a copy in addition. They are made only if O(neutralize=true) and the database is a copy.
    type: dict
    suboptions:
      settings:
        description:
          - Rows of tables of settings to change, as O(lifeline.recovery.pg_neutralize#module:settings).
        type: list
        elements: dict
        default: []
        suboptions:
          table:
            description:
              - Table, as C(schema.table).
            type: str
            required: true
          where:
            description:
              - Values of columns that select the rows. If it is empty, all rows.
            type: dict
            default: {}
          set:
            description:
              - Values of columns to set.
            type: dict
            required: true
      statements:
        description:
          - SQL statements to run, as O(lifeline.recovery.pg_neutralize#module:statements).
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description:
              - Name of the statement.
            type: str
            required: true
          sql:
            description:
              - The statement.
            type: str
            required: true
          role:
            description:
              - Role whose rights the statement has.
            type: str
            required: true
          only_if:
            description:
              - Query. The statement runs only if the query returns a row.
            type: str
      drop_passwords:
        description:
          - Whether passwords are removed from user mappings of foreign servers.
        type: bool
        default: false
  undo_db:
    description:
      - The kept database that O(mode=undo) goes back to.
    type: str
  jobs:
    description:
      - The number of tables, indexes and constraints that are restored in parallel.
    type: int
    default: 2
  create_roles:
    description:
      - Create roles that the set or the dump names and the server lacks, without login and without rights of their own. If the
        role that logs in is no superuser, they are granted to it, so that it can give objects to them.
      - If V(false), missing roles fail the restore before anything is created.
    type: bool
    default: false
  owner:
    description:
      - Restore the owners of objects and of the database. If V(false), all objects belong to the role that restores.
      - A role that is no superuser must be a member of each owner, with the rights of that owner. Otherwise the restore fails
        before anything is created, and names the objects and the roles to grant. The same applies to an owner that does not
        own the schema of its object, which only a superuser can restore. With O(object_errors=report) these objects are
        restored as objects of the role that restores, and listed.
    type: bool
    default: true
  privileges:
    description:
      - Restore grants and default privileges. If it is false, roles of the application have no access to restored objects.
    type: bool
    default: true
  rows_as:
    description:
      - The role whose rights rows are loaded with. Checks of tables and domains and generated columns run code of the
        database while rows are loaded.
      - V(owner) runs it as the owner of the table, V(login) as the role that logs in.
      - Code that is written to attack can take the rights of the session back with RESET ROLE. Restore a database whose
        owners you do not trust with a role that is no superuser.
      - Use V(login) when an owner lacks rights that the checks of its tables need.
    type: str
    choices: [owner, login]
    default: owner
  tablespaces:
    description:
      - Restore objects into the tablespaces that the set names.
      - If the server lacks one of them, all objects are restored into the default tablespace, and RV(not_restored) lists them.
    type: bool
    default: true
  skip_extensions:
    description:
      - Extensions of the set that are left out, with the rows and grants of the schemas that they make. RV(not_restored)
        lists them, and the comparison passes over them.
      - Otherwise an extension that the server refuses fails the restore before anything is loaded, and the message names
        every such extension.
      - Set it to restore a set of a managed platform on a server without its extensions. V(pg_cron) can only be created in
        one database of a server.
    type: list
    elements: str
    default: []
  materialized_views:
    description:
      - Handling of materialized views, whose rows no backup set holds.
      - V(refresh) refreshes them. A view whose refresh fails stays without rows and is listed in RV(not_restored).
      - V(required) fails the restore when the refresh of a view fails.
      - V(without_data) leaves them without rows, for example to refresh expensive ones later.
    type: str
    choices: [refresh, required, without_data]
    default: refresh
  object_errors:
    description:
      - Handling of objects of the set that PostgreSQL refuses.
      - V(fail) fails the restore. O(mode=new) and O(mode=swap) keep the database with everything else under the name that
        the message states, until the next restore into the same target removes it.
      - V(report) finishes the restore without these objects and lists them in RV(not_restored). RV(fingerprint) then lists
        the differences from the set.
      - For a plain dump of C(pg_dump), V(fail) tries the rest of the script without rows, so that the error names every
        refused statement, and RV(lacking) the objects that the dump refers to and does not hold. A script of unknown origin is one
        transaction, which the first refused statement ends.
    type: str
    choices: [fail, report]
    default: fail
  locale:
    description:
      - Handling of a database whose locale the server does not have, that is its encoding, provider, LC_COLLATE,
        LC_CTYPE, ICU locale or rules.
      - V(exact) refuses before anything is made.
      - V(nearest) uses the locale C.UTF-8 or that of the server and lists the differences in RV(properties). Text may then
        sort and compare differently.
    type: str
    choices: [exact, nearest]
    default: exact
  lock_timeout:
    description:
      - How many seconds O(mode=in_place) tries to lock the tables, each of the two times that it takes locks, and how long
        O(mode=swap) waits for the lock of the database.
      - O(mode=in_place) waits for at most 2 seconds at a time and pauses in between, so that the application does not queue
        behind it.
      - Raise it for a database with long transactions.
    type: float
    default: 30
  fingerprint:
    description:
      - V(full) compares row counts and digests of all tables with the set, V(counts) only counts, V(none) nothing.
      - With each value, foreign keys are tested by a search for rows without a parent.
    type: str
    choices: [full, counts, none]
    default: full
  terminate_sessions:
    description:
      - End the sessions on the target. Otherwise sessions fail O(mode=swap) and O(mode=in_place) before anything changes.
    type: bool
    default: false
  spool_dir:
    description:
      - A folder with space for the plain dump. If it is unset, the system's folder for temporary files is used.
    type: path
seealso:
  - module: lifeline.recovery.pg_backup
  - module: lifeline.recovery.integrity_check
"""

EXAMPLES = r"""
- name: Restore the newest set into a new database
  lifeline.recovery.pg_restore:
    source: school
    target_db: school_copy
    create_roles: true
    login_host: db.example.org
    login_user: postgres
    login_password: "{{ vault_postgres_password }}"
    store:
      bucket: school-backups

- name: Restore the state before the incident into the live database
  lifeline.recovery.pg_restore:
    source: school
    before: "2026-03-01T12:40:00Z"
    target_db: school
    mode: swap
    terminate_sessions: true
    recovery_confirm: school
    login_unix_socket: /run/postgresql
    store:
      bucket: school-backups
  register: recovery

- name: Restore a compressed dump that another tool made
  lifeline.recovery.pg_restore:
    archive: /var/backups/postgres/school.sql.gz
    target_db: school_from_dump
    login_unix_socket: /run/postgresql
"""

RETURN = r"""
mode:
  description: The mode, as given.
  type: str
  returned: success
  sample: swap
target_db:
  description: The database that was restored.
  type: str
  returned: success
  sample: school
set_id:
  description: The set that was restored, or null for an archive.
  type: str
  returned: success
  sample: 20260301T020005Z
recovery_point:
  description: The instant that the database now shows, or null for an archive.
  type: str
  returned: success
  sample: "2026-03-01T02:00:05.123+00:00"
archive:
  description: The archive, as given.
  type: str
  returned: success
  sample: null
bytes_fetched:
  description: Stored bytes that were read from the store.
  type: int
  returned: success
  sample: 183500800
roles_created:
  description: Roles that were made without login.
  type: list
  elements: str
  returned: success
  sample: [anon, authenticated]
fingerprint:
  description:
    - The comparison with the set - mode, equal, tables, rows, differences (the first 50) and difference_count.
    - C(equal) is null if there was nothing to compare with. In mode V(counts) it only means that the numbers of rows agree.
    - C(algorithm) is the digest of rows that the set was made with. C(weaker) is true for a set of an earlier version,
      whose digest does not detect all values that rows exchanged.
    - C(additional) lists definitions that only the database has (a difference, except within a live database).
      C(refreshed) lists materialized views whose rows differ because the restore computed them again.
    - C(note) is the reason why definitions that PostgreSQL prints differently could not be compared by their meaning.
  type: dict
  returned: always, once the data was loaded
  sample:
    mode: full
    equal: true
    algorithm: row_hash/2
    weaker: false
    tables: 38
    rows: 1250000
    differences: []
    difference_count: 0
    additional: []
    refreshed: []
    note: ""
foreign_keys:
  description:
    - How many foreign keys were tested, and which have rows without a parent.
    - PostgreSQL tests those of a set when it adds them. The rows of a dump of another tool are tested again.
  type: dict
  returned: always, once the data was loaded
  sample: {checked: 31, violated: []}
properties:
  description:
    - The comparison of the properties of the database. C(of) is V(set), V(target_db) or V(none), where the expected
      properties come from; C(equal) is null when there was nothing to compare with; C(differences) lists what differs.
    - C(changed_since_backup) lists what the live database has changed since the set was stored.
  type: dict
  returned: success
  sample: {of: set, equal: true, differences: [], changed_since_backup: []}
not_restored:
  description: Objects that the database lacks or has only in part, each with C(object), C(reason) and C(statement).
  type: list
  elements: dict
  returned: success
  sample:
    - object: materialized view public.totals
      reason: 'it is without rows, because its refresh failed: could not connect to server "archive"'
      statement: REFRESH MATERIALIZED VIEW public.totals;
replaced_equal:
  description:
    - With O(mode=in_place), whether the replaced content was equal to the set, so that no change was lost. Null if it was not compared.
  type: bool
  returned: success
  sample: false
neutralized:
  description:
    - Objects that were disabled because the database is a copy, as RV(lifeline.recovery.pg_neutralize#module:neutralized).
    - Empty in check mode, because the objects are known only after the restore.
  type: list
  elements: dict
  returned: success
  sample: []
not_covered:
  description: Content that the set does not hold, as text; other backups must hold it.
  type: list
  elements: str
  returned: success
  sample: [passwords of roles, bytes of storage objects (back up the buckets with bucket_backup)]
failed_objects:
  description: All objects that PostgreSQL refused, each with C(object), C(reason) and C(statement).
  type: list
  elements: dict
  returned: when objects were refused
  sample: []
lacking:
  description: Objects that a plain dump refers to and that neither the dump nor the database has, by kind and name.
  type: list
  elements: str
  returned: when statements of a plain dump were refused
  sample: [schema auth]
undo:
  description: The options that take this restore back, or nothing for V(new).
  type: dict
  returned: success
  sample: {mode: undo, undo_db: school_before_20260301t124500z}
plan:
  description: The plan that check mode shows and a confirmation accepts.
  type: dict
  returned: success
  sample: {mode: swap, target_db: school, set_id: 20260301T020005Z, replaces: 700.0 MiB, sessions: 3}
plan_digest:
  description: Sixteen digits that O(recovery_confirm) may be; they change with RV(plan), but not with its C(replaces) and C(sessions).
  type: str
  returned: success
  sample: 3f1c9a0b5d7e2468
confirmation:
  description: The value that O(recovery_confirm) must have in a run with the same options; empty if the run needs no other value.
  type: str
  returned: success
  sample: ""
timings:
  description: Seconds per phase.
  type: dict
  returned: success
  sample: {preflight: 0.1, fetch: 2.3, provision: 0.1, restore: 14.2, verify: 3.9, swap: 0.1, total: 20.7}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: "Restored set 20260301T020005Z as 'school' (swap) in 20.7 s; 1250000 rows in 38 tables are equal to the set."
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: target_exists
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._ansible.postgres_requests import maintenance_options
from ..module_utils._ansible.store_requests import readable_store, store_spec
from ..module_utils._engines.postgresql.foreign.preparation import Preparation, new_extension
from ..module_utils._engines.postgresql.restore.restore import restore_of
from ..module_utils._engines.postgresql.restore.restore_request import RestoreRequest, RestoreResult
from ..module_utils._operations.change import perform

RULES = ArgumentSpec(
    mutually_exclusive=[["archive", "set"], ["archive", "before"]],
    required_if=[["mode", "undo", ["undo_db"]]],
)
SPEC = spec_of(RestoreRequest).merge(RULES, postgres_spec(), store_spec())


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> RestoreResult:
        extensions = tuple(map(new_extension, params["create_extensions"]))
        request = request_of(
            RestoreRequest,
            params,
            check_mode=module.check_mode,
            connection=maintenance_options(params),
            preparation=request_of(Preparation, params, check_mode=module.check_mode, extensions=extensions),
        )
        return perform(restore_of(request, readable_store(params, params["source"]) if params["store"] else None))

    run_module(module, work)


if __name__ == "__main__":
    main()
