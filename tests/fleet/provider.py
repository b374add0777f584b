"""A real SMTP provider: Postfix with Dovecot's password check, and the fleet's DNS server.

smtp.provider.test answers on 587, 2525 and 25 (STARTTLS) and on 465 (TLS at once). It wants a sign-in,
lets a login send only from its own addresses, and keeps every accepted mail in one Maildir.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import IPv4Address

from tests.fleet.ca import Certificate
from tests.fleet.host import FleetError
from tests.fleet.images import Image
from tests.fleet.machine import Machine, Place
from tests.fleet.provider_config import (
    DNS_UNIT,
    DOVECOT,
    MAIN_CF,
    MASTER_EXTRA,
    NAME,
    RECIPIENTS,
    Account,
    Record,
    dns_file,
    senders_file,
    users_file,
)

MAILDIR = "/var/mail/fleet/all"


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
        self.down = False

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

    def stop_mail(self) -> None:
        """An outage: every mail port refuses connections, and names still resolve."""
        self.down = True
        self.run(["systemctl", "stop", "postfix"])

    def start_mail(self) -> None:
        self.run(["systemctl", "start", "postfix"])
        self.down = False

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
        if self.down:
            self.start_mail()
        self.accounts = {account.login: account for account in self.own_accounts}
        self.set_recipients()
        self.publish_accounts()
        if self.records != self.own_records:
            self.set_records(self.own_records)
        self.forget_messages()

    def forget_messages(self) -> None:
        self.run(f"rm -rf {MAILDIR}")
