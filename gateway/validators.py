"""Rules for the fields that end in a Postfix configuration."""

import re

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

from gateway.providers import presets
from servers.remote import addresses
from servers.remote.secret import Secret
from servers.validators import is_host_name, is_ip_address, one_line

_EMAIL = EmailValidator(message="An e-mail address looks like name@example.com.", allowlist=[])


def line(value: str) -> None:
    """Free text on one line that no option parser takes for a flag."""
    one_line(value)
    if "\t" in value:
        raise ValidationError("Tabs are not allowed here.")
    if value.startswith("-"):
        raise ValidationError("This field cannot start with a hyphen.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValidationError("This field must be valid Unicode text.") from error


def preset(value: str) -> None:
    if value not in presets.slugs():
        raise ValidationError("There is no SMTP provider preset of this name.")


def region(value: str) -> None:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value):
        raise ValidationError("A region looks like eu-central-1.")


def host_name(value: str) -> None:
    if not (is_host_name(value) or is_ip_address(value)):
        raise ValidationError("An SMTP server is a host name such as smtp.example.com, or an IP address.")
    if is_ip_address(value) and addresses.is_forbidden(value):
        raise ValidationError("No SMTP server can have this address: it is link-local, multicast or unspecified.")


def public_host(value: str) -> None:
    """For people who only own some servers: nothing inside the network they share with others."""
    if is_ip_address(value) and not addresses.is_public(value):
        raise ValidationError("This address is private. An SMTP provider has a public host name.")
    if "." not in value.strip(".") and not is_ip_address(value):
        raise ValidationError("An SMTP provider has a full host name such as smtp.example.com.")
    if value.rstrip(".").lower().endswith((".local", ".internal", ".localhost", ".localdomain")):
        raise ValidationError("This name is private. An SMTP provider has a public host name.")


def domain(value: str) -> None:
    if "." not in value.strip(".") or not is_host_name(value) or is_ip_address(value):
        raise ValidationError(
            "A domain looks like example.com: labels of letters, digits and hyphens, with at least one dot."
        )


def helo_name(value: str) -> None:
    """Postfix refuses a bare label or an address as its own name, and so do providers in HELO."""
    if "." not in value.strip(".") or not is_host_name(value) or is_ip_address(value):
        raise ValidationError("A HELO name is a full host name such as web-1.example.com.")


def email(value: str) -> None:
    one_line(value)
    if value.startswith("-"):
        raise ValidationError("An e-mail address cannot start with a hyphen.")
    if not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~@-]+", value):
        raise ValidationError("An e-mail address here uses plain ASCII letters, digits and the usual signs.")
    _EMAIL(value)
    if len(value.rpartition("@")[0]) > 64:
        raise ValidationError("The part of an e-mail address before the @ has at most 64 characters.")


def username(value: str) -> None:
    line(value)
    if value != value.strip():
        raise ValidationError("A user name cannot start or end with a space.")
    if len(value.encode()) > 320:
        raise ValidationError("A user name has at most 320 bytes.")


def password(value: Secret) -> None:
    """Byte-exact: 1 to 500 bytes of UTF-8 without NUL, CR or LF. Postfix skips any other line of its map (measured)."""
    if not 1 <= len(value) <= 500:
        raise ValidationError("A password has 1 to 500 bytes.")
    if any(byte in value.reveal() for byte in b"\0\r\n"):
        raise ValidationError("A password cannot contain line breaks or NUL.")
    try:
        value.reveal().decode()
    except UnicodeDecodeError as error:
        raise ValidationError("A password must be valid UTF-8 text.") from error
