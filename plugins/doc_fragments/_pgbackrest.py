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
      - Stanza of pgBackRest, which is the name of the cluster in its repository.
    type: str
    required: true
  config:
    description:
      - Path of the configuration file of pgBackRest. If it is unset, pgBackRest uses its default paths.
    type: path
  repository:
    description:
      - Number of the repository to read, for configurations with several repositories.
    type: int
    default: 1
  environment:
    description:
      - Variables C(PGBACKREST_*) for pgBackRest, such as the passphrase or the keys of the repository, and others that it needs.
      - They are passed in its environment, never on a command line. The restored server gets them too, because it fetches
        the archive itself until recovery ends.
    type: dict
    default: {}
  pgbackrest:
    description:
      - Path of the program pgbackrest, if it is not in E(PATH).
    type: str
    default: pgbackrest
  os_user:
    description:
      - User of the programs if this module runs as root. If it is unset, the owner of the data directory of the cluster is used.
      - The programs never run as root. If this module does not run as root, they run as its user.
    type: str
  spool_dir:
    description:
      - Folder with space for three WAL segments. If it is unset, the folder of the system for temporary files is used.
    type: path
"""
