"""Ansible inventories as YAML. Built from the event stream, never into objects: a tag constructs nothing, an alias is
counted for all it stands for, and every value knows its line."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from servers.transfer import hosts
from servers.transfer.hosts import Group, Inventory
from servers.transfer.reading import Notes, Problem, Reading, Refused, shown

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH = 60  # every group is two levels
_MAX_NODES = 500_000
_STANDARD = "tag:yaml.org,2002:"
_PLUGIN = "Import the output of: ansible-inventory --list --yaml"


@dataclass
class Node:
    """text: a scalar. items: a mapping's (key, value). parts: a list. size: nodes with aliases written out."""

    line: int
    text: str | None = None
    items: list[tuple["Node", "Node"]] | None = None
    parts: list["Node"] | None = None
    plain: bool = False
    foreign: bool = False
    size: int = 1
    depth: int = 1
    _key: "Node | None" = field(default=None, repr=False)

    @property
    def empty(self) -> bool:
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")

    def take(self, inner: "Node") -> None:
        self.size += inner.size
        self.depth = max(self.depth, inner.depth + 1)
        if self.parts is not None:
            self.parts.append(inner)
        elif self._key is None:
            self._key = inner
        else:
            self.items.append((self._key, inner))
            self._key = None


def read(text: str) -> Reading:
    """Raises Refused."""
    notes = Notes()
    inventory = Inventory(notes)
    root = _document(text, notes)
    if root.items is None:
        if not root.empty:
            raise Refused(Problem(root.line, "", "An inventory begins with the name of a group, such as all:."))
    else:
        for name, line, node in _pairs(root, notes):
            if name == "plugin":
                raise Refused(Problem(line, name, "This file asks a plugin for the hosts.", _PLUGIN))
            _group(inventory, name, line, node)
    found = hosts.rows(inventory)
    return Reading("ansible-yaml", tuple(found), tuple(notes.found), more=notes.more)


def _document(text: str, notes: Notes) -> Node:
    open_nodes: list[tuple[Node, str | None]] = []
    anchors: dict[str, Node] = {}
    root: Node | None = None
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise Refused(Problem(line, "", "A second document begins here.", "Import one document at a time."))
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((_node(event, line, notes), event.anchor))
                if len(open_nodes) > _MAX_DEPTH:
                    raise Refused(Problem(line, "", f"Values are nested more than {_MAX_DEPTH} deep."))
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                node, anchor = open_nodes.pop()
                if node.foreign:
                    node.items = node.parts = None
            elif isinstance(event, yaml.ScalarEvent):
                node, anchor = _node(event, line, notes), event.anchor
            elif isinstance(event, yaml.AliasEvent):
                node, anchor = anchors.get(event.anchor), None
                if node is None:
                    raise Refused(Problem(line, "", f"The alias *{event.anchor} stands for nothing, or for itself."))
            else:
                continue
            if anchor:
                anchors[anchor] = node
            if not open_nodes:
                root = node
                continue
            around = open_nodes[-1][0]
            around.take(node)
            if around.size > _MAX_NODES or around.depth > _MAX_DEPTH:
                raise Refused(Problem(line, "", f"The file stands for more than {_MAX_NODES:,} values."))
    except yaml.YAMLError as error:
        raise Refused(_syntax(error)) from error
    return root or Node(1, "", plain=True)


def _node(event, line: int, notes: Notes) -> Node:
    foreign = event.tag not in (None, "!") and not _standard(event.tag)
    if foreign:
        text = f"Values with the tag {shown(event.tag)} are not read."
        notes.notice(line, "", text, "Nothing in a file is ever run or decrypted.")
    if isinstance(event, yaml.ScalarEvent):
        return Node(line, event.value, plain=not event.style, foreign=foreign)
    if isinstance(event, yaml.MappingStartEvent):
        return Node(line, items=[], foreign=foreign)
    return Node(line, parts=[], foreign=foreign)


def _standard(tag: str) -> bool:
    return tag.removeprefix(_STANDARD) in ("str", "int", "float", "bool", "null", "map", "seq")


def _syntax(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return Problem(0, "", "The file holds a character YAML does not allow.", "Take out control characters.")
    reason = getattr(error, "problem", None) or "not YAML"
    return Problem(mark.line + 1, "", f"This is not YAML: {reason}.", "Check the spaces at the beginning of the line.")


def _pairs(node: Node, notes: Notes) -> Iterator[tuple[str, int, Node]]:
    """(name, line, value) of a mapping; its own win over merged ones (`<<`). The second of two equal names is named."""
    own: dict[str, tuple[int, Node]] = {}
    merged: dict[str, tuple[int, Node]] = {}
    for key, value in node.items or ():
        if key.text is None:
            notes.fault(key.line, "", "A name is text, not a list or mapping.")
        elif key.text == "<<" and key.plain:
            for source in value.parts if value.parts is not None else [value]:
                for inner_key, inner in source.items or ():
                    merged.setdefault(inner_key.text or "", (inner_key.line, inner))
        elif key.text in own:
            notes.fault(key.line, key.text[:60], "This name is given twice in the same place.", "Keep one of them.")
        else:
            own[key.text] = key.line, value
    for name, (line, value) in (merged | own).items():
        yield name, line, value


def _group(inventory: Inventory, name: str, line: int, node: Node, parent: Group | None = None) -> None:
    group = inventory.group(name, line)
    if parent is not None:
        parent.children.setdefault(name, line)
    if node.items is None:
        if not node.empty:
            inventory.notes.fault(node.line, name[:60], "A group is a mapping with hosts, children or vars.")
        return
    for part, line, inner in _pairs(node, inventory.notes):
        if part == "hosts":
            _hosts(inventory, group, inner)
        elif part == "vars":
            _variables(inventory, group.values, inner)
        elif part == "children":
            _children(inventory, group, inner)
        else:
            text = f"A group has hosts, children and vars, not {shown(part)}."
            inventory.notes.fault(line, name[:60], text, "Check the spaces at the beginning of the line.")


def _children(inventory: Inventory, group: Group, node: Node) -> None:
    if node.items is None:
        if not node.empty:
            inventory.notes.fault(node.line, "children", "Children are a mapping: each name ends with a colon.")
        return
    for name, line, inner in _pairs(node, inventory.notes):
        _group(inventory, name, line, inner, group)


def _hosts(inventory: Inventory, group: Group, node: Node) -> None:
    if node.items is None:
        if not node.empty:
            inventory.notes.fault(node.line, "hosts", "Hosts are a mapping: each name ends with a colon.")
        return
    for name, line, inner in _pairs(node, inventory.notes):
        if inner.items is None and not inner.empty:
            inventory.notes.fault(line, name[:60], "The variables of a host are a mapping.", "Write name: value.")
            continue
        for values in inventory.host(name, group, line):
            _variables(inventory, values, inner)


def _variables(inventory: Inventory, values: dict[str, str], node: Node) -> None:
    if node.items is None:
        if not node.empty:
            inventory.notes.fault(node.line, "vars", "Variables are a mapping.", "Write name: value.")
        return
    for name, line, inner in _pairs(node, inventory.notes):
        if name in hosts.READ and inner.foreign:
            inventory.spoil(values, line, name, "A value with a tag of its own is not read.")
        elif name in hosts.READ and inner.text is None:
            inventory.spoil(values, line, name, "This value is one word or number, not a list or mapping.")
        elif inner.text is None or not inner.empty:
            inventory.keep(values, name, inner.text or "", line)
