"""The provider's configuration files. Pure: accounts and records in, text out."""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from tests.fleet.host import FleetError

NAME = "smtp.provider.test"

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
# Each server that joins restarts it; systemd would refuse the sixth within ten seconds.
StartLimitIntervalSec=0
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
