# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # A change of rows that a rule computes from the database itself.
    DOCUMENTATION = r"""
options:
  run_as:
    description:
      - The PostgreSQL role whose rights the work on rows has. Triggers and other code of database users runs as this role.
      - If it is unset, it is the owner of the tables, or a role of the transaction that has the rights of several owners. If the
        login role may not act for the owner, it is the login role.
    type: str
  triggers:
    description:
      - V(fire) lets the triggers of the table fire, as for any change that the application makes.
      - V(disable) keeps triggers that people made from firing, for which the rights of the owner are required.
    type: str
    choices: [fire, disable]
    default: fire
  undo:
    description:
      - If V(true), a set of the tier V(undo) is stored before the commit, for which O(source) and O(store) are required.
        M(lifeline.recovery.pg_restore_table) restores it with the options in RV(undo).
      - The set holds the changed rows of the table. It does not hold rows that triggers change elsewhere.
    type: bool
    default: true
  lock_timeout:
    description:
      - Seconds to wait for sessions that hold a lock on the tables.
    type: float
    default: 10
  max_rows:
    description:
      - The most rows that one run changes. If more rows are found, the run fails before anything is changed. If it is unset, there is
        no limit.
    type: int
  diff_rows:
    description:
      - The number of rows that a diff shows. V(0) shows the first 1000.
    type: int
    default: 20
  spool_dir:
    description:
      - Folder for the rows of the undo set. If it is unset, the folder of the system for temporary files is used.
    type: path
  source:
    description:
      - Name of the source in O(store), which gets the undo set and the audit record.
    type: str
  reason:
    description:
      - The reason for the change, in one sentence, for the audit record.
    type: str
"""
