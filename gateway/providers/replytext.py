"""Reply text made comparable: one line, no terminal codes, no names or addresses that could look like words."""

import re

_LIMIT = 4000
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_SPACES = re.compile(r" {2,}")
_CODE_DASH = re.compile(r"(?<!\d)([245]\d\d)-(?=\D|[245]\.\d)")
_ADDRESS = re.compile(r"<?[^\s<>()\[\]:;,\"'=]{1,64}@[^\s<>()\[\];,\"']{1,255}>?")
_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)")
_HOST = re.compile(r"(?<![\w.-])[\w.-]+\[(ip|[0-9A-Fa-f]*:[0-9A-Fa-f.:]*)\]")
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
_CODE = re.compile(r"(?:^|said: |me: |\(|response: |: b?['\"]?)([245]\d\d)(?=[ ,]|$)")
_REPLY = re.compile(r"(?:^|said: |to talk to me: )[245]\d\d[ -]")
_DSN = re.compile(r"\bdsn=[245]\.\d{1,3}\.\d{1,3}")


def tidy(text: str | bytes) -> str:
    """One line of at most 4,000 characters, the beginning and the end of longer text; the repeated codes of a
    multi-line reply appear once."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if len(text) > _LIMIT:
        text = f"{text[: _LIMIT // 2]} {text[-_LIMIT // 2 :]}"
    text = _SPACES.sub(" ", _CONTROL.sub(" ", _ANSI.sub("", text))).strip()
    return _once(_CODE_DASH.sub(r"\1 ", text))


def without_names(text: str) -> str:
    """`text` without mail addresses, IPv4 addresses and host names: a mailbox called greylist@ is not a greylisting,
    and 198.5.1.1 holds no status 5.1.1."""
    return _HOST.sub(r"host[\1]", _IPV4.sub("ip", _ADDRESS.sub("<address>", text)))


def is_reply(text: str) -> bool:
    """True when an SMTP server said this: tidy text that begins with a reply's code, or a log line that quotes one."""
    return bool(_REPLY.search(text))


def codes(text: str) -> tuple[str, str]:
    """Enhanced status ("5.7.8") and basic code ("535") of a reply, each empty when there is none.

    The status inside the reply wins over the `dsn=` that Postfix derived from it.
    """
    status = _STATUS.search(_DSN.sub("", text)) or _STATUS.search(text)
    code = _CODE.search(text)
    return (status.group(1) if status else "", code.group(1) if code else "")


def _once(text: str) -> str:
    """Postfix joins "550-5.7.1 a" and "550 5.7.1 b" to one line: keep the first code, drop its repetitions."""
    first = re.search(r"(?<!\d)([245]\d\d) ([245]\.\d{1,3}\.\d{1,3}) ", text)
    if not first:
        return text
    head, tail = text[: first.end()], text[first.end() :]
    return head + tail.replace(first.group(0), "")
