"""Cells that no spreadsheet takes for a formula, and back: what we wrote is read as it was."""

from controlpanel.web.listing import safe_cell


def safe(value: str) -> str:
    return f"'{value}" if _guarded(value) else value


def unsafe(cell: str) -> str:
    """Takes off the one apostrophe `safe` put there; any other apostrophe belongs to the value."""
    return cell[1:] if cell.startswith("'") and _guarded(cell[1:]) else cell


def _guarded(value: str) -> bool:
    bare = value.lstrip("'")
    return safe_cell(bare) != bare
