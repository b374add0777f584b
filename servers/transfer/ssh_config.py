"""OpenSSH client configuration: each alias of a Host line is a server, patterns give defaults, the first value wins."""

import fnmatch
import re
import shlex
from dataclasses import dataclass, field
from functools import lru_cache

from servers.transfer.hosts import last_jump
from servers.transfer.reading import MAX_SERVERS, Notes, Problem, Reading, Refused, Row, sane_lines, too_many

_LINE = re.compile(r"\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*)")
_READ = {"hostname", "port", "user", "proxyjump"}
_KEYS = {"identityfile", "certificatefile", "identityagent"}
_MAX_WILD = 100
_TAGS = re.compile(r"\s*#\s*[Tt]ags:\s*(.*)")


@dataclass
class Block:
    line: int
    wanted: list[str]
    refused: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    broken: bool = False  # a line of it could not be read: no server it counts for is imported

    @property
    def wild(self) -> bool:
        return any(_is_pattern(pattern) for pattern in self.wanted)


def read(text: str) -> Reading:
    """Raises Refused."""
    notes = Notes()
    blocks = _blocks(text, notes)
    aliases: dict[str, int] = {}
    literal: dict[str, list[int]] = {}
    for at, block in enumerate(blocks):
        for pattern in block.wanted:
            if _is_pattern(pattern):
                continue
            if pattern not in aliases and len(aliases) == MAX_SERVERS:
                raise too_many(block.line)
            aliases.setdefault(pattern, block.line)
            literal.setdefault(pattern, []).append(at)
    wild = [(at, [_compiled(pattern) for pattern in block.wanted]) for at, block in enumerate(blocks) if block.wild]
    if sum(len(patterns) for _, patterns in wild) + sum(len(block.refused) for block in blocks) > _MAX_WILD:
        raise Refused(Problem(0, "Host", f"The file has more than {_MAX_WILD} patterns."))
    rows = []
    for alias, line in aliases.items():
        fitting = {*literal[alias], *(at for at, patterns in wild if any(p.fullmatch(alias) for p in patterns))}
        mine = [blocks[at] for at in sorted(fitting)]
        mine = [block for block in mine if not any(_compiled(p).fullmatch(alias) for p in block.refused)]
        if any(block.broken for block in mine):
            continue
        values: dict[str, str] = {}
        for block in mine:
            values = block.values | values
        rows.append(_row(alias, line, values, notes))
    return Reading("ssh-config", tuple(rows), tuple(notes.found), more=notes.more)


def _blocks(text: str, notes: Notes) -> list[Block]:
    current: Block | None = Block(0, ["*"])
    blocks = [current]
    for number, raw in enumerate(sane_lines(text, notes), 1):
        if (tags := _TAGS.fullmatch(raw)) and current is not None:
            current.values.setdefault("tags", tags[1])
        if not raw.strip() or raw.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(raw.rstrip())
        words = _words(found[2]) if found else []
        if not words:
            text = "This line has no value." if found is None or not found[2] else "A quote is never closed."
            notes.fault(number, found[1] if found else "", text, "A line is a keyword and its value.")
            if current is not None:
                current.broken = True
            continue
        keyword = found[1].lower()
        if keyword == "host":
            current = Block(number, [w for w in words if w[0] != "!"], [w[1:] for w in words if w[0] == "!"])
            blocks.append(current)
        elif keyword == "match":
            current = Block(number, ["*"]) if [word.lower() for word in words] == ["all"] else None
            if current is not None:
                blocks.append(current)
            else:
                notes.notice(number, "Match", "Match blocks depend on more than the name: left out.")
        elif current is not None:
            _keep(current, keyword, words, number, notes)
    return blocks


def _keep(block: Block, keyword: str, words: list[str], number: int, notes: Notes) -> None:
    if keyword in _READ:
        if len(words) > 1:
            notes.fault(number, keyword, "One value is expected here.", "Take out the rest of the line.")
            block.broken = True
        else:
            block.values.setdefault(keyword, words[0])
    elif keyword == "include":
        notes.notice(number, "Include", "Other files are not read.", "Import them one by one.")
    elif keyword in _KEYS:
        notes.notice(number, "IdentityFile", "Private keys are not imported; the panel signs in with its own key.")
    elif keyword == "proxycommand":
        notes.notice(number, "ProxyCommand", "ProxyCommand is not read.", "Choose the jump server after the import.")


def _row(alias: str, line: int, values: dict[str, str], notes: Notes) -> Row:
    address = re.sub(r"%[h%]", lambda found: alias if found[0] == "%h" else "%", values.get("hostname", ""))
    return Row(
        line,
        name=alias,
        address=address,
        port=values.get("port", ""),
        user=values.get("user", ""),
        tags=tuple(tag for tag in re.split(r"[\s,]+", values.get("tags", "")) if tag),
        jump=last_jump(values.get("proxyjump", ""), line, notes),
    )


def _is_pattern(word: str) -> bool:
    return "*" in word or "?" in word


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern:
    """`*` and `?` as ssh has them; fnmatch builds them so that no pattern is slow, and brackets mean nothing here."""
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))


def _words(value: str) -> list[str]:
    if not any(mark in value for mark in "\"'\\#"):
        return value.split()
    try:
        return [word for word in shlex.split(value, comments=True) if word]
    except ValueError:
        return []
