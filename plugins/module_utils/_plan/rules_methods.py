# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules about methods: steps with unexpected effects, and missing steps."""

from __future__ import annotations

import typing as t
from datetime import date

from .._core.severity import ERROR, WARNING
from .facts import methods_of_kind, methods_with
from .findings import Hit, Rule
from .model import Plan


def _no_step(step: str, message: str) -> t.Callable[[Plan, date], t.Iterator[Hit]]:
    """A rule that a method with the step violates."""

    def judge(plan: Plan, today: date) -> t.Iterator[Hit]:
        for index, method in methods_with(plan, step):
            yield Hit(f"methods[{index}].steps[{method.steps.index(step)}]", f"{method.name}: {message}")

    return judge


#: Step, which is the id of the rule; severity; trap; effect; requirement; next step.
_BAD_STEPS: t.Tuple[t.Tuple[str, str, str, str, str, str], ...] = (
    (
        "ignore_errors",
        ERROR,
        "T1",
        "psql continues after an error and still reports success, so a broken restore passes.",
        "A restore stops at its first error.",
        "Restore with pg_restore of this collection, or at least with ON_ERROR_STOP=1.",
    ),
    (
        "no_privileges",
        WARNING,
        "T2",
        "GRANTs are not in the dump, so after a restore the roles of the application may not read their tables.",
        "Backups hold GRANTs.",
        "Remove the option, and compare grants after a restore.",
    ),
    (
        "pg_dump_where",
        ERROR,
        "T3",
        "pg_dump has no option --where; the command fails on the day it is needed.",
        "Rows are exported in a way that exists.",
        "Use pg_restore_table with where or keys, or COPY (SELECT ...).",
    ),
    (
        "plain_table_restore",
        ERROR,
        "T3",
        "pg_restore refuses a plain SQL file, so it cannot restore a single table from it.",
        "Single tables are restored from an archive that supports it.",
        "Back up into sets or custom archives, and use pg_restore_table.",
    ),
    (
        "request_pitr_backup",
        ERROR,
        "T5",
        "No API creates a backup of a past point in time; one restores the production project to it.",
        "Recovery to a point in time uses an API that exists.",
        "Restore side by side from WAL, or let the provider restore, with an undo first.",
    ),
    (
        "truncate_cascade",
        ERROR,
        "T7",
        "TRUNCATE ... CASCADE empties every table that refers to this one, and only this one is loaded again.",
        "A table is restored without emptying those that depend on it.",
        "Use pg_restore_table, which merges rows in one transaction.",
    ),
    (
        "server_path",
        ERROR,
        "T7",
        "COPY with a path reads the disk of its own server; the file of another server is not on that disk.",
        "Rows travel between servers through a client.",
        "Use pg_restore_table, or COPY ... FROM STDIN.",
    ),
    (
        "supabase_db_reset",
        ERROR,
        "T10",
        "supabase db reset drops every object and runs the migrations; it restores no data.",
        "A restore restores data.",
        "Restore a set side by side with the database, compare it, and swap.",
    ),
    (
        "drop_unknown_ids",
        ERROR,
        "T11",
        "Unknown ids are dropped without a message, every row is written, and their order is lost.",
        "A repair reports the values that it removes, and changes only broken rows.",
        "Report unknown ids first, keep the order, and update only the rows that hold one.",
    ),
    (
        "paste_values",
        ERROR,
        "T11",
        "Values that are pasted into SQL break at the first quote, or inject SQL.",
        "Values reach SQL as parameters.",
        "Bind parameters, and name an owner explicitly instead of the first match.",
    ),
    (
        "insert_plain",
        WARNING,
        "T12",
        "INSERT without ON CONFLICT fails, or doubles rows, when it is run again.",
        "A repair can be run twice.",
        "Add ON CONFLICT, or insert only missing rows.",
    ),
    (
        "d1_native_export",
        WARNING,
        "T13",
        "The export of D1 often cannot be imported again: order of tables, large rows, large numbers.",
        "A backup of D1 was loaded once before it counts.",
        "Use d1_backup, which loads each set and compares it.",
    ),
    (
        "d1_import_over",
        ERROR,
        "T13",
        "An import does not overwrite: it fails where tables exist, or doubles rows.",
        "A restore of D1 goes into an empty database, or replaces an existing one on purpose.",
        "Use d1_restore.",
    ),
    (
        "expect_commit",
        ERROR,
        "T13",
        "An export of D1 has no COMMIT at its end, so complete files are rejected.",
        "The completeness of a file is judged by its digest and by loading it.",
        "Use backup_verify, or the check sql_dump.",
    ),
    (
        "grep_dump",
        ERROR,
        "T14",
        "Rows in a dump do not name their columns, so a search for tenant_id = '...' finds none.",
        "A tenant's rows are found through keys.",
        "Use d1_restore or pg_restore_table with the tenant.",
    ),
    (
        "grep_one_month",
        WARNING,
        "T15",
        "The file names of one month prove nothing about the last 30 days.",
        "Each day is checked.",
        "Use backup_info with days, or the level monthly of the role verify.",
    ),
)


