"""Checks JUnit XML against what Jenkins' schema allows.

The rules are those of ``junit-10.xsd`` of the xUnit plug-in (jenkinsci/xunit-plugin, MIT licence): which attributes
and children an element may and must have, and the pattern of times. The schema itself is not included.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

_TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?")
_SUITE = {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package"}
_REASON = {"type", "message"}

# element: attributes that it must have, that it may have, children that it may have
ALLOWED: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        _SUITE | {"file", "log", "url"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name"},
        {"name", "time", "classname", "group"},
        # Not in the schema, so the xUnit plug-in refuses them; the `junit` step reads them, as pytest writes them.
        {"properties", "skipped", "error", "failure", "system-out", "system-err"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, {"name", "value"}, set()),
    "failure": (set(), _REASON, set()),
    "error": (set(), _REASON, set()),
    "skipped": (set(), _REASON, set()),
    "system-out": (set(), set(), set()),
    "system-err": (set(), set(), set()),
}
_MIXED = {"failure", "error", "skipped", "system-out", "system-err"}


def check(element: Element) -> None:
    """Check an element and everything in it.

    Raises:
        AssertionError: The schema would reject it.
    """
    required, allowed, children = ALLOWED[element.tag]
    assert required <= set(element.attrib) <= required | allowed, (element.tag, element.attrib)
    assert "time" not in element.attrib or _TIME.fullmatch(element.attrib["time"]), element.attrib
    assert element.tag in _MIXED or not (element.text or "").strip(), element.text
    for child in element:
        assert child.tag in children, (element.tag, child.tag)
        assert not (child.tail or "").strip()
        check(child)
