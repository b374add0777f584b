"""Postfix's own way to the provider: `sendmail -bv` looks up, encrypts, signs in and names both addresses, and sends
nothing."""

import re

from gateway.postfix import logline
from gateway.postfix.follow import follow
from gateway.proof.values import Stage
from gateway.providers.replies import explain
from servers.remote.command import quote

WAIT = 40  # seconds for a status, once it is the probe's turn
_ADDRESS = re.compile(r"(?!-)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}(@[A-Za-z0-9.-]{1,253})?")
_READ = r"""
  case $line in
    *" status=deliverable "*|*" status=undeliverable "*) echo "$line"; break;;
    *" fatal: "*|*" panic: "*|*"throttling"*) echo "$line"; break;;
    */smtp\[*" warning: "*|*/smtp\[*"certificate"*|*/smtp\[*"SSL_connect"*|*/smtp\[*" connect to "*) echo "$line";;
  esac
"""


def script(address: str, log_source: str, wait: int) -> str:
    """POSIX sh. address: sender and recipient. wait: seconds. Raises ValueError for an address that is none."""
    if not _ADDRESS.fullmatch(address):
        raise ValueError("the address is not valid")
    send = f'sendmail -f {quote(address)} -bv -- {quote(address)} >"$W/out" 2>&1 || cat "$W/out"'
    return follow(log_source, wait, send=send, read=_READ, limit=2000)


def stage(lines: list[str], preset: str, seconds: float, wait: int, may: str = "") -> Stage:
    """What Postfix's log says about it. may: the pace this server keeps, to follow "may"; "" for none."""
    said, ms = [line for line in lines if line.strip()], round(seconds * 1000)
    if not said:
        turn = f" This server may {may}, and what waited before goes first." if may else ""
        return Stage("path", "unknown", f"Postfix logged no result within {wait} s.{turn}", ms)
    event, last = logline.parse(said[-1]), said[-1]
    words = event.reply if event is not None and event.kind == "status" else last
    if " status=deliverable " in last:
        return Stage("path", "ok", words, ms)
    meaning = explain(words, preset)
    # The address is only an example; what counts is whether the provider let Postfix in.
    state = "warn" if meaning.area == "recipient" or not meaning.exact else "fail"
    return Stage("path", state, words, ms, meaning)
