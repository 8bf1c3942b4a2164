#!/usr/bin/env bash
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs scenarios of Molecule in containers: all of them, or those that are named. Called by tests/tools/engine.sh, which sees to an engine.
set -euo pipefail

cd "$(dirname "$0")/../.."
LIFELINE_IMAGE=$(molecule/shared/image.sh)
# Wide, so that what is wrong with a test stands in one line.
export COLUMNS=240 LIFELINE_IMAGE PATH="$PWD/.venv/bin:$PATH" MOLECULE_GLOB="molecule/*/molecule.yml"
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for folder in molecule/*/converge.yml; do names+=("$(basename "$(dirname "$folder")")"); done
fi
lines=() failed=0
said=$(mktemp -d)
# Scenarios share packed modules: packing takes 0.2 to 0.9 s of processor time for each module of each run.
mkdir "$said/bin" "$said/packed"
printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$PWD/.venv/bin/python" "$PWD/tests/tools/packed_playbook.py" >"$said/bin/ansible-playbook"
chmod +x "$said/bin/ansible-playbook"
export LIFELINE_PACKED="$said/packed" PATH="$said/bin:$PATH"
finish() {
    molecule destroy -s default >/dev/null 2>&1 || true
    printf '%s\n' "${lines[@]}"
    # Why a scenario failed is far above by now.
    for log in "$said"/*.FAILED; do
        if [ -e "$log" ]; then
            echo "== $(basename "$log")"
            sed 's/\x1b\[[0-9;]*m//g; s/^ *│ //' "$log" | grep -E '^E  |^(FAILED|ERROR) |fatal: |CRITICAL|randomly-seed' | cut -c1-1000 | tail -n 12
        fi
    done
    rm -rf "$said"
}
trap finish EXIT
molecule destroy -s default >/dev/null 2>&1 || true
start=$SECONDS
molecule create -s default
lines+=("$(printf '%-20s %-7s %4d s' containers ok $((SECONDS - start)))")
for name in "${names[@]}"; do
    start=$SECONDS
    ls "molecule/$name"/tests/test_*.py >/dev/null || { echo "molecule/$name has no tests" >&2; exit 1; }
    word=ok
    molecule test --destroy=never -s "$name" 2>&1 | tee "$said/$name" || word=FAILED failed=1
    if [ $word = FAILED ]; then mv "$said/$name" "$said/$name.FAILED"; fi
    lines+=("$(printf '%-20s %-7s %4d s' "$name" "$word" $((SECONDS - start)))")
done
exit $failed
