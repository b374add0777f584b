"""main.cf as text: what is not ours keeps its bytes, its order and its comments.

Postfix's own reading rules: a line that starts with white space continues the definition above it, also across comments
and blank lines; of several definitions of one parameter the last one counts.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MARK = "# Fleetpost email gateway: these settings go away again when it is uninstalled."
_NAME = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*)[ \t]*=")


@dataclass(frozen=True)
class Definition:
    """Lines [start, end) of a file define `name`; `raw` is their text, `value` what Postfix reads."""

    name: str
    value: str
    raw: str
    start: int
    end: int


def decode(content: bytes) -> str:
    """Text that `encode` turns back into the same bytes, whatever they were."""
    return content.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def definitions(text: str) -> list[Definition]:
    found: list[Definition] = []
    name, start, end, lines = "", 0, 0, _lines(text)
    for index, line in enumerate([*lines, "end ="]):
        if _is_comment(line):
            continue
        if line[0] in " \t":
            end = index + 1
            continue
        if name:
            found.append(_definition(name, lines, start, end))
        match = _NAME.match(line)
        name, start, end = (match[1] if match else ""), index, index + 1
    return found


def values(text: str) -> dict[str, str]:
    """Parameter -> value as written, `$name` unexpanded; the last definition wins."""
    return {definition.name: definition.value for definition in definitions(text)}


def raws(text: str, names: Iterable[str]) -> dict[str, list[str]]:
    """Parameter -> the text of each of its definitions; an empty list for one that is not there."""
    kept: dict[str, list[str]] = {name: [] for name in names}
    for definition in definitions(text):
        if definition.name in kept:
            kept[definition.name].append(definition.raw)
    return kept


def edit(text: str, settings: Mapping[str, str]) -> str:
    """`text` with each parameter defined once, in the place of its last definition, new ones under MARK at the end."""
    current = definitions(text)
    last = {definition.name: definition for definition in current}
    changes: dict[int, tuple[int, str]] = {}
    for definition in current:
        if definition.name not in settings:
            continue
        value = settings[definition.name]
        if definition is not last[definition.name]:
            changes[definition.start] = (definition.end, _comments(definition.raw))
        elif definition.value != value:
            changes[definition.start] = (definition.end, _line(definition.name, value) + _comments(definition.raw))
    added = "".join(_line(name, value) for name, value in settings.items() if name not in last)
    return _append(_apply(text, changes), added)


def restore(text: str, ours: Mapping[str, str], previous: Mapping[str, list[str]]) -> tuple[str, list[str]]:
    """`text` without our settings: each gets its previous definitions back, or goes. What a person has since changed to
    another value stays; the second result names those parameters."""
    current = definitions(text)
    last = {definition.name: definition for definition in current}
    # Ours stands where theirs stood; what a person appended later only repeats it.
    first = {definition.name: definition for definition in reversed(current)}
    kept = [name for name in ours if name in last and last[name].value != ours[name]]
    changes: dict[int, tuple[int, str]] = {}
    for definition in current:
        if definition.name in ours and definition.name not in kept:
            back = "".join(previous.get(definition.name, [])) if definition is first[definition.name] else ""
            changes[definition.start] = (definition.end, back or _comments(definition.raw))
    absent = "".join("".join(previous.get(name, [])) for name in ours if name not in last)
    bare = _apply(text, changes)
    if absent and bare and not bare.endswith("\n"):
        bare += "\n"
    return bare + absent, kept


def drop(text: str, names: Iterable[str]) -> str:
    """`text` without any definition of these parameters; comments within one stay."""
    gone = set(names)
    return _apply(text, {d.start: (d.end, _comments(d.raw)) for d in definitions(text) if d.name in gone})


def unmark(text: str) -> str:
    """`text` without MARK and the blank line `edit` put above it."""
    return re.sub(rf"(^|\n){re.escape(MARK)}\n", "", text, count=1)


def diff(path: str, before: str, after: str) -> str:
    """A unified diff for people; undecodable bytes show as the replacement character."""
    shown = [encode(text).decode("utf-8", "replace").splitlines(keepends=True) for text in (before, after)]
    lines = difflib.unified_diff(*shown, fromfile=path, tofile=path)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _is_comment(line: str) -> bool:
    bare = line.strip()
    return not bare or bare.startswith("#")


def _definition(name: str, lines: list[str], start: int, end: int) -> Definition:
    raw = "".join(lines[start:end])
    text = " ".join(line.strip() for line in lines[start:end] if not _is_comment(line))
    return Definition(name, text.partition("=")[2].strip(), raw, start, end)


def _line(name: str, value: str) -> str:
    return f"{name} = {value}".rstrip() + "\n"


def _comments(raw: str) -> str:
    return "".join(line for line in _lines(raw) if _is_comment(line))


def _apply(text: str, changes: Mapping[int, tuple[int, str]]) -> str:
    lines, out, index = _lines(text), [], 0
    while index < len(lines):
        end, replacement = changes.get(index, (index + 1, lines[index]))
        out.append(replacement)
        index = end
    return "".join(out)


def _append(text: str, added: str) -> str:
    if not added:
        return text
    if f"{MARK}\n" in text:
        return text.replace(f"{MARK}\n", f"{MARK}\n{added}", 1)
    if text and not text.endswith("\n"):
        text += "\n"
    return f"{text}\n{MARK}\n{added}" if text else f"{MARK}\n{added}"
