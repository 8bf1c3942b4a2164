# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JUnit XML, as continuous integration servers read it."""

from __future__ import annotations

import re
import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass

#: Everything that XML 1.0 cannot carry, even escaped. https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_ELEMENTS = {"failed": "failure", "error": "error", "skipped": "skipped"}


@dataclass(frozen=True)
class TestCase:
    """One line of a report. status: passed, failed, error or skipped; message is one line, detail may be many."""

    #: The class is no test, although its name begins like one.
    __test__: t.ClassVar[bool] = False

    name: str
    classname: str
    status: str
    message: str = ""
    detail: str = ""
    seconds: float = 0.0


def junit_xml(suite_name: str, cases: t.Sequence[TestCase]) -> str:
    """One test suite as a document; the message of a passed case is its system-out."""
    suite = ET.Element("testsuite", _counts(suite_name, cases))
    for case in cases:
        suite.append(_element(case))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _counts(suite_name: str, cases: t.Sequence[TestCase]) -> t.Dict[str, str]:
    def having(status: str) -> str:
        return str(sum(case.status == status for case in cases))

    return {
        "name": _clean(suite_name),
        "tests": str(len(cases)),
        "failures": having("failed"),
        "errors": having("error"),
        "skipped": having("skipped"),
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }


def _element(case: TestCase) -> ET.Element:
    element = ET.Element(
        "testcase",
        {"name": _clean(case.name), "classname": _clean(case.classname), "time": f"{case.seconds:.3f}"},
    )
    if case.status in _ELEMENTS:
        outcome = ET.SubElement(element, _ELEMENTS[case.status], {"message": _clean(case.message)})
        outcome.text = _clean(case.detail) or None
    elif case.message or case.detail:
        said = ET.SubElement(element, "system-out")
        said.text = _clean("\n".join(part for part in (case.message, case.detail) if part))
    return element


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
