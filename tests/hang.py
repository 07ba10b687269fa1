"""How long a test waits for what has to happen."""

from __future__ import annotations

from typing import Final

HANG_S: Final = 240.0
"""What takes longer hangs. No promise is measured by it: the machine may be far behind with its work."""
