"""The panel's own keys: made on first start, 0600 from birth, never shipped."""

import base64
import os
import secrets
from pathlib import Path


def _write_once(path: Path, content: str) -> None:
    """Creates `path` 0600 with `content` unless it exists; two processes racing agree on the first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(aside, path)  # a link appears whole or not at all, and never replaces
    except FileExistsError:
        pass
    finally:
        aside.unlink(missing_ok=True)


def signing_key(path: Path) -> str:
    """The key for sessions and signed links."""
    if not path.exists():
        _write_once(path, secrets.token_urlsafe(64) + "\n")
    return path.read_text().strip()


def vault_keys(path: Path) -> list[tuple[str, str]]:
    """The key ring for sealed columns: one `<id> <base64 of 32 bytes>` a line, newest first."""
    if not path.exists():
        _write_once(path, f"k1 {base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}\n")
    ring = [tuple(line.split()) for line in path.read_text().splitlines() if line.strip()]
    if not ring or any(len(entry) != 2 or len(base64.urlsafe_b64decode(entry[1])) != 32 for entry in ring):
        raise ValueError(f"{path} is not a key ring: each line is an id and 32 bytes in base64")
    return ring
