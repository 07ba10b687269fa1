"""For a process whose time or imports a test looks at.

Measured by coverage.py, it would compute several times as long, import that too, and write its data before it ends.
"""

from __future__ import annotations

UNMEASURED = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}
"""Environment variables that keep `make coverage` from measuring it."""
