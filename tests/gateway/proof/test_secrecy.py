"""While the server's own tools sign in, the password is in nobody's argv or environment and in no file."""

import base64
import time
from pathlib import Path

import pytest

from gateway.proof import prove
from servers.remote.secret import Secret
from tests.gateway.proof.localhost import Bad, LocalHost, Relay, scripted

CANARY = "canary-7f3a91c2"
EHLO = b"250-localhost\r\n250 AUTH LOGIN\r\n"


def traces() -> list[str]:
    """Every process that shows the canary, plain or in base64, to whoever may read /proc."""
    words = [CANARY.encode(), base64.b64encode(CANARY.encode()).rstrip(b"=")]
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for part in ("cmdline", "environ"):
            try:
                content = (process / part).read_bytes()
            except OSError:
                continue
            if any(word in content for word in words):
                found.append(f"{process.name} {part}: {content[:200]!r}")
    return found


@pytest.mark.parametrize("forbidden", [False, True], ids=["tunnel", "server"])
def test_the_password_is_in_no_argv_and_no_environment(forbidden):
    seen, heard = [], []

    def act(connection):
        inner = scripted(b"220 hi\r\n", {b"EHLO": EHLO, b"AUTH": b"334 VXNlcm5hbWU6\r\n", b"d": b"334 UGFz\r\n"})

        class Watched:
            def __getattr__(self, name):
                return getattr(connection, name)

            def sendall(self, data):
                seen.extend(traces())
                heard.append(data)
                connection.sendall(data)
                time.sleep(0.05)

        inner(Watched())

    with Bad(act) as server:
        relay = Relay(port=server.port, tls="none", password=Secret(CANARY))
        proof = prove(LocalHost(forbidden), relay, sender="root@example.com")
    assert [line for line in proof.transcript if line.startswith("C: ")].count("C: ••••") == 2
    assert len(heard) > 3 and not seen
    assert CANARY not in repr(proof)
