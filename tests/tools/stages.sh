#!/usr/bin/env bash
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# stages.sh STAGE...: runs each as a target of make, and tells at the end how each went and how long it took.
set -uo pipefail

lines=() failed=0 began=$SECONDS
for stage in "$@"; do
    echo "== $stage"
    start=$SECONDS
    if make --no-print-directory "$stage"; then word=ok; else word=FAILED failed=1; fi
    lines+=("$(printf '%-12s %-7s %4d s' "$stage" "$word" $((SECONDS - start)))")
done
echo "== summary"
printf '%s\n' "${lines[@]}" "$(printf '%-12s %-7s %4d s' all "$([ $failed -eq 0 ] && echo ok || echo FAILED)" $((SECONDS - began)))"
exit $failed
