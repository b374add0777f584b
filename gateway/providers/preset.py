"""The shape of a preset: what an SMTP provider needs, allows and limits."""

import re
from dataclasses import dataclass, field
from datetime import date

Port = tuple[int, str]  # port, "starttls" | "implicit" | "none"
ENCRYPTION = {"starttls": "STARTTLS", "implicit": "TLS", "none": "no encryption"}  # beside the number of a port
POLICIES = {  # what happens to a foreign From address
    "reject": "Mail from an address that is not verified there is refused.",
    "rewrite": "An address that is not the account's is replaced by the account's.",
    "must_equal_login": "Only the address that signs in may send.",
    "tenant_only": "Only addresses of the organisation's own domains may send.",
    "any": "Any address may send, as far as is known.",
}
SPF_PLACES = {
    "root": "In the sending domain itself",
    "return-path": "Only in the bounce domain",
    "no": "Nowhere: mail travels under the provider's own envelope",
}


def counted(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


@dataclass(frozen=True)
class Limits:
    """The provider's documented limits for one account; None where none is published. `note`: in words."""

    per_day: int | None = None
    per_hour: int | None = None
    per_minute: int | None = None
    connections: int | None = None
    recipients: int | None = None  # for one message
    size: int | None = None  # bytes of one message, as sent
    note: str = ""

    def words(self) -> tuple[str, ...]:
        """What is known: `paces`, and "100 recipients for one message", "26 MB for one message"."""
        told = list(self.paces())
        if self.recipients:
            told.append(f"{counted(self.recipients, 'recipient')} for one message")
        if self.size:
            told.append(f"{self.size / 1_000_000:g} MB for one message")
        return tuple(told)

    def paces(self) -> tuple[str, ...]:
        """What is known of all mail of an account together: "3 connections at once", "30 messages a minute" …"""
        found = (
            (self.connections, "connection", "at once"),
            (self.per_minute, "message", "a minute"),
            (self.per_hour, "message", "an hour"),
            (self.per_day, "message", "a day"),
        )
        return tuple(f"{counted(number, word)} {span}" for number, word, span in found if number)


@dataclass(frozen=True)
class Dkim:
    """One key name to look for: `<selector>._domainkey.<domain>`.

    kind: cname | txt. target: where the CNAME points; `{domain}` and `{region}` stand for the sending domain and the
    preset's region. "" when each account gets its own, so that only the record's presence can be expected.
    """

    selector: str
    kind: str
    target: str = ""


@dataclass(frozen=True)
class ReturnPath:
    """The bounce domain `<name>.<domain>`; `name` "" is chosen in the account. Each "" record is not wanted there.
    cname "?": the account shows the target. Targets may hold
    `{region}`: the smarthost's, or any where the preset has none. optional: mail is delivered without it."""

    name: str = ""
    cname: str = ""
    mx: str = ""
    spf_include: str = ""
    optional: bool = True


@dataclass(frozen=True)
class Dns:
    """What a sending domain needs at this provider.

    spf_include: "" when the provider has none. spf_needed: a key of SPF_PLACES; with "no" an include adds nothing.
    dkim: the names known beforehand; empty when every account gets its own (`note` says where to read them).
    """

    spf_include: str = ""
    spf_needed: str = "no"
    dkim: tuple[Dkim, ...] = ()
    return_path: ReturnPath | None = None
    note: str = ""


@dataclass(frozen=True)
class Hint:
    """A remark on what was typed: made when `when` matches `field`, or when `unless` does not.

    field: "username" | "secret" | "both" (either one matches). same: made only if the two fields differ.
    squeeze: white space is dropped before the comparison.
    """

    field: str
    text: str
    when: re.Pattern | None = None
    unless: re.Pattern | None = None
    same: bool = False
    squeeze: bool = False


@dataclass(frozen=True)
class Preset:
    """One way to reach one provider.

    host:        may hold `{region}`, which `in_host` may spell another way there; empty when a person names the server
                 (generic, direct send). host_like: what such a name looks like. host_hint: in words.
    ports:       (port, tls) that work, the preferred first. any_port: others are fine too.
    auth:        required | optional | none.
    username:    the fixed user name, when the provider has one.
    from_policy: a key of POLICIES.
    rewrite_to:  what local senders (root@host) become: "domain" of sending, or the "login" address.
    mx:          ends of the MX names of domains whose mail lives there. domains: of the addresses it gives out itself.
    verified:    when `source` was surveyed; nobody signed in there. Presets age.
    changed:     names of the fields an organisation laid its own values over (see `overlay`).
    """

    slug: str
    label: str
    ports: tuple[Port, ...]
    auth: str
    from_policy: str
    caveat: str
    verified: date
    source: str
    username_label: str
    username_hint: str
    secret_label: str
    secret_hint: str
    host: str = ""
    host_like: re.Pattern | None = None
    host_hint: str = ""
    username: str = ""
    username_is_address: bool = False
    rewrite_to: str = "domain"
    link_text: str = ""
    link_url: str = ""
    any_port: bool = False
    tls_possible: bool = True
    needs_helo: bool = False  # the HELO name must be a real, complete host name
    default_region: str = ""
    regions: dict[str, str] = field(default_factory=dict, hash=False)  # slug -> label
    in_host: dict[str, str] = field(default_factory=dict, hash=False)  # region slug -> its part of the host name
    wrong_ports: dict[int, str] = field(default_factory=dict, hash=False)  # port -> why it cannot work
    limits: Limits = Limits()
    dns: Dns | None = None  # None: nothing is known about it
    mx: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    hints: tuple[Hint, ...] = ()
    order: int = 100
    changed: tuple[str, ...] = ()

    @property
    def needs_auth(self) -> bool:
        return self.auth == "required"

    @property
    def default_port(self) -> Port:
        return self.ports[0]

    def host_in(self, region: str = "") -> str:
        """The host name, in `region` where the provider has regions. Raises ValueError for an unknown region."""
        if not self.regions:
            return self.host
        region = region or self.default_region
        if region not in self.regions:
            raise ValueError(f"{self.label} has no SMTP server in the region {region}.")
        return self.host.format(region=self.in_host.get(region, region))

    def hosts(self) -> tuple[str, ...]:
        if self.regions:
            return tuple(self.host_in(region) for region in self.regions)
        return (self.host,) if self.host else ()
