"""A test message: built here, sent by the server's own sendmail, followed in its log to its status."""

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import formatdate

from gateway.postfix import logline
from gateway.postfix.follow import follow
from gateway.postfix.spec import Invalid
from servers.remote.command import quote

_TOKEN = re.compile(r"[A-Za-z0-9-]{8,64}\Z")
_ADDRESS = re.compile(r"(?!-)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_QUEUED_AS = re.compile(r"queued as:?\s+<?([^\s>)]+)", re.IGNORECASE)
_OK_ID = re.compile(r"2\d\d(?:[ -]2\.\d\.\d+)? Ok:?\s+([^\s,;]{6,})", re.IGNORECASE)
_LIMIT = 300  # lines a busy server may add before we stop reading


@dataclass(frozen=True)
class Delivery:
    """delivery: sent | deferred | bounced | queued (no status in time). A message this server kept or dropped itself
    counts as bounced: no provider has it. relay, code, reply: as the log has them; provider_id: the provider's name for
    the message. seconds: arrival to status. evidence: the log lines this was read from."""

    queue_id: str
    delivery: str
    reply: str = ""
    relay: str = ""
    code: str = ""
    provider_id: str = ""
    seconds: float | None = None
    evidence: tuple[str, ...] = ()


def message(from_: str, to: str, subject: str, body: str, html: bool, token: str) -> bytes:
    """The message as sendmail wants it. token: 8 to 64 letters, digits, hyphens; its Message-ID. Raises Invalid."""
    if not _TOKEN.match(token):
        raise Invalid("token", "A token has 8 to 64 letters, digits and hyphens.")
    for field, value in (("from", from_), ("to", to)):
        if not _ADDRESS.match(value):
            raise Invalid(field, "An e-mail address looks like name@example.com, in plain ASCII.")
    if _CONTROL.search(subject):
        raise Invalid("subject", "A subject is one line without control characters.")
    mail = EmailMessage(policy=policy.SMTP.clone(linesep="\n", cte_type="7bit"))
    mail["From"], mail["To"], mail["Subject"] = from_, to, subject
    mail["Date"] = formatdate(localtime=False)
    mail["Message-ID"] = f"<{token}@{from_.rpartition('@')[2]}>"
    # Tells responders and ticket systems not to answer (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(body.replace("\r\n", "\n").replace("\0", ""), subtype="html" if html else "plain")
    return mail.as_bytes()


def script(message: bytes, envelope_from: str, to: str, wait: int = 30, log_source: str = "journal") -> str:
    """POSIX sh, run as root: hands `message` to sendmail and prints the log lines that concern it until it has a status
    or `wait` seconds are over. The lines are for `verdict`. log_source: "journal" or a file, as in Facts.log_source."""
    for field, value in (("from", envelope_from), ("to", to)):
        if not _ADDRESS.match(value):
            raise Invalid(field, "An e-mail address looks like name@example.com, in plain ASCII.")
    message_id = str(BytesParser(policy=policy.default).parsebytes(message, headersonly=True)["Message-ID"])
    send = f"""
printf %s {b64encode(message).decode()} | base64 -d >"$W/mail"
echo "::sending $(date +%s)"
sendmail -i -f {quote(envelope_from)} -- {quote(to)} <"$W/mail" 2>"$W/err" ||
  echo "::refused $? $(head -c 500 "$W/err" | tr '\\n' ' ')"
"""
    read = f"""
  case $line in
    *" message-id="{quote(message_id)}*) id=${{line%%: message-id=*}}; id=${{id##* }}; echo "::id $id"; echo "$line";;
    *" $id: to=<"*status=*) echo "$line"; break;;
    *" $id: "*) echo "$line";;
    */smtp\\[*"TLS"*|*/smtp\\[*"certificate"*|*/smtp\\[*" connect to "*|*/smtp\\[*"replacing"*) echo "$line";;
    *" warning: "*|*" fatal: "*|*" panic: "*|*" error: "*) echo "$line";;
  esac
"""
    return follow(log_source, wait, send=send, read=read, limit=_LIMIT)


def verdict(lines: Iterable[str]) -> Delivery:
    """What became of the message. "sent" only for a 250 of another server to Postfix's own SMTP client."""
    shown = [line for line in lines if line.strip()]
    queue_id = next((line.split()[1] for line in shown if line.startswith("::id ")), "")
    refused = next((line.partition(" ")[2] for line in shown if line.startswith("::refused ")), "")
    events = [(line, event) for line in shown if (event := logline.parse(line)) is not None]
    evidence = tuple(line for line, event in events if event.queue_id in ("", queue_id))
    statuses = [event for _, event in events if event.kind == "status" and event.queue_id == queue_id and queue_id]
    if refused and not statuses:
        return Delivery(queue_id, "bounced", reply=refused.partition(" ")[2].strip() or refused, evidence=evidence)
    if not statuses:
        return Delivery(queue_id, "queued", evidence=evidence)
    last = statuses[-1]
    left = last.process == "smtp" and "[" in last.relay and last.reply.startswith("2")
    delivery = {"sent": "sent" if left else "bounced", "deferred": "deferred"}.get(last.status, "bounced")
    return Delivery(
        queue_id,
        delivery,
        reply=last.reply,
        relay=last.relay,
        code=last.dsn,
        provider_id=_provider_id(last.reply) if delivery == "sent" else "",
        seconds=last.delay,
        evidence=evidence,
    )


def _provider_id(reply: str) -> str:
    match = _QUEUED_AS.search(reply) or _OK_ID.match(reply)
    return match[1].rstrip(".,;") if match else ""
