"""Postfix's log lines as values. Pure; the shapes are those of Postfix 3.4 to 3.10.

Accepted frames: the journal's short and ISO forms, syslog with or without year, RFC 3339 syslog, and Postfix's own
`maillog_file`. `syslog_name` is not assumed to be "postfix".
"""

import re
from dataclasses import dataclass

_STAMP = r"""(?:
    [A-Z][a-z]{2}\ [ \d]\d\ (?:\d{4}\ )?\d\d:\d\d:\d\d(?:\.\d+)?
  | \d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?
  | \d{9,}(?:\.\d+)?
)"""
_FRAME = re.compile(
    rf"(?P<time>{_STAMP})\s+(?P<host>\S+)\s+(?P<tag>[^\s\[\]:]+)/(?P<process>[A-Za-z0-9_.-]+)\[(?P<pid>\d+)\]:\s(?P<text>.*)",
    re.VERBOSE | re.DOTALL,
)
_SHORT_ID = r"[0-9A-F]{6,16}"
_LONG_ID = r"[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,24}"
_ID = re.compile(rf"(?P<id>{_SHORT_ID}|{_LONG_ID}|NOQUEUE): (?P<text>.*)", re.DOTALL)
_STATUS = re.compile(
    r"to=<(?P<to>.*?)>, (?:orig_to=<(?P<orig_to>.*?)>, )?relay=(?P<relay>.+?), (?:conn_use=\d+, )?"
    r"delay=(?P<delay>[\d.]+), delays=(?P<delays>[\d./]+), dsn=(?P<dsn>[\d.]+), "
    r"status=(?P<status>[a-z-]+)(?: \((?P<reply>.*)\))?\s*\Z",
    re.DOTALL,
)
_QUEUED = re.compile(r"from=<(?P<sender>.*?)>, size=(?P<size>\d+), nrcpt=(?P<nrcpt>\d+)")
_EXPIRED = re.compile(r"from=<(?P<sender>.*?)>, status=(?P<status>(?:force-)?expired)")
_PICKED_UP = re.compile(r"uid=(?P<uid>\d+) from=<(?P<sender>.*)>")
_MESSAGE_ID = re.compile(r"(?:resent-)?message-id=(?P<id><?[^>]*>?)")
_NOTIFICATION = re.compile(r"sender (?:non-delivery|delivery status|delay) notification: (?P<id>\S+)")
_REJECT = re.compile(r"(?:milter-)?reject: .*?; from=<(?P<sender>.*?)>(?: to=<(?P<to>.*?)>)?")
_TLS = re.compile(r"(?P<trust>\w+) TLS connection established (?:to|from) (?P<peer>[^:]+(?::\d+)?): (?P<version>\S+)")
_TLS_FAULT = re.compile(
    r"(?:server )?certificate verification failed|SSL_connect error|Cannot start TLS|TLS is required|untrusted issuer",
    re.IGNORECASE,
)
_SEVERITY = re.compile(r"(?P<word>warning|error|fatal|panic): ")


@dataclass(frozen=True)
class Event:
    """One line.

    kind: status | queued | removed | message-id | pickup | client | notification | expired | reject | tls | tls-fault |
    replaced (by the reply filter) | warning | error | fatal | panic | other.
    queue_id: "" or "NOQUEUE" when the line has none. status: sent, deferred, bounced, expired, rejected, deliverable,
    undeliverable. reply: the text in brackets of a status, else the whole text. delays: seconds before the queue
    manager / in it / connecting / sending. linked: queue ID of the report a notification line announces.
    """

    time: str
    host: str
    name: str
    process: str
    pid: int
    text: str
    kind: str
    queue_id: str = ""
    to: str = ""
    orig_to: str = ""
    sender: str | None = None
    relay: str = ""
    delay: float | None = None
    delays: tuple[float, ...] = ()
    dsn: str = ""
    status: str = ""
    reply: str = ""
    message_id: str = ""
    size: int | None = None
    recipients: int | None = None
    linked: str = ""
    trust: str = ""


def parse(line: str) -> Event | None:
    """None for a line that is not Postfix's."""
    frame = _FRAME.match(line.rstrip("\r\n"))
    if frame is None:
        return None
    text, queue_id = frame["text"], ""
    identified = _ID.match(text)
    if identified:
        queue_id, text = identified["id"], identified["text"]
    found = _read(text, queue_id)
    return Event(
        time=frame["time"],
        host=frame["host"],
        name=frame["tag"],
        process=frame["process"],
        pid=int(frame["pid"]),
        text=text,
        queue_id=queue_id,
        **{"reply": text, **found},
    )


def _read(text: str, queue_id: str) -> dict:
    if match := _STATUS.match(text):
        return _status(match)
    if match := _SEVERITY.match(text):
        return {"kind": match["word"]}
    if match := _TLS.search(text):
        return {"kind": "tls", "trust": match["trust"], "relay": match["peer"]}
    if "replacing server reply" in text:
        return {"kind": "replaced"}
    if _TLS_FAULT.search(text):
        return {"kind": "tls-fault"}
    return _life(text) if queue_id else {"kind": "other"}


def _status(match: re.Match) -> dict:
    return {
        "kind": "status",
        "to": match["to"],
        "orig_to": match["orig_to"] or "",
        "relay": match["relay"],
        "delay": float(match["delay"]),
        "delays": tuple(float(part) for part in match["delays"].split("/")),
        "dsn": match["dsn"],
        "status": match["status"],
        "reply": match["reply"] or "",
    }


def _life(text: str) -> dict:
    """Lines of one message other than its statuses."""
    if text.strip() == "removed":
        return {"kind": "removed"}
    if match := _MESSAGE_ID.match(text):
        return {"kind": "message-id", "message_id": match["id"]}
    if match := _QUEUED.match(text):
        counted = {"size": int(match["size"]), "recipients": int(match["nrcpt"])}
        return {"kind": "queued", "sender": match["sender"], **counted}
    if match := _EXPIRED.match(text):
        return {"kind": "expired", "sender": match["sender"], "status": "expired"}
    if match := _PICKED_UP.match(text):
        return {"kind": "pickup", "sender": match["sender"]}
    if match := _NOTIFICATION.match(text):
        return {"kind": "notification", "linked": match["id"]}
    if match := _REJECT.match(text):
        return {"kind": "reject", "sender": match["sender"], "to": match["to"] or "", "status": "rejected"}
    return {"kind": "client" if text.startswith("client=") else "other"}
