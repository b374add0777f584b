"""Ports that are still free when they are used."""

import random
import socket
from contextlib import ExitStack


def free_port(*addresses: str, rather: int | None = None) -> int:
    """A port that nothing uses at any of the addresses (127.0.0.1 if none is given), neither by UDP nor by TCP;
    `rather` if that one is free.

    Below those the kernel gives to connections, of which other tests make many: none takes the port in between, and
    nothing that calls it while it is closed can meet itself.
    """
    some = random.sample(range(20_000, 32_000), 50)
    for port in [rather, *some] if rather else some:
        with ExitStack() as held:
            try:
                for address in addresses or ("127.0.0.1",):
                    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                        held.enter_context(socket.socket(socket.AF_INET, kind)).bind((address, port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")
