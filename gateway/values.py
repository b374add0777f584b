"""What a person typed about an SMTP provider account, before any rule is applied."""

from dataclasses import dataclass, fields, replace

from gateway.models import Smarthost
from servers.remote.secret import Secret

# A stored password is meant for one account at one host and is sent nowhere else (faults.md T29).
ACCOUNT = ("host", "username")
FREE = ("sending_domain", "helo_name", "root_address", "note")  # what no preset decides


@dataclass(frozen=True)
class Values:
    """port None: the preset's first. tls "": decided by the port. password None: not typed.
    iam_secret: `password` is an AWS secret access key, from which the SMTP password is derived and which is forgotten.
    """

    preset: str = "generic"
    region: str = ""
    host: str = ""
    port: int | None = None
    tls: str = ""
    verify_certificate: bool = True
    username: str = ""
    password: Secret | None = None
    iam_secret: bool = False
    sending_domain: str = ""
    helo_name: str = ""
    root_address: str = ""
    note: str = ""

    def tidy(self) -> "Values":
        """Names in the one spelling they are compared and written in."""
        return replace(
            self,
            host=_name(self.host),
            sending_domain=_name(self.sending_domain),
            helo_name=_name(self.helo_name),
            root_address=self.root_address.strip(" "),
            username=self.username.strip(" "),
        )


STORED = tuple(field.name for field in fields(Values) if field.name not in ("password", "iam_secret"))


def _name(value: str) -> str:
    return value.strip(" ").removesuffix(".").lower()


def of(smarthost: Smarthost) -> Values:
    """The stored values, without the password."""
    return Values(**{name: getattr(smarthost, name) for name in STORED})


def keeps_password(old: Smarthost, new: Values) -> bool:
    """Whether `old`'s password may be used with `new`: same host, same user name, encryption no weaker. Another port
    may belong to somebody else on that host, so a checked certificate must say that it does not."""
    if any(getattr(old, name) != getattr(new, name) for name in ACCOUNT):
        return False
    weaker = (new.tls == "none" and old.tls != "none") or (old.verify_certificate and not new.verify_certificate)
    proved = new.tls != "none" and new.verify_certificate
    return old.has_password and not weaker and (old.port == new.port or proved)
