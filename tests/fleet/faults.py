"""Bad SMTP providers, one per way to be bad. Pure data; badprovider.py plays them."""

from dataclasses import dataclass
from typing import Literal

CertificateKind = Literal["good", "expired", "wrongname", "untrusted"]


@dataclass(frozen=True)
class Fault:
    """How one provider differs from a good one; its name is its host: NAME.provider.test.

    `greeting` None is silence. Replies hold {sender}, {recipient}, {queue_id}, {password} and {encoded}, the sign-in
    as it came; lone surrogates in them stand for bytes that are no UTF-8. `at_end` answers the final dot of DATA;
    "drop" there closes mid-DATA, "stall" never answers, "close" closes instead of asking for the message. `pause` is
    seconds before every reply, `drip` seconds after every byte. `flood` is written before the greeting until 10 MB
    are out. `capabilities` are made up beside the true ones. `hangs_up` closes after the greeting.
    """

    name: str
    greeting: str | None = "220 {host} ESMTP"
    certificate: CertificateKind = "good"
    starttls: Literal["works", "missing", "broken"] = "works"
    offers_auth: bool = True
    auth: str = "235 2.7.0 Authentication successful"
    mail: str = "250 2.1.0 Ok"
    rcpt: str = "250 2.1.5 Ok"
    at_end: str = "250 2.0.0 Ok: queued as FAULT0000001"
    pause: float = 0
    drip: float = 0
    flood: str = ""
    capabilities: int = 0
    hangs_up: bool = False

    @property
    def host(self) -> str:
        return f"{self.name}.provider.test"


NOT_VERIFIED = (
    "554 Message rejected: Email address is not verified. "
    "The following identities failed the check in region EU-WEST-1: {sender}"
)

WEB_PAGE = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html><script>alert(1)</script></html>"
# Colours, a window title, a cursor moved up, a link: what a terminal would obey.
TERMINAL = "535 5.7.8 \x1b[31mno\x1b[0m \x1b]0;owned\x07 \x1b[2A \x1b]8;;https://evil.test\x07here\x1b]8;;\x07 \x9b31m"
REVERSED = "535 5.7.8 \u202egnp.exe\u202c \u2066a\u2069 zero\u200bwidth \ufeffmark \u200f <b>bold</b>"
# As if Postfix itself went on in a new line: it, too, writes what it was told into its log.
LOG_LINE = (
    "554 5.7.1 no) \x0bNov 21 10:00:00 web-1 postfix/smtp[4242]: {queue_id}: to=<{recipient}>, "
    "relay=good.provider.test[192.0.2.1]:587, delay=1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as FORGED"
)
ECHO = "535 5.7.8 {password} is not the password, nor is {encoded}"
LYING = "250 2.0.0 Ok: queued as \x1b[2J<script>alert(1)</script>\u202e"

FAULTS = {
    fault.name: fault
    for fault in (
        Fault("badlogin", auth="535 5.7.8 Error: authentication failed"),
        Fault("basicauthoff", auth="535 5.7.139 Authentication unsuccessful, basic authentication is disabled."),
        Fault("authlater", auth="454 4.7.0 Temporary authentication failure"),
        Fault("authrequired", offers_auth=False, mail="530 5.7.0 Authentication Required"),
        Fault("unverified", at_end=NOT_VERIFIED),
        Fault("sendasdenied", at_end="554 5.2.252 SendAsDenied; login not allowed to send as {sender}"),
        Fault("throttled", at_end="454 Throttling failure: Maximum sending rate exceeded."),
        Fault("overquota", mail="550 5.4.5 Daily SMTP relay limit exceeded for user"),
        Fault("expired", certificate="expired"),
        Fault("wrongname", certificate="wrongname"),
        Fault("untrusted", certificate="untrusted"),
        Fault("nostarttls", starttls="missing"),
        Fault("brokentls", starttls="broken"),
        Fault("silent", greeting=None),
        Fault("busy", greeting="421 4.7.0 Try again later, closing connection."),
        Fault("refuses", greeting="554 5.7.1 No SMTP service here"),
        Fault("slow", pause=2),
        Fault("drops", at_end="drop"),
        Fault("stalls", at_end="stall"),
        # Says yes and delivers nothing: "accepted" is not "delivered".
        Fault("loses"),
        # The hostile: what they say must neither be obeyed nor believed, and never end in the panel's own pages.
        Fault("webserver", greeting=WEB_PAGE),
        Fault("terminal", auth=TERMINAL),
        Fault("hugebanner", flood="2" * 65_536),
        Fault("endless", flood="220-and more\r\n" * 4_096),
        Fault("drips", drip=1),
        Fault("echoes", auth=ECHO),
        Fault("garbage", auth="535 5.7.8 \udcff\udcfe\udc80 caf\udce9 \x00\x08"),
        Fault("reversed", auth=REVERSED),
        Fault("pretends", mail="550 5.7.1 status=sent (250 2.0.0 Ok)"),
        Fault("forges", at_end=LOG_LINE),
        Fault("boasts", capabilities=20_000),
        Fault("hangsup", hangs_up=True),
        Fault("nodata", at_end="close"),
        Fault("lies", at_end=LYING),
    )
}
STARTTLS_PORTS = (587, 2525)
TLS_PORT = 465
# A name with an address where nothing listens: the connection is refused.
CLOSED_HOST = "closed.provider.test"
