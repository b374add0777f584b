"""A real SMTP provider: Postfix with Dovecot's password check, and the fleet's DNS server.

smtp.provider.test answers on 587, 2525 and 25 (STARTTLS) and on 465 (TLS at once). It wants a sign-in,
lets a login send only from its own addresses, and keeps every accepted mail in one Maildir.
"""

import os
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import IPv4Address

from tests.fleet.ca import Certificate
from tests.fleet.host import FleetError
from tests.fleet.images import Image
from tests.fleet.machine import Machine, Place

NAME = "smtp.provider.test"
MAILDIR = "/var/mail/fleet/all"

MAIN_CF = f"""compatibility_level = 3.6
myhostname = {NAME}
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
smtpd_tls_chain_files = /etc/postfix/fleet.pem
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_tls_received_header = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_sasl_authenticated_header = yes
smtpd_sender_login_maps = texthash:/etc/postfix/senders
smtpd_sender_restrictions = reject_sender_login_mismatch
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access regexp:/etc/postfix/recipients
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
default_transport = virtual
virtual_mailbox_base = /var/mail/fleet
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:VMAIL_UID
virtual_gid_maps = static:VMAIL_GID
maillog_file =
"""
MASTER_EXTRA = """
submission inet n - y - - smtpd
2525 inet n - y - - smtpd
smtps inet n - y - - smtpd
  -o smtpd_tls_wrappermode=yes
"""
RECIPIENTS = r"""/^(unknown@.*)$/ 550 5.1.1 <$1>: no such user here
/^full@/ 452 4.2.2 Mailbox full
/^later@/ 450 4.7.1 Greylisted, try again later
/^blocked@/ 554 5.7.1 Message refused by policy
"""
DOVECOT = """protocols =
auth_mechanisms = plain login
auth_username_chars =
auth_username_format = %u
auth_failure_delay = 0
disable_plaintext_auth = no
ssl = no
passdb {
  driver = passwd-file
  args = username_format=%u /etc/dovecot/fleet-users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
"""
DNS_UNIT = """[Unit]
Description=Names of the fleet
[Service]
Type=forking
PIDFile=/run/fleet-dns.pid
ExecStart=/usr/sbin/dnsmasq --conf-file=/etc/fleet-dns.conf --pid-file=/run/fleet-dns.pid
Restart=always
RestartSec=0
[Install]
WantedBy=multi-user.target
"""
# local=/#/ makes every unknown name NXDOMAIN instead of a question to somebody else.
DNS_HEAD = "no-resolv\nno-hosts\nlocal=/#/\nlocal-ttl=1\nuser=root\n"


@dataclass(frozen=True)
class Account:
    """A login, its password byte for byte, and what it may send as: addresses or @domains."""

    login: str
    password: str
    senders: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """A DNS record: kind A, MX ("10 host"), TXT, CNAME or PTR (name is then an address)."""

    name: str
    kind: str
    value: str


