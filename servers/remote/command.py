"""Commands are argument lists; shell text is made from them in one place, quoted by construction."""

import shlex


def quote(argument: str) -> str:
    """One shell word for `argument`. Raises ValueError on NUL, which no shell word can carry."""
    if "\0" in argument:
        raise ValueError("a command argument contains NUL")
    return shlex.quote(argument)


def shell(*argv: str) -> str:
    """`argv` as one line of POSIX shell: shell("cp", "-a", "a b") -> "cp -a 'a b'"."""
    return " ".join(quote(argument) for argument in argv)
