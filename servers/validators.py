"""Field rules, each a sentence that names the rule. Used by the models, so forms, CLI and imports share them."""

import ipaddress
import re

from django.core.exceptions import ValidationError

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)\Z")
_NUMBER = re.compile(r"(0[xX])?[0-9a-fA-F]*\Z")
_POSIX_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,31}\Z")
_TAG = re.compile(r"[^\W_][\w.:-]{0,39}\Z")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def is_host_name(value: str) -> bool:
    """RFC 1123: labels of letters, digits and inner hyphens, 253 characters in all, the last label not a number."""
    labels = value.removesuffix(".").split(".")
    return len(value) <= 253 and all(_LABEL.match(label) for label in labels) and not _reads_as_number(labels[-1])


def _reads_as_number(label: str) -> bool:
    """Resolvers take `0x7f000001` and `127.1` for IPv4 addresses, so a name never ends in one."""
    return label.isdigit() or (label[:2].lower() == "0x" and bool(_NUMBER.match(label)))


def is_ip_address(value: str) -> bool:
    """IPv4 in four plain decimals or IPv6, without a scope id: `fe80::1%eth0` means nothing on another machine."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return "%" not in value


def server_name(value: str) -> None:
    if len(value) > 63 or not is_host_name(value) or value.endswith("."):
        raise ValidationError(
            "A server name has 1 to 63 letters, digits, dots and hyphens, and each part starts and ends with a letter "
            "or digit."
        )


def address(value: str) -> None:
    """A host name or the IP address of one machine. Only ASCII: an international name is given in its `xn--` form, so
    that two names that look alike are never taken for each other."""
    if not value.isascii():
        raise ValidationError("An address is plain ASCII; write an international name in its xn-- form.")
    if is_ip_address(value):
        parsed = ipaddress.ip_address(value)
        if parsed.is_unspecified or parsed.is_multicast or str(parsed) == "255.255.255.255":
            raise ValidationError("An address belongs to one machine; this one stands for none or for many.")
    elif not is_host_name(value):
        raise ValidationError(
            "An address is a host name such as web-1.example.com, an IPv4 or an IPv6 address, without a port."
        )


def normal_address(value: str) -> str:
    """One spelling per address: no brackets, no final dot, lower case, IPv6 shortened."""
    value = value.strip(" ")
    if value.startswith("[") and value.endswith("]"):
        value = value[1:-1]
    if is_ip_address(value):
        return str(ipaddress.ip_address(value))
    return value.removesuffix(".").lower() if value.isascii() else value


def port(value: int) -> None:
    if not 1 <= value <= 65535:
        raise ValidationError("A port is a number from 1 to 65535.")


def posix_user(value: str) -> None:
    if not _POSIX_USER.match(value) or value.isdigit() or not value.strip("."):
        raise ValidationError(
            "A user name has 1 to 32 letters, digits, dots, underscores or hyphens, does not start with a hyphen and "
            "is not only digits."
        )


def tag(value: str) -> None:
    if not _TAG.match(value):
        raise ValidationError(
            "A tag has 1 to 40 letters, digits, dots, colons, hyphens or underscores and starts with a letter or digit."
        )


def one_line(value: str) -> None:
    if "\n" in value or "\r" in value:
        raise ValidationError("This field is one line: line breaks are not allowed.")
    plain_text(value)


def plain_text(value: str, what: str = "This field") -> None:
    if _CONTROL.search(value.replace("\r\n", "\n")) or _BIDI.search(value):
        raise ValidationError(f"{what} is plain text: control characters and text-direction marks are not allowed.")


def note(value: str) -> None:
    plain_text(value, "A note")


def key_name(value: str) -> None:
    if not value.strip() or value.startswith("-") or "\n" in value or "\r" in value:
        raise ValidationError("A key name is one line and does not start with a hyphen.")
    plain_text(value, "A key name")


def filter_name(value: str) -> None:
    if not value.strip() or "\n" in value or "\r" in value:
        raise ValidationError("A filter needs a name of one line.")
    plain_text(value, "A filter name")


def secret_text(value: str) -> None:
    """Passwords: byte-exact, any character but NUL, CR and LF, 1 to 500 bytes of UTF-8."""
    if any(c in value for c in "\0\r\n"):
        raise ValidationError("A password cannot contain line breaks or NUL.")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise ValidationError("A password must be valid Unicode text.") from error
    if not 1 <= size <= 500:
        raise ValidationError("A password has 1 to 500 bytes.")
