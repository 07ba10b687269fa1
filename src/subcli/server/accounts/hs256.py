"""PyJWT as far as we use it: `jwt` without the algorithms that need cryptography.

Where cryptography is installed, as keyring brings it, PyJWT imports it: 8 MB in the memory of every server, for
algorithms that a server must refuse.
"""

from __future__ import annotations

import sys
from typing import Final

_UNUSED: Final = "cryptography"
_is_hidden = _UNUSED not in sys.modules
if _is_hidden:
    sys.modules[_UNUSED] = None  # type: ignore[assignment]
try:
    import jwt
finally:
    if _is_hidden:
        del sys.modules[_UNUSED]

__all__ = ["jwt"]
