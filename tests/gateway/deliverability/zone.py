"""DNS in memory, at the wire: {name: [{type: value} | "TIMEOUT"]}, in the form of the public SPF suite."""

from gateway.deliverability.answers import EMPTY, FOUND, NXDOMAIN, UNKNOWN, Answer


class Zone:
    def __init__(self, data: dict, ttl: int = 300):
        self.data = {str(name).lower().rstrip("."): records for name, records in data.items()}
        self.ttl = ttl
        self.asked: list[tuple[str, str]] = []

    def __call__(self, name: str, kind: str) -> Answer:
        self.asked.append((name, kind))
        return self._answer(name.lower().rstrip("."), kind, 0)

    def _answer(self, name: str, kind: str, depth: int) -> Answer:
        records = self.data.get(name)
        if records is None:
            below = any(known.endswith(f".{name}") for known in self.data)
            return Answer(EMPTY if below else NXDOMAIN, ttl=self.ttl)
        values = tuple(_text(kind, r[kind]) for r in records if isinstance(r, dict) and kind in r)
        values = tuple(value for value in values if value != "NONE")
        if values:
            return Answer(FOUND, values, self.ttl)
        if "TIMEOUT" in records:
            return Answer(UNKNOWN, detail="the resolver did not answer in time")
        alias = next((r["CNAME"] for r in records if isinstance(r, dict) and "CNAME" in r), "")
        if alias and kind != "CNAME" and depth < 8:
            target = self._answer(alias.lower().rstrip("."), kind, depth + 1)
            return Answer(target.status, target.values, self.ttl, alias.rstrip("."), target.detail)
        return Answer(EMPTY, ttl=self.ttl)


def _text(kind: str, value) -> str:
    if kind == "MX":
        return f"{value[0]} {str(value[1]).rstrip('.') or '.'}"
    return "".join(value) if isinstance(value, list) else str(value) if kind == "TXT" else str(value).rstrip(".")
