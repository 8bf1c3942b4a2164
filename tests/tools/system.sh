#!/usr/bin/env bash
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Installs the system packages that the tests use. It prints packages that cannot be installed, and the tests that are skipped.
set -uo pipefail

cd "$(dirname "$0")/../.."

declare -A wanted=([/usr/lib/postgresql/15/bin/postgres]=postgresql-15 [/usr/bin/zstd]=zstd [/usr/bin/git]=git [/usr/bin/ssh-keygen]=openssh-client
    [/usr/bin/age]=age [/usr/bin/aws]=awscli [/usr/bin/sqlite3]=sqlite3 [/usr/bin/pgbackrest]=pgbackrest
    [/usr/lib/postgresql/15/lib/pg_cron.so]=postgresql-15-cron
    [/usr/sbin/pgbouncer]=pgbouncer [/usr/sbin/named]=bind9)
missing=()
for file in "${!wanted[@]}"; do [ -e "$file" ] || missing+=("${wanted[$file]}"); done
# A newer Node than the system's may lie elsewhere, and brings its own npm.
for program in node npm; do command -v "$program" >/dev/null || missing+=("${program/%node/nodejs}"); done

# Of Prometheus and etcd only a program is wanted, and no server that starts with the system.
bring_program() { # PROGRAM PACKAGE PURPOSE
    command -v "$1" >/dev/null || [ -x ".cache/bin/$1" ] || ! command -v apt-get >/dev/null && return
    local folder
    folder=$(mktemp -d)
    (cd "$folder" && apt-get download -q "$2" >/dev/null 2>&1 && dpkg-deb -x "$2"_*.deb . &&
        mkdir -p "$OLDPWD/.cache/bin" && cp "usr/bin/$1" "$OLDPWD/.cache/bin/") ||
        echo "Not found: $1. $3 apt-get install $2 brings it."
    rm -rf "$folder"
}

bring_programs() {
    bring_program promtool prometheus "Rules of Prometheus are not run in tests;"
    bring_program etcd etcd-server "Tests of Patroni are skipped;"
}

if [ ${#missing[@]} -eq 0 ]; then
    bring_programs
    exit 0
fi

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    # Only the programs are used; a cluster of the system is neither needed nor wanted.
    mkdir -p /etc/postgresql-common && [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null && bring_programs && exit 0
fi
echo "Not installed: ${missing[*]}. Tests on PostgreSQL 15 are left out without postgresql-15; those on 16 and 18 run."
echo "To install them: sudo apt-get install ${missing[*]}"
exit 0
