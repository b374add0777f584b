"""pyinfra: the same as testmail.yml."""

from pathlib import Path

from pyinfra import host
from pyinfra.operations import server

script = Path(host.data.script).read_text()
server.shell(commands=["{\n" + script + "\n} >/tmp/bench.out; grep -q status=sent /tmp/bench.out"])
