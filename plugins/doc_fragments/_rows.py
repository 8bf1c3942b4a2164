# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # The selection of rows and of references between them.
    DOCUMENTATION = r"""
options:
  where:
    description:
      - SQL conditions by table, as after C(WHERE), on the columns of that table only.
      - The conditions are checked before rows are fetched.
    type: dict
    default: {}
  run_as:
    description:
      - The PostgreSQL role whose rights the work on rows has. Triggers, domain checks, casts and other code of database users
        runs as this role and cannot leave it.
      - If unset, rows are restored as the owner of the tables. If the tables have several owners, or an owner is a superuser
        or subject to forced row-level security, a role with the rights of the owners is created in the transaction and dropped
        before its commit; of a superuser it has no more than the right to read and write rows. If unset, rows are taken out by
        a role that may only read.
      - If the login role is no superuser and may not act for the owner, the rights of the login role are used.
      - Set it if a trigger needs rights that the owner lacks.
    type: str
"""

    # Rows by key, and references that no foreign key declares.
    KEYS = r"""
options:
  keys:
    description:
      - Lists of keys by table. A key is a value of the primary key, or a list of values when that has several columns.
      - For other columns, set C(columns) and C(values) instead of the list.
    type: dict
    default: {}
  references:
    description:
      - References that no foreign key declares.
    type: list
    elements: dict
    default: []
    suboptions:
      table:
        description:
          - The table that refers.
        type: str
        required: true
      columns:
        description:
          - Its columns.
        type: list
        elements: str
        required: true
      parent:
        description:
          - The table that is referred to.
        type: str
        required: true
      parent_columns:
        description:
          - Its columns, one for each of O(references[].columns).
        type: list
        elements: str
        required: true
"""

    # The limits, the plan and the reason of a restore of rows.
    LIMITS = r"""
options:
  max_rows:
    description:
      - The most rows that may be inserted and updated; more fail before anything changes. If unset, there is no limit.
    type: int
  max_deletes:
    description:
      - The most rows that may be deleted; more fail before anything changes.
    type: int
    default: 1000
  diff_rows:
    description:
      - How many rows of each kind and table a diff shows. V(0) shows all rows.
    type: int
    default: 20
  plan_only:
    description:
      - If V(true), everything that could refuse the restore is tested, and nothing is stored or changed. Unlike in check mode, a
        missing or wrong O(recovery_confirm) fails.
      - Set it to test a restore before a step that takes long, such as a backup.
    type: bool
    default: false
  reason:
    description:
      - Why the rows are restored, in one sentence, for the audit record.
    type: str
"""
