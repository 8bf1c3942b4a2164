# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # A stanza of pgBackRest, on the host that runs its server or where it is restored.
    DOCUMENTATION = r"""
options:
  stanza:
    description:
      - The stanza of pgBackRest, which is the name of the cluster in its repository.
    type: str
    required: true
  config:
    description:
      - The configuration file of pgBackRest. Without it, pgBackRest looks in its usual places.
    type: path
  repository:
    description:
      - The number of the repository to read, for configurations with several.
    type: int
    default: 1
  environment:
    description:
      - Variables C(PGBACKREST_*) for pgBackRest, such as the passphrase or the keys of the repository, and others that it needs.
      - They are handed over in its environment, never on a command line. The restored server gets them too, for it fetches
        the archive itself until recovery ends.
    type: dict
    default: {}
  pgbackrest:
    description:
      - The program, when it is not on the path.
    type: str
    default: pgbackrest
  os_user:
    description:
      - Whom the programs run as when this module runs as root. Without it, the owner of the live data directory.
      - They never run as root; otherwise they run as whoever runs the module.
    type: str
  spool_dir:
    description:
      - A folder with room for three segments of the write-ahead log. Without it, the system's folder for temporary files.
    type: path
"""
