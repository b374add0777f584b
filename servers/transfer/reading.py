"""What every reader gives back, and how bytes become text: all of it or a problem, never a guess."""

import codecs
from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_BYTES = 5_000_000
MAX_LINES = 250_000  # 10,000 servers as YAML are 130,000
MAX_SERVERS = 10_000
MAX_LINE = 20_000  # characters
MAX_TOLD = 1_000  # problems; the rest are counted


@dataclass(frozen=True)
class Row:
    """One server as the file has it, nothing judged yet. `jump` is a name or a place ("user@host:22")."""

    line: int
    name: str = ""
    address: str = ""
    port: str = ""
    user: str = ""
    tags: tuple[str, ...] = ()
    jump: str = ""
    note: str = ""
    host_key: str = ""


@dataclass(frozen=True)
class Problem:
    """What is wrong in one line (0: in the whole file), in which field, and what to do. A notice stops nothing."""

    line: int
    field: str
    text: str
    hint: str = ""
    notice: bool = False

    def __str__(self) -> str:
        place = ", ".join(part for part in (f"line {self.line}" if self.line else "", self.field) if part)
        sentence = f"{self.text} {self.hint}".strip()
        return f"{place}: {sentence}" if place else sentence


class Refused(Exception):
    """Nothing of the file can be used. `problems` say why."""

    def __init__(self, *problems: Problem):
        super().__init__(str(problems[0]))
        self.problems = problems


@dataclass
class Notes:
    """Problems as they are found: one per line and field, the same notice once, at most MAX_TOLD."""

    found: list[Problem] = field(default_factory=list)
    more: int = 0
    _seen: set = field(default_factory=set)

    def fault(self, line: int, name: str, text: str, hint: str = "") -> None:
        self._add((line, name, text), Problem(line, name, text, hint))

    def notice(self, line: int, name: str, text: str, hint: str = "") -> None:
        self._add((name, text), Problem(line, name, text, hint, notice=True))

    def _add(self, key: tuple, problem: Problem) -> None:
        if key in self._seen:
            return
        if len(self.found) >= MAX_TOLD:
            self.more += 1
            return
        self._seen.add(key)
        self.found.append(problem)


@dataclass(frozen=True)
class Column:
    """One column of a CSV file. `field`: what it is read as, "" for nothing. `secret`: its cells are not kept."""

    title: str
    samples: tuple[str, ...]
    field: str = ""
    secret: bool = False


@dataclass(frozen=True)
class Reading:
    kind: str
    rows: tuple[Row, ...] = ()
    problems: tuple[Problem, ...] = ()
    columns: tuple[Column, ...] = ()
    more: int = 0  # problems that are not among `problems`

    @property
    def faults(self) -> list[Problem]:
        return [problem for problem in self.problems if not problem.notice]


def shown(value: str, most: int = 60) -> str:
    """A value of the file inside a sentence: one printable line, cut."""
    clean = "".join(c if c.isprintable() else "�" for c in value[: most + 1])
    return f"“{clean[:most]}…”" if len(clean) > most else f"“{clean}”"


def to_text(data: bytes | str) -> str:
    """UTF-8 with or without a byte order mark, UTF-16 with one; lines end in \\n. Raises Refused."""
    if len(data) > MAX_BYTES:
        raise Refused(
            Problem(0, "", f"The file is larger than {MAX_BYTES // 1_000_000} MB.", "Split it into smaller ones.")
        )
    text = data if isinstance(data, str) else _decoded(data)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    _refuse(_lines_with(text, "\0"), "Byte 0x00 is not text.", "Save the file as UTF-8.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refused(Problem(text.count("\n", 0, error.start) + 1, "", "Half a character is not text.")) from error
    if text.count("\n") > MAX_LINES:
        raise Refused(Problem(0, "", f"The file has more than {MAX_LINES:,} lines.", "Split it into smaller ones."))
    return text


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise Refused(Problem(0, "", "The file is UTF-32.", "Save it as UTF-8."))
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            line = data[: error.start].decode("utf-16", "replace").count("\n") + 1
            wrong = Problem(line, "", f"The file begins as UTF-16, but byte {error.start + 1} does not fit.")
            raise Refused(wrong) from error
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    raise Refused(*_foreign_lines(data))


def _foreign_lines(data: bytes) -> list[Problem]:
    """Every line that is not UTF-8, up to MAX_TOLD, with its first bad byte."""
    wrong = []
    for number, line in enumerate(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"), 1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            text = f"Byte 0x{line[error.start]:02X} at position {error.start + 1} is not UTF-8."
            wrong.append(Problem(number, "", text, "Save the file as UTF-8."))
            if len(wrong) == MAX_TOLD:
                break
    return wrong


def _lines_with(text: str, mark: str) -> list[int]:
    return [n for n, line in enumerate(text.split("\n"), 1) if mark in line] if mark in text else []


def _refuse(lines: Iterable[int], text: str, hint: str) -> None:
    if wrong := [Problem(line, "", text, hint) for line in lines][:MAX_TOLD]:
        raise Refused(*wrong)


def too_many(line: int) -> Refused:
    return Refused(Problem(line, "", f"The file has more than {MAX_SERVERS:,} servers.", "Split it into smaller ones."))


def sane_lines(text: str, notes: Notes) -> list[str]:
    """The lines, those too long to be one server emptied and named."""
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE:
            notes.fault(number, "", f"The line has {len(line):,} characters.", f"At most {MAX_LINE:,} are read.")
            lines[number - 1] = ""
    return lines
