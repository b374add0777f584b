"""How a message leaves: `send(route, message) -> str` returns the remote's own words, or raises NotSent with them."""


class NotSent(Exception):
    """The remote did not take it. `final`: trying again cannot help."""

    def __init__(self, answer: str, *, final: bool = False):
        super().__init__(answer)
        self.final = final
