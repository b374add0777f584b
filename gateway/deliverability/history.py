"""What changed between two checks of a domain. Pure over two `Report.document()`s."""


def changed(before: dict, after: dict) -> list[str]:
    """What is said now and was not, and what is no longer said; an answer that did not come is no change."""
    if not before:
        return ["First check."]
    was, now = _said(before), _said(after)
    unread = _unread(before) | _unread(after)
    new = [("Now", key) for key, evidence in now.items() if was.get(key) != evidence]
    gone = [("No longer", key) for key in was if key not in now]
    told = (f"{word}: {what}" for word, (what, *rests_on) in new + gone if not unread & set(rests_on))
    return list(dict.fromkeys(told))


def _said(document: dict) -> dict[tuple[str, ...], str]:
    found = (f for f in document.get("findings", ()) if f["state"] != "unknown")
    return {(f["what"], f["area"], *f["names"]): f["evidence"] for f in found}


def _unread(document: dict) -> set[str]:
    """The records that could not be read; where a finding names none, its whole area."""
    found = (f for f in document.get("findings", ()) if f["word"] == "unknown")
    return {name for f in found for name in f["names"] or [f["area"]]}