def _dump_narrower(plan: Plan, today: date) -> t.Iterator[Hit]:
    dumps = [method for _index, method in methods_of_kind(plan, "backup") if method.schemas]
    complete = any(not method.schemas for _index, method in methods_of_kind(plan, "backup"))
    held = {schema for method in dumps for schema in method.schemas}
    if complete or not dumps:
        return
    for index, method in methods_of_kind(plan, "verification"):
        missing = [schema for schema in method.counts if schema not in held]
        if missing:
            yield Hit(
                f"methods[{index}].counts",
                f"{method.name} counts rows of {', '.join(missing)}, which no backup holds: it can never pass.",
            )


def _latest_never_written(plan: Plan, today: date) -> t.Iterator[Hit]:
    if not methods_with(plan, "write_latest"):
        for index, method in methods_with(plan, "read_latest"):
            yield Hit(
                f"methods[{index}].steps[{method.steps.index('read_latest')}]",
                f"{method.name} reads a pointer to the newest backup that nothing writes.",
            )


def _not_neutralised(plan: Plan, today: date) -> t.Iterator[Hit]:
    acting = [source.name for source in plan.sources if source.kind in ("postgresql", "supabase")]
    for index, method in methods_with(plan, "restore_copy"):
        if acting and "neutralise" not in method.steps:
            yield Hit(
                f"methods[{index}].steps",
                f"{method.name}: cron jobs, triggers and webhooks of a restored copy affect other systems.",
            )


def _undo_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    keeping = {method.name for _index, method in methods_with(plan, "keep_undo")}
    for index, scenario in enumerate(plan.scenarios):
        if scenario.destructive and not scenario.undo and scenario.method not in keeping:
            yield Hit(
                f"scenarios[{index}].undo",
                f"The recovery from {scenario.name} replaces production data and has no rollback.",
            )


def _method_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, scenario in enumerate(plan.scenarios):
        if scenario.method is None:
            yield Hit(f"scenarios[{index}].method", f"The recovery method of {scenario.name} is not set.")


RULES = (
    *(
        Rule(step, severity, trap, requirement, next_step, _no_step(step, message))
        for step, severity, trap, message, requirement, next_step in _BAD_STEPS
    ),
    Rule(
        "dump_narrower_than_checks",
        ERROR,
        "T1",
        "Backups hold every schema that a verification counts.",
        "Back up these schemas as well.",
        _dump_narrower,
    ),
    Rule(
        "latest_never_written",
        ERROR,
        "T4",
        "A pointer to the newest backup that a method reads is written by another method.",
        "Find the newest set by its manifest, as backup_info does.",
        _latest_never_written,
    ),
    Rule(
        "not_neutralised",
        WARNING,
        "T17",
        "Jobs and hooks that affect other systems are disabled in a restored copy.",
        "Restore without network access, or disable cron jobs, webhooks and mail first (step neutralise).",
        _not_neutralised,
    ),
    Rule(
        "undo_missing",
        ERROR,
        None,
        "A replacement of production data has a rollback.",
        "Keep the data before it is replaced, and describe the rollback in undo.",
        _undo_missing,
    ),
    Rule(
        "method_missing",
        WARNING,
        None,
        "Each scenario has a method.",
        "Describe the steps in methods and name the method in the scenario.",
        _method_missing,
    ),
)
