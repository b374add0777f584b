"""Many observations in one script: each becomes a named section that no content can forge."""

import base64
import binascii
import re

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


def section_script(parts: dict[str, str]) -> str:
    """One POSIX script that runs every text of `parts` in a subshell of its own and prints what each wrote to stdout.

    A section is `@name`, base64 lines, and `.`; what a part writes to stderr goes to the script's stderr.
    """
    pieces = []
    for name, script in parts.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a section name: {name!r}")
        pieces.append(f"echo @{name}\n( {script}\n) </dev/null | base64\necho .\n")
    return "".join(pieces)


def sections(stdout: bytes) -> dict[str, bytes]:
    """What `section_script` printed, by name. Noise is skipped; a section that was cut short is absent."""
    found: dict[str, bytes] = {}
    name, body = None, []
    for line in stdout.split(b"\n"):
        if line.startswith(b"@"):
            name, body = line[1:].decode("ascii", "replace"), []
        elif line == b"." and name is not None:
            content = _decoded(body)
            if content is not None:
                found[name] = content
            name = None
        elif name is not None:
            body.append(line)
    return found


def _decoded(lines: list[bytes]) -> bytes | None:
    try:
        return base64.b64decode(b"".join(lines), validate=True)
    except binascii.Error:
        return None
