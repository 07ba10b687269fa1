"""Runs the C compiler with sanitizers, if it has them: `python -I -S cc.py [ARGUMENT ...]`.

AddressSanitizer names the line at which a program went wrong; a crash alone does not. Some compilers come without its
library. Then the program is built without sanitizers.
"""

import os
import subprocess
import sys

_OPTIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sanitizer_options.c")
_SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", _OPTIONS]
_LACKING = ("-lasan", "-lubsan", "libasan", "libubsan", "libclang_rt", "unsupported option '-fsanitize")


def main(arguments: list[str]) -> int:
    """Compile. Returns the compiler's exit code."""
    done = subprocess.run(["cc", *arguments, *_SANITIZE], stderr=subprocess.PIPE, check=False)
    text = done.stderr.decode("utf-8", "replace")
    if done.returncode and any(word in text for word in _LACKING):
        return subprocess.run(["cc", *arguments], check=False).returncode
    sys.stderr.write(text)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
