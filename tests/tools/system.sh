#!/usr/bin/env bash
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Installs what the tests use of the system. What cannot be installed is named, with what is left out.
set -uo pipefail

declare -A wanted=([/usr/lib/postgresql/15/bin/postgres]=postgresql-15 [/usr/bin/zstd]=zstd [/usr/bin/git]=git
    [/usr/bin/age]=age [/usr/bin/aws]=awscli [/usr/bin/sqlite3]=sqlite3 [/usr/bin/pgbackrest]=pgbackrest)
missing=()
for file in "${!wanted[@]}"; do [ -e "$file" ] || missing+=("${wanted[$file]}"); done
# A newer Node than the system's may lie elsewhere, and brings its own npm.
for program in node npm; do command -v "$program" >/dev/null || missing+=("${program/%node/nodejs}"); done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    # Only the programs are used; a cluster of the system is neither needed nor wanted.
    mkdir -p /etc/postgresql-common && [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null && exit 0
fi
echo "Not installed: ${missing[*]}. Tests on PostgreSQL 15 are left out without postgresql-15; those on 16 and 18 run."
echo "To install them: sudo apt-get install ${missing[*]}"
exit 0
