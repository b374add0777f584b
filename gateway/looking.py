"""One observation of a server's Postfix."""

import secrets
import time

from gateway.gateways import Seen
from gateway.postfix import facts as reading
from gateway.postfix import manifest
from gateway.postfix.facts import Facts
from servers.remote.host import Host, Limits, RemoteError

LIMITS = Limits(total=60, idle=30, output=4_000_000)


class Unclear(RemoteError):
    """The server's answer was cut short or is not an answer."""

    cause = "unclear-answer"
    hint = "Try again; if it stays so, look whether the sign-in shell of the server prints something of its own."


def observe(host: Host) -> Facts:
    """Reads only. Raises RemoteError."""
    nonce = secrets.token_hex(16)
    output = host.run(reading.observe_script(nonce), limits=LIMITS)
    try:
        return reading.parse(output.stdout, nonce, now=time.time())
    except (reading.Incomplete, KeyError, ValueError) as error:
        said = output.stderr.decode("utf-8", "replace").strip()[-300:]
        raise Unclear(f"The server's answer could not be read: {said or error}") from error


def seen(facts: Facts) -> Seen:
    record = manifest.read(facts)
    return Seen(
        generation=record.generation if record else "",
        queued=facts.queued,
        os_name=facts.os_name,
        postfix=facts.postfix,
        log_source=facts.log_source,
    )
