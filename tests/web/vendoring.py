"""Copies the front end out of unpacked npm packages into static/vendor and writes its manifest.

    npm pack @tabler/core@1.6.1 htmx.org@2.0.11 @tabler/icons@3.51.0 \\
        @fontsource-variable/inter@5.3.0 @fontsource-variable/jetbrains-mono@5.3.0
    for f in *.tgz; do mkdir "${f%.tgz}"; tar xzf "$f" -C "${f%.tgz}" --strip-components=1; done
    python -m tests.web.vendoring <folder holding the unpacked packages>

An icon more: add its Tabler name to static/vendor/icons.txt and run this again. Nothing here runs in production.
"""

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

STATIC = Path(__file__).resolve().parents[2] / "static"
VENDOR = STATIC / "vendor"
PACKAGES = {  # unpacked folder -> (name, version, licence, {file in the package: file here})
    "tabler-core-1.6.1": (
        "tabler",
        "1.6.1",
        "MIT",
        {"dist/css/tabler.min.css": "tabler.min.css", "dist/js/tabler.min.js": "tabler.min.js"},
    ),
    "htmx.org-2.0.11": ("htmx", "2.0.11", "0BSD", {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "LICENSE"}),
    "fontsource-variable-inter-5.3.0": (
        "inter",
        "5.3.0",
        "OFL-1.1",
        {"files/inter-latin-wght-normal.woff2": "inter-latin.woff2", "LICENSE": "LICENSE"},
    ),
    "fontsource-variable-jetbrains-mono-5.3.0": (
        "jetbrains-mono",
        "5.3.0",
        "OFL-1.1",
        {"files/jetbrains-mono-latin-wght-normal.woff2": "jetbrains-mono-latin.woff2", "LICENSE": "LICENSE"},
    ),
    "tabler-icons-3.51.0": ("tabler-icons", "3.51.0", "MIT", {"LICENSE": "LICENSE"}),
}
# The manifest storage would look for the maps these comments name; they are not shipped.
_SOURCE_MAP = re.compile(rb"\n?(/\*# sourceMappingURL=.*?\*/|//# sourceMappingURL=\S+)\s*\Z")


def symbol(svg: str, name: str) -> str:
    """One sprite symbol from Tabler's outline SVG. Stroke comes from the `.icon` class, so only shapes are kept."""
    shapes = re.findall(r"<(?:path|circle|rect|line|polyline|ellipse)\b[^>]*/>", svg)
    shapes = [shape for shape in shapes if 'd="M0 0h24v24H0z"' not in shape]
    return f'<symbol id="{name}" viewBox="0 0 24 24">{"".join(shapes)}</symbol>'


def sprite(package: Path) -> str:
    names = (VENDOR / "icons.txt").read_text().split()
    symbols = [symbol((package / "icons" / "outline" / f"{name}.svg").read_text(), name) for name in sorted(set(names))]
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def main(unpacked: Path) -> None:
    manifest = []
    for folder, (name, version, licence, files) in PACKAGES.items():
        target = VENDOR / f"{name}-{version}"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for source, here in files.items():
            (target / here).write_bytes(_SOURCE_MAP.sub(b"\n", (unpacked / folder / source).read_bytes()))
        if name == "tabler-icons":
            (target / "sprite.svg").write_text(sprite(unpacked / folder))
        sums = {f"{target.name}/{p.name}": hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(target.iterdir())}
        manifest.append({"name": name, "version": version, "licence": licence, "files": sums})
    (VENDOR / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