class Provider(Machine):
    domain = "provider.test"
    host = NAME
    starttls_ports = (587, 2525, 25)
    tls_port = 465

    def __init__(
        self,
        place: Place,
        image: Image,
        address: IPv4Address,
        *,
        certificate: Certificate,
        records: list[Record],
        accounts: list[Account],
    ) -> None:
        super().__init__(place, "smtp", image, address)
        self.certificate = certificate
        self.own_records = self.records = records
        self.own_accounts = accounts
        self.accounts = {account.login: account for account in accounts}

    def prepare(self) -> None:
        super().prepare()
        users = (self.root / "etc/passwd").read_text().splitlines()
        uid, gid = next(line.split(":")[2:4] for line in users if line.startswith("vmail:"))
        self.put("/etc/postfix/main.cf", MAIN_CF.replace("VMAIL_UID", uid).replace("VMAIL_GID", gid))
        master = (self.root / "etc/postfix/master.cf").read_text()
        self.put("/etc/postfix/master.cf", master + MASTER_EXTRA)
        self.put("/etc/postfix/fleet.pem", self.certificate.key + self.certificate.chain, mode=0o600)
        self.put("/etc/postfix/recipients", RECIPIENTS)
        self.put("/etc/dovecot/dovecot.conf", DOVECOT)
        self.put("/etc/dovecot/fleet-users", users_file(self.accounts.values()), mode=0o644)
        self.put("/etc/postfix/senders", senders_file(self.accounts.values()))
        self.put("/etc/fleet-dns.conf", dns_file(self.records))
        self.put("/etc/systemd/system/fleet-dns.service", DNS_UNIT)
        (self.root / "etc/systemd/system/ssh.service").symlink_to("/dev/null")
        wants = self.root / "etc/systemd/system/multi-user.target.wants"
        (wants / "fleet-dns.service").symlink_to("/etc/systemd/system/fleet-dns.service")
        mail = self.root / "var/mail/fleet"
        mail.mkdir()
        os.chown(mail, int(uid), int(gid))

    def add_user(self, login: str, password: str, senders: Iterable[str]) -> Account:
        """A login that may send as `senders` (addresses or @domains); replaces one of the same name.

        Every byte of the password counts; control characters alone are refused by Dovecot at sign-in.
        """
        account = Account(login, password, tuple(senders))
        self.accounts[login] = account
        self.publish_accounts()
        return account

    def remove_user(self, login: str) -> None:
        self.accounts.pop(login)
        self.publish_accounts()

    def publish_accounts(self) -> None:
        files = {
            "/etc/dovecot/fleet-users": users_file(self.accounts.values()),
            "/etc/postfix/senders": senders_file(self.accounts.values()),
        }
        # By itself Dovecot looks at its file once a second.
        self.replace_files(files, then="doveadm reload")

    def set_recipients(self, rules: str = RECIPIENTS) -> None:
        """Replies to RCPT by regular expression (postfix regexp_table); default: unknown@, full@, later@, blocked@."""
        self.replace_files({"/etc/postfix/recipients": rules})

    def replace_files(self, files: dict[str, str], *, then: str = "true") -> None:
        for path, content in files.items():
            self.write_file(path, content)
        # Postfix sleeps seconds before it reads a file changed just now, so it is told an older time.
        self.run(f"touch --date='1 minute ago' {' '.join(files)}; {then}; postfix reload")

    def set_records(self, records: list[Record]) -> None:
        """Replace what the fleet's DNS answers; the hosts' own names are in own_records."""
        self.records = records
        self.write_file("/etc/fleet-dns.conf", dns_file(records))
        self.run(["systemctl", "restart", "fleet-dns.service"])

    def messages(self) -> list[EmailMessage]:
        """Accepted mails, oldest first: one per recipient, named in Delivered-To; sender in Return-Path."""
        folder = self.root / MAILDIR.lstrip("/") / "new"
        files = sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime_ns) if folder.exists() else []
        return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]

    def wait_for_messages(self, count: int, *, seconds: float = 30) -> list[EmailMessage]:
        deadline = time.monotonic() + seconds
        while len(found := self.messages()) < count:
            if time.monotonic() > deadline:
                raise FleetError(f"{len(found)} of {count} mails arrived in {seconds} s")
            time.sleep(0.1)
        return found

    def ledger(self) -> Counter[str]:
        """How often each Message-ID arrived; 1 for each is neither lost nor doubled."""
        return Counter(str(message["Message-ID"]) for message in self.messages())

    def restore(self) -> None:
        """As it was at first: the fleet's own account, recipients and names; no mail."""
        self.accounts = {account.login: account for account in self.own_accounts}
        self.set_recipients()
        self.publish_accounts()
        if self.records != self.own_records:
            self.set_records(self.own_records)
        self.forget_messages()

    def forget_messages(self) -> None:
        self.run(f"rm -rf {MAILDIR}")


def users_file(accounts: Iterable[Account]) -> str:
    """Dovecot's passwd-file. Base64 keeps every byte of a password, colons included."""
    encoded = ((account.login, b64encode(account.password.encode()).decode()) for account in accounts)
    return "".join(f"{login}:{{PLAIN.B64}}{password}\n" for login, password in encoded)


def senders_file(accounts: Iterable[Account]) -> str:
    owners: dict[str, list[str]] = {}
    for account in accounts:
        for sender in account.senders:
            owners.setdefault(sender, []).append(account.login)
    return "".join(f"{sender} {','.join(logins)}\n" for sender, logins in owners.items())


def dns_file(records: Iterable[Record]) -> str:
    return DNS_HEAD + "".join(dns_line(record) + "\n" for record in records)


def dns_line(record: Record) -> str:
    match record.kind:
        case "A":
            return f"host-record={record.name},{record.value}"
        case "MX":
            preference, host = record.value.split()
            return f"mx-host={record.name},{host},{preference}"
        case "TXT":
            chunks = [record.value[at : at + 250] for at in range(0, len(record.value), 250)]
            quoted = ",".join('"' + chunk.replace('"', '\\"') + '"' for chunk in chunks)
            return f"txt-record={record.name},{quoted}"
        case "CNAME":
            return f"cname={record.name},{record.value}"
        case "PTR":
            return f"ptr-record={IPv4Address(record.name).reverse_pointer},{record.value}"
    raise FleetError(f"no rule for DNS records of kind {record.kind}")
