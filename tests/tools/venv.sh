#!/usr/bin/env bash
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# venv.sh PYTHON FOLDER REQUIREMENTS: a virtual environment with what the file names.
set -euo pipefail

python=$1 folder=$2 requirements=$3

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Python 3.11 or newer is needed, and $python is not. Install it, or name it: make PYTHON=python3.12" >&2
    exit 2
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "The module venv of $python is missing. On Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 2
fi
[ -x "$folder/bin/python" ] || { echo "== virtual environment in $folder"; "$python" -m venv "$folder"; }
echo "== packages of $requirements"
"$folder/bin/python" -m pip install --quiet --requirement "$requirements" 2> >(grep -v '^WARNING: Location' >&2)
