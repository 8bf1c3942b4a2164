# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data directory of the cluster of a stanza, from the configuration of pgBackRest."""

from __future__ import annotations

import configparser
import glob
import os
import typing as t

_DEFAULTS = ("/etc/pgbackrest/pgbackrest.conf", "/etc/pgbackrest.conf")
_INCLUDED = "/etc/pgbackrest/conf.d/*.conf"


def configured_data_directory(
    stanza: str, config: t.Optional[str], environment: t.Mapping[str, str]
) -> t.Optional[str]:
    """pg1-path of the stanza, or None if it is not configured or the files cannot be read."""
    for given in (environment, os.environ):
        if given.get("PGBACKREST_PG1_PATH"):
            return given["PGBACKREST_PG1_PATH"]
    files = [config] if config else [next((path for path in _DEFAULTS if os.path.exists(path)), _DEFAULTS[0])]
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    try:
        parser.read([*files, *sorted(glob.glob(_INCLUDED) if config is None else [])], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        return None
    for section in (stanza, "global"):
        if parser.has_option(section, "pg1-path"):
            return parser.get(section, "pg1-path").strip()
    return None
