"""An alert as e-mail, straight from the panel: no server of the fleet is in its way. The fallback account is tried when
the first one does not take it."""

import smtplib
import ssl
from base64 import b64encode
from email import policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from servers.alerts import relays
from servers.alerts.message import Message
from servers.alerts.models import Route
from servers.alerts.relays import Relay
from servers.alerts.ways import NotSent, patience
from servers.fields import Unreadable
from servers.remote import clean
from servers.remote.secret import MASK

TIMEOUT = 20


def send(route: Route, message: Message) -> str:
    told = []
    for ident in (route.provider, route.fallback):
        if not ident:
            continue
        try:
            relay = relays.find(ident)
            if relay is None:
                raise NotSent("The SMTP provider of this route was deleted.")
            return "\n".join([*told, f"{relay.name}: {_send(relay, route, message)}"])
        except Unreadable as error:
            told.append(f"{relay_name(ident)}: {error}")
        except NotSent as error:
            told.append(f"{relay_name(ident)}: {error}")
    raise NotSent("\n".join(told) or "This route has no SMTP provider.")


def relay_name(ident) -> str:
    return dict(relays.choices()).get(str(ident), "SMTP provider")


def _send(relay: Relay, route: Route, message: Message) -> str:
    context = ssl.create_default_context()
    if not relay.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        if relay.tls == "implicit":
            client = patience.SmtpOverTls(relay.host, relay.port, timeout=TIMEOUT, context=context)
        else:
            client = patience.Smtp(relay.host, relay.port, timeout=TIMEOUT)
        with client:
            if relay.tls == "starttls":
                client.starttls(context=context)
            client.ehlo_or_helo_if_needed()
            if relay.username and relay.password is not None:
                _sign_in(client, relay.username.encode(), relay.password.reveal())
            return _hand_over(client, route, message)
    except smtplib.SMTPResponseException as error:
        raise NotSent(_words(error.smtp_code, error.smtp_error)) from error
    except (smtplib.SMTPException, OSError, UnicodeError) as error:
        raise NotSent(clean.line(str(error))[:500] or type(error).__name__) from error


def _sign_in(client: smtplib.SMTP, username: bytes, password: bytes) -> None:
    """As UTF-8 (RFC 4616), where smtplib knows ASCII only."""
    offered, plain = client.esmtp_features.get("auth", "").upper().split(), b"\0".join((b"", username, password))
    if "PLAIN" in offered:
        answer = client.docmd("AUTH", f"PLAIN {_base64(plain)}")
    elif "LOGIN" in offered:
        answer = client.docmd("AUTH", "LOGIN")
        for typed in (username, password):
            answer = client.docmd(_base64(typed)) if answer[0] == 334 else answer
    else:
        raise NotSent("The server offers no way to sign in that the panel knows (PLAIN, LOGIN).")
    if answer[0] != 235:
        code, text = answer
        for said in filter(None, (password, _base64(password).encode(), _base64(plain).encode())):
            text = text.replace(said, MASK.encode())
        raise smtplib.SMTPAuthenticationError(code, text)


def _base64(text: bytes) -> str:
    return b64encode(text).decode()


def _hand_over(client: smtplib.SMTP, route: Route, message: Message) -> str:
    recipients, mail = route.recipients.split(), _mail(route, message)
    # Step by step, where sendmail() would throw the last reply away: it is what a person wants to see.
    _expect(client.mail(route.sender))
    answers = [client.rcpt(recipient) for recipient in recipients]
    refused = [answer for answer in answers if answer[0] not in (250, 251)]
    if len(refused) == len(answers):
        _expect(refused[0])
    reply = _words(*_expect(client.data(mail.as_bytes())))
    return "; ".join([reply, *(f"not for all: {_words(*answer)}" for answer in refused)])


def _mail(route: Route, message: Message) -> EmailMessage:
    """With the line ends of SMTP: a bare line feed is refused by careful servers. Quoted-printable keeps any text
    within seven bits and short lines, whatever the server can do."""
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"], mail["To"] = route.sender, ", ".join(route.recipients.split())
    mail["Subject"], mail["Date"] = message.subject, formatdate(localtime=False)
    mail["Message-ID"] = make_msgid(domain=route.sender.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.body, cte="quoted-printable")
    return mail


def _expect(answer: tuple[int, bytes]) -> tuple[int, bytes]:
    if answer[0] not in (250, 251):
        raise smtplib.SMTPResponseException(*answer)
    return answer


def _words(code: int, text: bytes | str) -> str:
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {clean.line(' '.join(text.split()))}"[:500]
