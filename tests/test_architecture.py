"""The floors and bans of docs/architecture.md, read from the syntax tree: nothing here runs the code."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("controlpanel", "servers", "gateway")
DOORS = {"views", "forms", "urls", "settings_urls", "api", "tasks", "management", "templatetags"}

# Longest prefix wins. A module may import its own floor or below.
FLOORS = {
    "servers.remote": 0,
    "controlpanel.access": 1,
    "controlpanel.web": 2,
    "servers": 3,
    "servers.alerts": 4,
    "servers.jobs": 5,
    "servers.checking": 5,  # an action of the catalogue: it runs as a job
    "servers.apps": 5,
    "servers.bulk": 5.5,
    "servers.bulk_forms": 5.5,
    "gateway.postfix": 6,
    "gateway.providers": 6,
    "gateway": 7,
    "gateway.deliverability": 8,
    "gateway.maillog": 9,
    "controlpanel": 10,
}
DOOR_FLOOR = {"servers": 5.5, "servers.alerts": 5.5, "servers.jobs": 5.5, "controlpanel.access": 2.5}


def modules() -> list[str]:
    files = [p for package in PACKAGES for p in (ROOT / package).rglob("*.py") if "migrations" not in p.parts]
    return sorted(".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for p in files)


def source(module: str) -> Path:
    path = ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def tree(module: str) -> ast.Module:
    return ast.parse(source(module).read_text())


def floor(module: str) -> float:
    prefix = max((p for p in FLOORS if module == p or module.startswith(p + ".")), key=len)
    own = module.removeprefix(prefix).strip(".").split(".")[0]
    return DOOR_FLOOR.get(prefix, FLOORS[prefix]) if own in DOORS else FLOORS[prefix]


def imports(module: str, *, typing_too: bool = False) -> Iterator[str]:
    """Absolute names of the imported modules, those inside functions included, `if TYPE_CHECKING` ones left out."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and not typing_too:
            skipped.update(inner for statement in node.body for inner in ast.walk(statement))
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


MODULES = set(modules())


@pytest.mark.parametrize("module", sorted(MODULES))
def test_nothing_imports_a_floor_above_its_own(module):
    above = {
        name
        for name in imports(module)
        if name.split(".")[0] in PACKAGES and floor(name) > floor(module) and name != "controlpanel.celery"
    }
    assert not above, f"{module} (floor {floor(module)}) imports {above}"


SPEAKS_SSH = {"servers.remote.ssh", "servers.remote.transport"}


@pytest.mark.parametrize("module", sorted(m for m in MODULES if m.startswith("servers.remote")))
def test_bedrock_knows_neither_django_nor_foreign_packages(module):
    allowed = {"servers.remote.keypair": {"cryptography"}} | dict.fromkeys(SPEAKS_SSH, {"paramiko"})
    allowed = allowed.get(module, set())
    foreign = {"django", "celery", "redis", "paramiko", "cryptography", "dns"} - allowed
    assert not foreign & {name.split(".")[0] for name in imports(module, typing_too=True)}


PURE = ("gateway.postfix", "gateway.providers")


@pytest.mark.parametrize("module", sorted(m for m in MODULES if m.startswith(PURE)))
def test_postfix_and_providers_are_pure(module):
    for name in imports(module, typing_too=True):
        assert not name.startswith(("django", "paramiko", "celery", "socket", "subprocess")), name
        if name.startswith("servers"):
            assert name.startswith(
                (
                    "servers.remote.secret",
                    "servers.remote.command",
                    "servers.remote.plan",
                    "servers.remote.facts",
                    "servers.remote.cloud",
                )
            ), name


def test_one_importer_of_the_cipher_and_of_paramiko():
    def importers(library):
        return {m for m in MODULES if any(name.split(".")[0] == library for name in imports(m))}

    assert importers("django_cryptography") == {"servers.fields"}
    assert importers("paramiko") <= SPEAKS_SSH
    assert importers("subprocess") <= {"controlpanel.supervisor"}


BANNED = {
    "AutoAddPolicy": "host keys are pinned",
    "mark_safe": "remote text is text",
    "SafeString": "remote text is text",
    "system": "no shell on the panel host",
    "popen": "no shell on the panel host",
    "pickle": "a stored value must not run code",
    "eval": "input is data",
    "exec": "input is data",
}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_banned_names(module):
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            plain_exec = name in ("eval", "exec") and isinstance(node.func, ast.Attribute)
            assert plain_exec or name not in BANNED, f"{module}:{node.lineno} {name}: {BANNED[name]}"
            for keyword in node.keywords:
                assert not (keyword.arg == "shell" and ast.unparse(keyword.value) == "True"), f"{module}:{node.lineno}"
                spread = keyword.arg is None and re.match(r"request\.(GET|POST)", ast.unparse(keyword.value))
                assert not spread, f"{module}:{node.lineno} spreads request parameters"


@pytest.mark.parametrize("module", sorted(m for m in MODULES if not m.startswith("servers.jobs.machine")))
def test_nobody_else_moves_a_job(module):
    for node in ast.walk(tree(module)):
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in targets:
            assert not (isinstance(target, ast.Attribute) and target.attr == "status"), f"{module}:{node.lineno}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_files_and_functions_stay_small(module):
    assert len(source(module).read_text().splitlines()) <= 400
    for node in ast.walk(tree(module)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno - node.lineno + 1 <= 80, f"{module}:{node.lineno} {node.name}"


def templates() -> list[Path]:
    return sorted((ROOT / "templates").rglob("*.html"))


@pytest.mark.parametrize("template", templates(), ids=lambda p: str(p.relative_to(ROOT / "templates")))
def test_templates_keep_the_policy(template):
    text = template.read_text()
    assert "|safe" not in text
    assert not re.search(r"{%\s*autoescape\s+off", text)
    assert not re.search(r"<style\b", text)
    assert not re.search(r"\sstyle=", text)
    assert not re.search(r"\son[a-z]+=\"", text)
    for tag in re.findall(r"<script\b[^>]*>", text):
        assert "src=" in tag or 'type="application/json"' in tag, tag
    assert not re.search(r"(src|href)=\"https?:", text), "no request goes to another host"


def test_lock_files_name_no_host():
    for lock in ROOT.glob("requirements*.lock"):
        assert not re.search(r"https?://|file:", lock.read_text()), lock.name


def test_top_level_is_as_agreed():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    top = {name.split("/")[0] for name in listing.stdout.decode().split("\0") if name}
    agreed = set(json.loads((ROOT / "tests" / "golden" / "top_level.json").read_text()))
    assert top <= agreed, top - agreed
