#!/usr/bin/env bash
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs ansible-test sanity on a copy of the collection, in a home of its own.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
work="$root/.cache/sanity"
copy="$work/ansible_collections/lifeline/recovery"
export HOME="$work/home"

rm -rf "$copy"
mkdir -p "$copy" "$HOME/.ansible/test/cache" "$HOME/.config/pip"
cd "$root"
git ls-files -co --exclude-standard -z | while IFS= read -r -d '' file; do
    if [ -e "$file" ]; then printf '%s\0' "$file"; fi
done | xargs -0 cp --parents --no-dereference --target-directory "$copy"

# ansible-test gives its virtual environments a pip of its own choice, which it would download as a script.
cat > "$HOME/.ansible/test/cache/get_pip_24_2.py" <<'PY'
import subprocess
import sys

subprocess.run([sys.executable, "-m", "ensurepip", "--upgrade"], check=True)
subprocess.run([sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "pip==24.2"], check=True)
PY

# It also hides the environment from pip, so these settings go into a file.
{
    echo "[global]"
    [ -z "${PIP_CERT:-}" ] || echo "cert = $PIP_CERT"
    [ -z "${PIP_INDEX_URL:-}" ] || echo "index-url = $PIP_INDEX_URL"
    [ -z "${PIP_EXTRA_INDEX_URL:-}" ] || echo "extra-index-url = $PIP_EXTRA_INDEX_URL"
} > "$HOME/.config/pip/pip.conf"

cd "$copy"
# Files are found by git, and the repository around this copy ignores it.
git init --quiet . && git add --all
unset ANSIBLE_CONFIG
# Only the Python of this environment: others on the path may be stubs of a version manager.
tool=$(command -v ansible-test)
version=$("$(dirname "$tool")/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
export PATH="$(dirname "$tool"):/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ansible-test sanity --local --requirements --python "$version" --color no "$@"
