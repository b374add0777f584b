"""Rules for the fields that end in a Postfix configuration."""

import re

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

from servers.validators import is_host_name, is_ip_address, one_line

_EMAIL = EmailValidator(message="An e-mail address looks like name@example.com.")


def host_name(value: str) -> None:
    if not (is_host_name(value) or is_ip_address(value)):
        raise ValidationError("An SMTP server is a host name such as smtp.example.com, or an IP address.")


def domain(value: str) -> None:
    if "." not in value.strip(".") or not is_host_name(value) or is_ip_address(value):
        raise ValidationError(
            "A domain looks like example.com: labels of letters, digits and hyphens, with at least one dot."
        )


def email(value: str) -> None:
    one_line(value)
    if value.startswith("-"):
        raise ValidationError("An e-mail address cannot start with a hyphen.")
    if not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~@-]+", value):
        raise ValidationError("An e-mail address here uses plain ASCII letters, digits and the usual signs.")
    _EMAIL(value)


def username(value: str) -> None:
    one_line(value)
    if value != value.strip():
        raise ValidationError("A user name cannot start or end with a space.")
    if len(value.encode("utf-8", "replace")) > 320:
        raise ValidationError("A user name has at most 320 bytes.")
