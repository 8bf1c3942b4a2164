# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases that others published, brought in for a test run and never kept in the repository."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.runner.server import ROOT

_CACHE = ROOT / ".cache" / "samples"


@dataclass(frozen=True)
class Sample:
    """SQL scripts to run in order; of a package of Debian, or of a folder given in the environment."""

    name: str
    scripts: tuple[str, ...]
    package: str = ""

    def script(self) -> str | None:
        """All scripts as one, or None when they cannot be had here."""
        folder = _package_folder(self.package) if self.package else Path()
        if folder is None:
            return None
        return "\n".join(_read(folder / script) for script in self.scripts)


PACKAGED = (
    Sample(
        "zabbix",
        tuple(f"usr/share/zabbix-server-pgsql/{name}.sql.gz" for name in ("schema", "images", "data")),
        "zabbix-server-pgsql",
    ),
    Sample("icinga", ("usr/share/icinga2-ido-pgsql/schema/pgsql.sql",), "icinga2-ido-pgsql"),
    Sample("powerdns", ("usr/share/pdns-backend-pgsql/schema/schema.pgsql.sql",), "pdns-backend-pgsql"),
)


def samples() -> list[Sample]:
    """Those of Debian, and every .sql file in the folder that LIFELINE_SAMPLES names."""
    given = os.environ.get("LIFELINE_SAMPLES")
    files = sorted(Path(given).glob("*.sql")) if given else []
    return [*PACKAGED, *(Sample(path.stem, (str(path),)) for path in files)]


def _package_folder(package: str) -> Path | None:
    folder = _CACHE / package
    if folder.exists():
        return folder
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return None
    downloads = _CACHE / f"{package}.{os.getpid()}"
    downloads.mkdir(parents=True, exist_ok=True)
    try:
        if subprocess.run(["apt-get", "download", package], cwd=downloads, capture_output=True, check=False).returncode:
            return None
        (archive,) = downloads.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(archive), str(downloads / "tree")], check=True)
        (downloads / "tree").rename(folder)
    finally:
        shutil.rmtree(downloads)
    return folder


def _read(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
