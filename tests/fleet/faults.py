"""Bad SMTP providers, one per way to be bad. Pure data; badprovider.py plays them."""

from dataclasses import dataclass
from typing import Literal

CertificateKind = Literal["good", "expired", "wrongname", "untrusted"]


@dataclass(frozen=True)
class Fault:
    """How one provider differs from a good one; its name is its host: NAME.provider.test.

    `greeting` None is silence. Replies hold {sender} and {recipient}. `at_end` answers the final dot of
    DATA; "drop" there closes mid-DATA, "stall" never answers. `pause` is seconds before every reply.
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

    @property
    def host(self) -> str:
        return f"{self.name}.provider.test"


NOT_VERIFIED = (
    "554 Message rejected: Email address is not verified. "
    "The following identities failed the check in region EU-WEST-1: {sender}"
)

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
    )
}
STARTTLS_PORTS = (587, 2525)
TLS_PORT = 465
# A name with an address where nothing listens: the connection is refused.
CLOSED_HOST = "closed.provider.test"
