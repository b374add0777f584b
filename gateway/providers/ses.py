"""Amazon SES: the SMTP password follows from an IAM user's secret access key and the region.

Source: Amazon SES Developer Guide, "Obtaining Amazon SES SMTP credentials" (Signature Version 4).
"""

import base64
import hmac
import re

from servers.remote.secret import Secret

_DATE, _SERVICE, _TERMINAL, _MESSAGE, _VERSION = "11111111", "ses", "aws4_request", "SendRawEmail", b"\x04"
_BASE64 = re.compile(rb"[A-Za-z0-9/+=]+")


def smtp_password(secret: Secret | str, region: str) -> Secret:
    """The SMTP password for `region`: 44 characters that start with B. The user name is the access key ID."""
    value = secret.reveal() if isinstance(secret, Secret) else secret.encode()
    key = b"AWS4" + value
    for part in (_DATE, region, _SERVICE, _TERMINAL, _MESSAGE):
        key = hmac.digest(key, part.encode(), "sha256")
    return Secret(base64.b64encode(_VERSION + key))


def is_iam_secret(secret: Secret | str) -> bool:
    """Looks like an IAM secret access key (40 characters), so it must be turned into the SMTP password first."""
    value = secret.reveal() if isinstance(secret, Secret) else secret.encode()
    return len(value) == 40 and bool(_BASE64.fullmatch(value))


def is_smtp_password(secret: Secret | str) -> bool:
    """Looks like an SES SMTP password: 44 characters of base64 whose first byte is the version, hence the B."""
    value = secret.reveal() if isinstance(secret, Secret) else secret.encode()
    return len(value) == 44 and value.startswith(b"B") and bool(_BASE64.fullmatch(value))
