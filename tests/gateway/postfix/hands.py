"""Observing a real server and carrying out a plan there, as the detached runner does: root, `set -eu`, `$FILES`."""

import time
from dataclasses import dataclass

from gateway.postfix import facts, testmail
from gateway.postfix.plan import plan
from gateway.postfix.spec import Relay, Wanted
from servers.remote.plan import Plan, Step
from servers.remote.secret import Secret
from tests.fleet.fleet import ACCOUNT

KEY = b"k" * 32
NONCE = "nonce-0123456789"


@dataclass(frozen=True)
class Done:
    """failed: slug of the step that ended the run, or "". output: slug -> both streams."""

    plan: Plan
    failed: str
    output: dict[str, str]
    unchanged: tuple[str, ...] = ()


def observe(server) -> facts.Facts:
    answer = server.run(["sh"], input=facts.observe_script(NONCE)).stdout
    return facts.parse(answer.encode(errors="surrogateescape"), NONCE, time.time())


def look(server, relay: Relay | None, **consent) -> Plan:
    return plan(observe(server), Wanted(relay, **consent), KEY)


def apply(server, relay: Relay | None, **consent) -> Done:
    return carry_out(server, look(server, relay, **consent))


def carry_out(server, wanted: Plan) -> Done:
    assert not wanted.refusals, wanted.refusals
    output, unchanged = {}, []
    for number, step in enumerate(wanted.steps):
        stage(server, step)
        done = run(server, step, step.do)
        output[step.slug] = done.stdout + done.stderr
        if "::unchanged" in done.stdout.splitlines():
            unchanged.append(step.slug)
        if done.returncode:
            for undone in reversed(wanted.steps[: number + 1]):
                back = run(server, undone, undone.undo)
                assert back.returncode == 0, (undone.slug, back.stdout, back.stderr)
            return Done(wanted, step.slug, output, tuple(unchanged))
    server.run(["rm", "-rf", "/run/files"])
    return Done(wanted, "", output, tuple(unchanged))


def stage(server, step: Step) -> None:
    server.run(f"rm -rf /run/files/{step.slug}; umask 077; mkdir -p /run/files/{step.slug}")
    for number, file in enumerate(step.files):
        content = file.content.reveal() if isinstance(file.content, Secret) else file.content
        server.write_file(f"/run/files/{step.slug}/{number}", content, mode="0600")


def run(server, step: Step, script: str):
    head = f"set -eu\nFILES=/run/files/{step.slug}\n"
    return server.run(["sh", "-c", head + script], check=False, timeout=step.limit)


def send(server, from_: str, to: str, *, token: str, wait: int = 20) -> testmail.Delivery:
    message = testmail.message(from_, to, "Test", "Hello", False, token)
    source = observe(server).log_source
    answer = server.run(["sh"], input=testmail.script(message, from_, to, wait, source), check=False).stdout
    return testmail.verdict(answer.splitlines())


def relay(**changes) -> Relay:
    """The fleet's real provider, signed in with its own account."""
    values = {
        "host": "smtp.provider.test",
        "port": 587,
        "username": ACCOUNT.login,
        "password": Secret(ACCOUNT.password),
        "sending_domain": "example.org",
        "root_address": "admin@example.org",
    }
    return Relay(**{**values, **changes})


def state(server) -> str:
    """Everything of ours and Postfix's that a roll-back has to bring back, with content and modes."""
    return server.run(
        "cd /; find etc/postfix etc/aliases var/lib/fleetpost -type f -printf '%p %m %u ' -exec sha256sum {} \\; | sort"
    ).stdout
