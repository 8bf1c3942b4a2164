#!/usr/bin/env bash
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs scenarios of Molecule in containers: all of them, or those that are named. Called by tests/tools/engine.sh, which sees to an engine.
set -euo pipefail

cd "$(dirname "$0")/../.."
LIFELINE_IMAGE=$(molecule/shared/image.sh)
export LIFELINE_IMAGE PATH="$PWD/.venv/bin:$PATH" MOLECULE_GLOB="molecule/*/molecule.yml"
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for folder in molecule/*/converge.yml; do names+=("$(basename "$(dirname "$folder")")"); done
fi
lines=() failed=0
finish() {
    molecule destroy -s default >/dev/null 2>&1 || true
    printf '%s\n' "${lines[@]}"
}
trap finish EXIT
molecule destroy -s default >/dev/null 2>&1 || true
start=$SECONDS
molecule create -s default
lines+=("$(printf '%-20s %-7s %4d s' containers ok $((SECONDS - start)))")
for name in "${names[@]}"; do
    start=$SECONDS
    ls "molecule/$name"/tests/test_*.py >/dev/null || { echo "molecule/$name has no tests" >&2; exit 1; }
    if molecule test --destroy=never -s "$name"; then word=ok; else word=FAILED failed=1; fi
    lines+=("$(printf '%-20s %-7s %4d s' "$name" "$word" $((SECONDS - start)))")
done
exit $failed
