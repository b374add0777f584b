"""Chooses the way and puts the stages together."""

import ipaddress
import re
import time
from collections.abc import Callable
from dataclasses import replace

from gateway.proof import script, trust
from gateway.proof.dialogue import Dialogue, login_responses, plain_response
from gateway.proof.record import RecordedWire
from gateway.proof.scene import Scene, look
from gateway.proof.stream import TOTAL, LiveWire
from gateway.proof.values import Proof, Relay, Stage
from gateway.providers.replies import Explanation, explain
from servers.remote.errors import LimitReached, TunnelRefused
from servers.remote.host import Host, Limits
from servers.remote.secret import Secret, mask

CONNECT = Limits(total=20, idle=12)
SCRIPT = Limits(total=100, idle=60, output=500_000)
FORBIDDEN = "The server's SSH forwards no connections, so its own tools made the check."
UNTRIED = "Sign-in could not be tried from this server; Postfix itself will prove it."
ADDRESS = (
    "The SMTP server is given as an address: Postfix compares certificates with names and may still refuse this one."
)
PUBLIC = "Enter the provider's public host name, or ask an administrator to add this SMTP server to the panel for you."
_SENDER = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}(@[A-Za-z0-9.-]{1,253})?")
_HELO = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_LOOKUP = ("name-unknown", "name-not-resolved")


def prove(
    host: Host,
    relay: Relay,
    *,
    sender: str,
    preset: str = "",
    on_stage: Callable[[Stage], None] | None = None,
    refuse: Callable[[str], str | None] | None = None,
    patience: int = 15,
    scene: Scene | None = None,
    target: str = "",
    recipient: str = "",
) -> Proof:
    """Name, connection, greeting, encryption, sign-in, sender: from the server's position, changing nothing there.

    preset: whose words to expect. on_stage: told each stage as it ends. patience: seconds of silence that are waited;
    the whole conversation may take eight times as long, 60 s at most.
    sender: "" ends it after the sign-in. refuse: says why an address must not be contacted, or None; given one, only
    addresses it was asked about are.
    scene: what a look has found already. target: the address to connect to, known to be allowed. recipient: also
    asked about, by RCPT TO; nothing is sent.
    Raises RemoteError when the server itself is lost, ValueError when sender, recipient, host or HELO name could break
    out of a command.
    """
    fit = all(address == "" or _SENDER.fullmatch(address) for address in (sender, recipient))
    if not fit or not (relay.helo_name == "" or _HELO.fullmatch(relay.helo_name)):
        raise ValueError("sender, recipient or HELO name is not valid")
    if not re.fullmatch(r"[A-Za-z0-9:][A-Za-z0-9._:-]*", relay.host):
        raise ValueError("the SMTP server's name is not valid")
    return _Proving(host, relay, sender, preset, on_stage, refuse, patience, recipient).proof(scene, target)


