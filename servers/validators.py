"""Field rules, each a sentence that names the rule. Used by the models, so forms, CLI and imports share them."""

import ipaddress
import re

from django.core.exceptions import ValidationError

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)\Z")
_POSIX_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def is_host_name(value: str) -> bool:
    """RFC 1123: labels of letters, digits and inner hyphens, 253 characters in all, the last label not all digits."""
    labels = value.removesuffix(".").split(".")
    return len(value) <= 253 and all(_LABEL.match(label) for label in labels) and not labels[-1].isdigit()


def is_ip_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return "%" not in value


def server_name(value: str) -> None:
    if len(value) > 63 or not is_host_name(value):
        raise ValidationError(
            "A server name has 1 to 63 letters, digits, dots and hyphens, and each part starts and ends with a letter "
            "or digit."
        )


def address(value: str) -> None:
    if not (is_host_name(value) or is_ip_address(value)):
        raise ValidationError("An address is a host name such as web-1.example.com, an IPv4 or an IPv6 address.")


def port(value: int) -> None:
    if not 1 <= value <= 65535:
        raise ValidationError("A port is a number from 1 to 65535.")


def posix_user(value: str) -> None:
    if not _POSIX_USER.match(value):
        raise ValidationError(
            "A user name starts with a lower-case letter or underscore, followed by up to 31 lower-case letters, "
            "digits, underscores or hyphens."
        )


def tag(value: str) -> None:
    if not re.match(r"[^\W_][\w.:-]{0,39}\Z", value):
        raise ValidationError(
            "A tag has 1 to 40 letters, digits, dots, colons, hyphens or underscores and starts with a letter or digit."
        )


def one_line(value: str) -> None:
    if "\n" in value or "\r" in value:
        raise ValidationError("This field is one line: line breaks are not allowed.")
    plain_text(value)


def plain_text(value: str) -> None:
    if _CONTROL.search(value.replace("\r\n", "\n")) or _BIDI.search(value):
        raise ValidationError("Control characters and text-direction marks are not allowed.")


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
