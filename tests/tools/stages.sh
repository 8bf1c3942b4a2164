#!/usr/bin/env bash
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# stages.sh STAGE...: runs each as a target of make, and prints the result and the duration of each at the end.
# A stage with & after its name runs beside those that follow; what it printed is shown when they are through.
# The last words of a stage that failed stand after the summary, where one looks first.
set -uo pipefail

lines=() failed=0 began=$SECONDS
aside=$(mktemp -d)
finish() {
    for group in $(jobs -p); do kill -- "-$group" 2>/dev/null; done
    wait
    rm -rf "$aside"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

run() {
    local start=$SECONDS word=ok
    echo "== $1"
    make --no-print-directory "$1" 2>&1 | tee "$aside/$1.said" || word=FAILED
    printf '%-12s %-7s %4d s\n' "$1" "$word" $((SECONDS - start)) >"$aside/$1.line"
}

for stage in "$@"; do
    if [ "$stage" != "${stage%&}" ]; then
        echo "== ${stage%&} begins, beside the others"
        # A group of its own, so that all of it can be ended.
        set -m
        run "${stage%&}" >"$aside/${stage%&}.log" 2>&1 &
        set +m
    else
        run "$stage"
    fi
done
wait
for stage in "$@"; do
    if [ "$stage" != "${stage%&}" ]; then cat "$aside/${stage%&}.log"; fi
    lines+=("$(cat "$aside/${stage%&}.line")")
    if [[ ${lines[-1]} == *FAILED* ]]; then failed=1; fi
done
echo "== summary"
printf '%s\n' "${lines[@]}" "$(printf '%-12s %-7s %4d s' all "$([ $failed -eq 0 ] && echo ok || echo FAILED)" $((SECONDS - began)))"
for stage in "$@"; do
    if [[ $(cat "$aside/${stage%&}.line") == *FAILED* ]]; then
        echo "== ${stage%&} ended with"
        # The findings of sanity and tests are above the last lines of their output.
        grep -aE '^(ERROR|FAILED|E  )' "$aside/${stage%&}.said" | tail -n 12
        tail -n 8 "$aside/${stage%&}.said"
    fi
done
exit $failed
