# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The identity of the database of a PostgreSQL connection.

The OID of the database is no part of it, because every restore gives a new one. A server that does not let the role
read its system identifier, as some managed services do, is known by the address that the operator gave.
"""

from __future__ import annotations

import typing as t

from ...._repository.identity import Identity
from .catalog import ServerFacts
from .connection import ConnectionOptions


def identity_of(facts: ServerFacts, options: ConnectionOptions, database: t.Optional[str] = None) -> Identity:
    """The identity of a database on a server; the one of the connection unless it is named."""
    address = options.place.rsplit("/", 1)[0]
    identifier = facts.system_identifier
    return Identity(identifier, database or facts.database, None if identifier else address)
