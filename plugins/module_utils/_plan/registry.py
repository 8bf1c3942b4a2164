# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every rule, in the order of findings. A new rule is a new entry of its file."""

from __future__ import annotations

import typing as t

from . import (
    rules_copies,
    rules_failover,
    rules_keeping,
    rules_methods,
    rules_names,
    rules_objectives,
    rules_people,
    rules_proof,
    rules_regions,
)
from .findings import Rule

#: Heading of the documentation, and the rules under it.
SUBJECTS: t.Tuple[t.Tuple[str, t.Tuple[Rule, ...]], ...] = (
    ("Names", rules_names.RULES),
    ("Objectives", rules_objectives.RULES),
    ("Copies", rules_copies.RULES),
    ("Regions", rules_regions.RULES),
    ("Keeping", rules_keeping.RULES),
    ("Methods", rules_methods.RULES),
    ("Failover", rules_failover.RULES),
    ("Proof", rules_proof.RULES),
    ("People", rules_people.RULES),
)
RULES: t.Tuple[Rule, ...] = tuple(rule for _subject, rules in SUBJECTS for rule in rules)

#: Mistakes of real recovery plans; at least one rule detects each.
TRAPS: t.Mapping[str, str] = {
    "T1": "Verifications that cannot fail, or cannot pass: errors are discarded, or undumped data is counted.",
    "T2": "Dumps without GRANTs: after the restore the application may not read its own tables.",
    "T3": "Commands that do not exist: pg_dump --where, one table out of a plain dump.",
    "T4": "A pointer to the newest backup that nothing writes, retention that nothing applies, silent failures.",
    "T5": "An API that would create a backup of the past.",
    "T6": "Failover without fencing or a check of the lag, or with names that change before the database is ready.",
    "T7": "TRUNCATE ... CASCADE to restore one table, and files of another server's disk.",
    "T8": "The age of backups judged by rows of the application.",
    "T9": "Objectives that schedules and estimates contradict.",
    "T10": "supabase db reset as a restore.",
    "T11": "Repairs that drop what they do not know, and paste values into SQL.",
    "T12": "Repairs that cannot be run twice.",
    "T13": "Exports of D1 that cannot be imported, imports expected to overwrite, a search for COMMIT.",
    "T14": "A search for the rows of a tenant with grep.",
    "T15": "Backups in the bucket or account of the application's files; days judged by the names of one month.",
    "T16": "Files of a storage without a backup, because replication is mistaken for a backup.",
    "T17": "Restored copies whose cron jobs, triggers and webhooks affect other systems.",
    "T18": "Erased personal data that a restore recovers.",
}