class _Proving:
    def __init__(self, host, relay, sender, preset, on_stage, refuse, patience, recipient):
        self._host, self._relay, self._sender, self._preset = host, relay, sender, preset
        self._recipient = recipient
        self._on_stage, self._refuse, self._patience = on_stage, refuse, patience
        self._stages: list[Stage] = []
        self._heard: list[str] = []
        self._notes: list[str] = []
        self._secrets = secrets(relay)

    def proof(self, scene: Scene | None = None, target: str = "") -> Proof:
        self._scene = scene or look(self._host, self._relay.host)
        if abs(self._scene.skew) > 300:
            self._notes.append(f"The server's clock is {abs(self._scene.skew):.0f} s off from the panel's.")
        if script.is_address(self._relay.host) and self._relay.verify and self._relay.tls != "none":
            self._notes.append(ADDRESS)
        target = target or self._allowed()
        way = "none"
        if target:
            way = self._through_tunnel(target)
            self._notes += _ways_note(way)
        return Proof(tuple(self._stages), way, tuple(self._heard), tuple(self._notes))

    def _allowed(self) -> str:
        """What to connect to: the name, or with a policy the address that passed it; "" when refused."""
        if self._refuse is None:
            return self._relay.host
        for address in self._scene.addresses:
            if reason := self._refuse(address):
                refused = Explanation("address-refused", reason, PUBLIC, "port")
                self._add(Stage("name", "fail", f"{self._relay.host} [{address}]: {reason}", self._scene.ms, refused))
                return ""
        if not self._scene.addresses:
            self._fail("name", "Name or service not known", self._scene.ms)
            return ""
        return self._scene.addresses[0]

    def _through_tunnel(self, target: str) -> str:
        started = time.monotonic()
        try:
            tunnel = self._host.tunnel(target, self._relay.port, limits=CONNECT)
        except TunnelRefused as refused:
            if refused.forbidden:
                return self._on_the_server(target)
            self._unreachable(refused.words, _since(started))
            return "tunnel"
        try:
            self._reached(_since(started))
            context, note = trust.context(self._host, self._scene, self._relay.verify)
            self._notes += [note] if note and self._relay.tls != "none" else []
            name, alive = self._relay.host.rstrip("."), lambda: self._host.run(":")
            total = min(TOTAL, 8 * self._patience)
            self._converse(LiveWire(tunnel, context, name, self._hear, alive, step=self._patience, total=total))
        finally:
            tunnel.close()
        return "tunnel"

    def _on_the_server(self, target: str) -> str:
        if not self._equipped():
            self._name()
            self._add(Stage("auth", "unknown", UNTRIED))
            return "none"
        trusted = self._scene.bundle
        text = script.script(self._relay, self._sender, self._helo, trusted, target, self._patience, self._recipient)
        try:
            stdout = self._host.run(text, limits=SCRIPT).stdout
        except LimitReached as limit:
            stdout = limit.output.stdout if limit.output else b""
        wire = RecordedWire(stdout, self._hear, self._patience)
        words = wire.connected()
        if words:
            self._unreachable(words, 0)
        else:
            self._reached(0)
            self._converse(wire)
        return "server"

    def _equipped(self) -> bool:
        needed = {"bash", "timeout"} | ({"openssl"} if self._relay.tls != "none" else set())
        trusting = self._relay.verify and self._relay.tls != "none"
        return needed <= self._scene.tools and bool(self._scene.bundle or not trusting)

    def _converse(self, wire) -> None:
        Dialogue(wire, self._relay, self._sender, self._helo, self._add, self._preset, self._recipient).run()

    @property
    def _helo(self) -> str:
        return self._relay.helo_name or self._scene.fqdn or "localhost.localdomain"

    def _name(self) -> None:
        if self._scene.addresses:
            self._add(Stage("name", "ok", ", ".join(self._scene.addresses), self._scene.ms))

    def _reached(self, ms: int) -> None:
        self._name()
        self._add(Stage("tcp", "ok", f"{self._relay.host} port {self._relay.port} answers", ms))

    def _unreachable(self, words: str, ms: int) -> None:
        """`words` of sshd or bash: a name that has no address is another stage than a port that does not answer."""
        if words.startswith("no answer within"):
            words = words.replace("no answer within", "Connection timed out after")
        if explain(words).slug in _LOOKUP:
            self._fail("name", f"{self._relay.host}: {words}", ms)
        else:
            self._name()
            self._fail("tcp", f"connect to {_literal(self._relay.host)}:{self._relay.port}: {words}", ms)

    def _fail(self, name: str, evidence: str, ms: int) -> None:
        self._add(Stage(name, "fail", evidence, ms, explain(evidence, self._preset)))

    def _add(self, stage: Stage) -> None:
        masked = mask(stage.evidence, self._secrets)
        stage = replace(stage, evidence=masked)
        self._stages.append(stage)
        if self._on_stage:
            self._on_stage(stage)

    def _hear(self, line: str) -> None:
        if len(self._heard) < 300:
            self._heard.append(mask(line, self._secrets))


def secrets(relay: Relay) -> tuple[Secret, ...]:
    """The sign-in in every form in which an SMTP server may echo it, or Postfix may log the echo."""
    if not (relay.username and relay.password):
        return ()
    password = relay.password.reveal()
    logged = bytes(byte if 32 <= byte < 127 else ord("?") for byte in password)
    forms = (password, logged, plain_response(relay), *login_responses(relay)[1:])
    # A password of one to three letters would blank out ordinary words.
    return tuple(Secret(form) for form in forms if len(form) > 3)


def _ways_note(way: str) -> list[str]:
    return {"tunnel": [], "server": [FORBIDDEN], "none": [UNTRIED]}[way]


def _literal(host: str) -> str:
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
