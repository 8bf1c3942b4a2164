# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An export of D1 that D1 itself refuses to import."""

from __future__ import annotations

#: As D1's export writes it: rows before a later table, infinities as words, counters of a missing table.
EXPORT = """PRAGMA defer_foreign_keys=TRUE;
CREATE TABLE booking (id INTEGER PRIMARY KEY, tenant TEXT REFERENCES tenant(id), price REAL);
INSERT INTO "booking" VALUES(1,'t1',Infinity);
INSERT INTO "booking" VALUES(2,'t1',-Infinity);
CREATE TABLE tenant (id TEXT PRIMARY KEY, note TEXT);
INSERT INTO "tenant" VALUES('t1','Infinity; is a word
here: BEGIN TRANSACTION;');
DELETE FROM sqlite_sequence;
CREATE INDEX of_tenant ON booking(tenant);
"""
