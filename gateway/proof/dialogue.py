"""The conversation itself, from greeting to recipient. The same for a live wire and a recorded one."""

import base64
import contextlib
import re
from collections.abc import Callable

from gateway.proof.values import Relay, Stage
from gateway.proof.wire import Reply, Wire, WireFault
from gateway.providers.replies import explain
from servers.remote.secret import MASK

FIRST_RESPONSE = 480  # bytes of an initial response that still fit a command line (RFC 4954 section 4)
OTHER_WAYS = re.compile(r"CRAM-MD5|DIGEST-MD5|SCRAM-")  # Postfix may use them, the panel does not


class Dialogue:
    """`run` gives a stage to `done` for each step and stops at the first that fails or stays unknown.

    sender: "" ends it after the sign-in. helo: the name to greet with. preset: whose words to expect in explanations.
    recipient: asked about as well, and left before there is a message; "" leaves that out.
    """

    def __init__(
        self,
        wire: Wire,
        relay: Relay,
        sender: str,
        helo: str,
        done: Callable[[Stage], None],
        preset: str = "",
        recipient: str = "",
    ):
        self._wire, self._relay, self._sender, self._helo = wire, relay, sender, helo
        self._recipient = recipient
        self._done, self._preset = done, preset
        self._offers: dict[str, str] = {}
        self._name, self._since, self._left = "", 0.0, False

    def run(self) -> bool:
        """True when every step was taken."""
        opening = {
            "implicit": (self._tls, self._greet),
            "starttls": (self._greet, self._starttls),
            "none": (self._greet,),
        }[self._relay.tls]
        steps = (*opening, self._sign_in, *([self._envelope] if self._sender else []))
        try:
            good = all(step() for step in steps)
        except WireFault as fault:
            return self._end("fail", str(fault))
        self._leave()
        return good

    def _greet(self) -> bool:
        self._begin("greeting")
        greeting = self._wire.reply()
        if greeting.code != 220:
            return self._end("fail", greeting.text)
        hello = self._hello()
        return self._end("ok" if hello.good else "fail", greeting.text if hello.good else hello.text)

    def _hello(self) -> Reply:
        reply = self._ask(f"EHLO {self._helo}")
        self._offers = {}
        for line in reply.lines[1:] if reply.good else ():
            word, _, rest = line[4:].upper().replace("AUTH=", "AUTH ").partition(" ")
            self._offers[word] = f"{self._offers.get(word, '')} {rest}".strip()
        return reply

    def _starttls(self) -> bool:
        self._begin("tls")
        if "STARTTLS" not in self._offers:
            return self._end("fail", f"STARTTLS not offered. The server offers: {self._offered()}")
        reply = self._ask("STARTTLS")
        if reply.code != 220:
            return self._end("fail", reply.text)
        try:
            evidence = self._wire.start_tls()
        except WireFault as fault:
            # What is no encryption here says nothing against the mode: the other side had agreed to it.
            return self._end("fail", f"After STARTTLS: {fault}")
        again = self._hello()
        return self._end(*(("ok", evidence) if again.good else ("fail", again.text)))

    def _tls(self) -> bool:
        self._begin("tls")
        return self._end("ok", self._wire.start_tls())

    def _sign_in(self) -> bool:
        self._begin("auth")
        if not (self._relay.username and self._relay.password):
            return self._end("skipped", "No user name and password are set: mail is sent without signing in.")
        ways = self._offers.get("AUTH", "").split()
        if "PLAIN" in ways:
            return self._judge(self._plain())
        if "LOGIN" in ways:
            return self._judge(self._login())
        if OTHER_WAYS.search(" ".join(ways)):
            return self._end("unknown", f"The server offers {' '.join(ways)}, which only Postfix itself can try.")
        if not ways:
            return self._end("fail", f"The server offers no sign-in. It offers: {self._offered()}")
        return self._end("fail", f"no mechanism available: the server offers {' '.join(ways)}")

    def _plain(self) -> Reply:
        answer = plain_response(self._relay)
        if len(answer) <= FIRST_RESPONSE:
            return self._ask("AUTH PLAIN ", answer)
        reply = self._ask("AUTH PLAIN")
        return self._ask("", answer) if reply.code == 334 else reply

    def _login(self) -> Reply:
        reply = self._ask("AUTH LOGIN")
        for answer in login_responses(self._relay):
            if reply.code != 334:
                break
            reply = self._ask("", answer)
        return reply

    def _judge(self, reply: Reply) -> bool:
        return self._end("ok" if reply.code == 235 else "fail", reply.text)

    def _envelope(self) -> bool:
        """Sender, and recipient where one is asked about. Far away each answer that is waited for is a turn, so where
        the provider takes commands ahead of its answers (RFC 2920) both go out with the goodbye."""
        self._begin("mail_from")
        lines = [f"MAIL FROM:<{self._sender}>", *([f"RCPT TO:<{self._recipient}>"] if self._recipient else [])]
        ahead = self._wire.live and "PIPELINING" in self._offers
        if ahead:
            self._say(*lines, "QUIT")
            self._left = True
        replies = (self._wire.reply() if ahead else self._ask(line) for line in lines)
        sender = next(replies)
        # A 4xx here is no verdict on the account: Postfix keeps the mail and tries again.
        good = self._end("ok" if sender.good else "warn" if sender.code < 500 else "fail", sender.text)
        if self._recipient and sender.good:  # without a sender there is nobody to write to
            self._begin("rcpt_to")
            return self._judge_recipient(next(replies))
        return good

    def _judge_recipient(self, reply: Reply) -> bool:
        meaning = explain(reply.text, self._preset)
        # The address is only an example: a provider that merely does not know it has let us in.
        refused = reply.code >= 500 and meaning.exact and meaning.area != "recipient"
        return self._end("ok" if reply.good else "fail" if refused else "warn", reply.text)

    def _leave(self) -> None:
        """Whatever is answered to that, the verdict stands, so nobody waits for it."""
        if not self._left:
            with contextlib.suppress(WireFault):
                self._say("QUIT")

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._wire.send(line.encode(), line)

    def _ask(self, line: str, secret: bytes = b"") -> Reply:
        self._wire.send(line.encode() + secret, line + MASK if secret else line)
        return self._wire.reply()

    def _offered(self) -> str:
        return ", ".join(f"{word} {rest}".strip() for word, rest in self._offers.items()) or "nothing"

    def _begin(self, name: str) -> None:
        self._name, self._since = name, self._wire.clock()

    def _end(self, state: str, evidence: str) -> bool:
        ms = round(max(0.0, self._wire.clock() - self._since) * 1000)
        meaning = explain(evidence, self._preset) if state in ("fail", "warn") else None
        until = self._wire.certificate_until if self._name == "tls" else None
        self._done(Stage(self._name, state, evidence, ms, meaning, until))
        return state not in ("fail", "unknown")


def plain_response(relay: Relay) -> bytes:
    """The one answer of AUTH PLAIN (RFC 4616), in base64."""
    return base64.b64encode(b"\0" + relay.username.encode() + b"\0" + relay.password.reveal())


def login_responses(relay: Relay) -> tuple[bytes, bytes]:
    """The two answers of AUTH LOGIN, in base64."""
    return base64.b64encode(relay.username.encode()), base64.b64encode(relay.password.reveal())
