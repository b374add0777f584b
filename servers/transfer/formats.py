"""The formats by name: recognised, read, written."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from servers.transfer import ansible_ini, ansible_yaml, delimited, ssh_config, writing
from servers.transfer.reading import Reading, Refused, Row, to_text

AUTO = "auto"


@dataclass(frozen=True)
class Format:
    slug: str
    label: str
    filename: str
    write: Callable[[Iterable[Row]], str]


FORMATS = {
    f.slug: f
    for f in (
        Format("csv", "CSV", "servers.csv", writing.to_csv),
        Format("ansible-ini", "Ansible inventory (INI)", "inventory.ini", writing.to_ansible_ini),
        Format("ansible-yaml", "Ansible inventory (YAML)", "inventory.yml", writing.to_ansible_yaml),
        Format("ssh-config", "OpenSSH configuration", "ssh_config", writing.to_ssh_config),
    )
}
_READERS = {"ansible-ini": ansible_ini.read, "ansible-yaml": ansible_yaml.read, "ssh-config": ssh_config.read}
_SSH = re.compile(r"\s*(host|match)( *= *| +)[^,;\t]+", re.I)
_YAML = re.compile(r"(---.*|[\w.-]+:( .*)?|\{.*|[\"'][\w.-]+[\"']:.*)")
_SECTION = re.compile(r"\[[^\]]+\]\s*(#.*)?")
_VARIABLE = re.compile(r"\sansible_\w+\s*=")


def read(data: bytes | str, kind: str = AUTO, mapping: Mapping[str, int] | None = None) -> Reading:
    """What a file says, line by line; `kind` a slug of FORMATS or AUTO. A file nothing can be used of gives no rows
    and the reasons. mapping: columns of a CSV, as in delimited.read."""
    try:
        text = to_text(data)
        kind = recognise(text) if kind == AUTO else kind
        return delimited.read(text, mapping) if kind == "csv" else _READERS[kind](text)
    except Refused as refused:
        return Reading("" if kind == AUTO else kind, problems=refused.problems)


def write(rows: Iterable[Row], kind: str) -> str:
    return FORMATS[kind].write(rows)


def recognise(text: str) -> str:
    """The format of the first lines that say something; CSV when none does."""
    lines = [line for line in text[:50_000].split("\n")[:500] if line.strip() and line.lstrip()[0] not in "#;"]
    if lines and _YAML.fullmatch(lines[0].rstrip()):
        return "ansible-yaml"
    for line in lines:
        if _SSH.fullmatch(line):
            return "ssh-config"
        if _SECTION.fullmatch(line.strip()) or _VARIABLE.search(line):
            return "ansible-ini"
    return "csv"
