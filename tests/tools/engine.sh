#!/usr/bin/env bash
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Sees to it that a container engine answers, and runs the rest of the line with it. Installs and starts one where it may; one that was
# started here ends with the command. Without an engine it prints the reason, and exits with 3, or with 0 after --optional.
set -uo pipefail

code=3
if [ "${1:-}" = --optional ]; then code=0; shift; fi

answers() { docker info >/dev/null 2>&1; }

refuse() {
    echo "No container engine: $1 Scenarios in containers are left out." >&2
    echo "Install and start one, for example: sudo apt-get install docker.io iptables && sudo systemctl start docker" >&2
    exit "$code"
}

if ! answers; then
    [ "$(id -u)" -eq 0 ] || refuse "docker does not answer this user, who may not start it."
    if ! command -v dockerd >/dev/null; then
        command -v apt-get >/dev/null || refuse "there is no dockerd, and no apt-get to install it."
        echo "installing docker.io and iptables"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq && apt-get install -y -qq --no-install-recommends docker.io iptables >/dev/null ||
            refuse "docker.io cannot be installed."
    fi
    log=$(mktemp -d)/dockerd.log
    setsid dockerd --group root >"$log" 2>&1 </dev/null &
    engine=$!
    trap 'kill "$engine" 2>/dev/null; wait "$engine" 2>/dev/null' EXIT
    for _second in $(seq 60); do
        answers && break
        kill -0 "$engine" 2>/dev/null || break
        sleep 0.5
    done
    answers || refuse "dockerd does not start: $(tail -n 1 "$log")"
fi

"$@"
