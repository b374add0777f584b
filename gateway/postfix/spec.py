"""What a person wants a server's Postfix to be, as values that are valid by construction."""

import ipaddress
import re
from dataclasses import dataclass

from servers.remote.secret import Secret

TLS_MODES = ("starttls", "implicit", "none")
# parameter -> unit of its value
LIMITS = {
    "smtp_destination_rate_delay": "s",
    "smtp_destination_concurrency_limit": "",
    "smtp_destination_concurrency_failed_cohort_limit": "",
    "smtp_destination_recipient_limit": "",
    "message_size_limit": "",
}
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")
_EMAIL = re.compile(r"(?!-)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9.-]{1,253})\Z")


class Invalid(ValueError):
    """A field breaks a rule. `field` names it, `rule` is one sentence for the person who typed it."""

    def __init__(self, field: str, rule: str):
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


@dataclass(frozen=True)
class Relay:
    """An authenticated upstream. Construction raises Invalid.

    tls:            starttls | implicit | none. verify: the certificate must match `host`; False still encrypts.
    username:       "" means no sign-in; then `password` is None.
    sending_domain: what local senders (root@host, www-data@host) are rewritten to when `rewrite` is "".
    helo_name:      "" lets the server use its own full name.
    root_address:   where mail for root and the other system accounts goes; "" leaves it alone.
    rewrite:        "" | "@domain" (local senders keep their local part) | a full address (every sender becomes it, for
                    providers that demand From = login).
    limits:         main.cf parameters that keep this server's share of the account's limits, in the order of the file.
    """

    host: str
    port: int
    tls: str = "starttls"
    verify: bool = True
    username: str = ""
    password: Secret | None = None
    sending_domain: str = ""
    helo_name: str = ""
    root_address: str = ""
    rewrite: str = ""
    limits: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not (_is_host_name(self.host) or _address(self.host)):
            raise Invalid("host", "An SMTP server is a host name or an IP address, without brackets or port.")
        if isinstance(self.port, bool) or not isinstance(self.port, int) or not 1 <= self.port <= 65535:
            raise Invalid("port", "A port is a number from 1 to 65535.")
        if self.tls not in TLS_MODES:
            raise Invalid("tls", f"Encryption is one of: {', '.join(TLS_MODES)}.")
        _check_credentials(self.username, self.password)
        for name in ("sending_domain", "helo_name"):
            if getattr(self, name) and not _is_domain(getattr(self, name)):
                raise Invalid(name, "A name looks like mail.example.com: letters, digits, hyphens, at least one dot.")
        if self.root_address and not _is_email(self.root_address):
            raise Invalid("root_address", "An e-mail address looks like name@example.com.")
        if self.rewrite and not (_is_email(self.rewrite) or self.rewrite[0] == "@" and _is_domain(self.rewrite[1:])):
            raise Invalid("rewrite", "Rewrite senders to @example.com or to one full address.")
        _check_limits(self.limits)

    @property
    def nexthop(self) -> str:
        """Postfix's relayhost text, which is also the key of the password row: brackets mean no MX lookup."""
        literal = f"ipv6:{self.host}" if ":" in self.host else self.host
        return f"[{literal}]:{self.port}"

    @property
    def delay(self) -> int:
        """Seconds Postfix lets pass between two messages; 0 for none."""
        return int(dict(self.limits).get("smtp_destination_rate_delay", "0s").removesuffix("s"))

    @property
    def local_senders(self) -> str:
        """What senders of this server are rewritten to: "@domain", an address, or "" for nothing."""
        return self.rewrite or (f"@{self.sending_domain}" if self.sending_domain else "")

    @property
    def forced_sender(self) -> str:
        return "" if self.rewrite.startswith("@") else self.rewrite

    @property
    def probe_address(self) -> str:
        """The sender and recipient of the probe: the address the provider is most likely to accept from this login."""
        login = self.username if _is_email(self.username) else ""
        if login and self.sending_domain and not login.lower().endswith(f"@{self.sending_domain}".lower()):
            login = ""
        domain = self.local_senders if self.local_senders.startswith("@") else ""
        return self.forced_sender or login or (f"root{domain}" if domain else "") or self.root_address or "root"


@dataclass(frozen=True)
class Wanted:
    """relay None: no gateway. force: write everything again. replace_mta: consent to remove another mail system.
    purge_queue: consent to lose the mail in Postfix's queue when Postfix itself is removed. kept: main.cf parameters
    whose value a person adopted instead of ours; None: the parameter stays away."""

    relay: Relay | None
    force: bool = False
    replace_mta: bool = False
    purge_queue: bool = False
    kept: tuple[tuple[str, str | None], ...] = ()


def _check_credentials(username: str, password: Secret | None) -> None:
    _check_line("username", username)
    if username != username.strip():
        raise Invalid("username", "A user name cannot start or end with a space.")
    if bool(username) != (password is not None):
        raise Invalid("password", "A user name and a password come together, or neither.")
    if password is None:
        return
    value = password.reveal()
    if not 1 <= len(value) <= 500:
        raise Invalid("password", "A password has 1 to 500 bytes.")
    if any(byte in value for byte in b"\0\r\n"):
        raise Invalid("password", "A password cannot contain line breaks or NUL.")
    try:
        value.decode()
    except UnicodeDecodeError as error:
        # Measured: "non-UTF-8 input … -- ignoring this line", so there would be no credentials at all.
        raise Invalid("password", "A password must be UTF-8 text: Postfix skips any other line.") from error


def _check_limits(limits: tuple[tuple[str, str], ...]) -> None:
    for name, value in limits:
        if name not in LIMITS or not re.fullmatch(r"[1-9][0-9]{0,9}" + LIMITS[name], value):
            raise Invalid("limits", "A limit is a whole number for one of Postfix's own limits.")
    if len(dict(limits)) < len(limits):
        raise Invalid("limits", "Each limit is given once.")


def _check_line(field: str, value: str) -> None:
    if any(character in value for character in "\0\r\n"):
        raise Invalid(field, "Line breaks and NUL are not allowed.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Invalid(field, "Only valid Unicode text is allowed.") from error


def _address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return "%" not in value


def _is_host_name(value: str) -> bool:
    labels = value.removesuffix(".").split(".")
    return len(value) <= 253 and all(_LABEL.match(label) for label in labels) and not labels[-1].isdigit()


def _is_domain(value: str) -> bool:
    return "." in value.strip(".") and not value.endswith(".") and _is_host_name(value)


def _is_email(value: str) -> bool:
    match = _EMAIL.match(value)
    return bool(match) and _is_domain(match[1])
