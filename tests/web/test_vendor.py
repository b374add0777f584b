import hashlib
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENDOR = ROOT / "static" / "vendor"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text())
TEMPLATES = [p for folder in ("templates", "servers", "gateway") for p in (ROOT / folder).rglob("*.html")]


def test_every_vendored_file_is_the_one_in_the_manifest():
    listed = {name: digest for package in MANIFEST for name, digest in package["files"].items()}
    present = {
        str(p.relative_to(VENDOR)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in VENDOR.glob("*/*")
        if p.is_file()
    }
    assert present == listed


def test_every_vendored_package_names_version_and_licence():
    assert all(package["version"] and package["licence"] for package in MANIFEST)


def test_no_source_map_comment_is_left_for_the_manifest_storage_to_miss():
    assert not [p for p in VENDOR.rglob("*.[cj]s*") if b"sourceMappingURL" in p.read_bytes()]


def test_every_icon_a_template_asks_for_is_in_the_sprite():
    sprite = (VENDOR / "tabler-icons-3.51.0" / "sprite.svg").read_text()
    drawn = set(re.findall(r'<symbol id="([^"]+)"', sprite))
    asked = {name for p in TEMPLATES for name in re.findall(r'{% icon "([^"]+)"', p.read_text())}
    from controlpanel.web.nav import PANEL, SETTINGS
    from controlpanel.web.words import LOOKS

    asked |= {look.icon for look in LOOKS.values()} | {entry.icon for entry in PANEL + SETTINGS}
    assert asked <= drawn, f"add to static/vendor/icons.txt and run tests.web.vendoring: {sorted(asked - drawn)}"


def test_templates_carry_no_inline_script_style_or_foreign_address():
    """The policy would block them; this says where they are."""
    bans = {
        "inline script": r"<script(?![^>]*\bsrc=)(?![^>]*application/json)",
        "style element": r"<style",
        "style attribute": r"""\sstyle\s*=""",
        "event attribute": r"""\son[a-z]+\s*=\s*["']""",
        "foreign request": r"""<(?:link|script|img|iframe|use)\b[^>]*(?:src|href)=["'](?:https?:)?//""",
        "safe filter": r"\|\s*safe\b|autoescape off",
    }
    found = [
        f"{p.relative_to(ROOT)}: {name}"
        for p in TEMPLATES
        for name, pattern in bans.items()
        if re.search(pattern, p.read_text())
    ]
    assert not found
