"""One template is both the whole page and its refresh."""


def frame(request) -> dict:
    return {}
