"""pyinfra: the same as gateway.yml. Run by pyinfra, which gives `host`."""

from pyinfra import host
from pyinfra.operations import apt, files, server

apt.packages(packages=["postfix", "libsasl2-modules", "ca-certificates"], no_recommends=True)
main_cf = files.put(src=host.data.main_cf, dest="/etc/postfix/main.cf", mode="644")
table = files.put(src=host.data.sasl_passwd, dest="/etc/postfix/sasl_passwd", mode="600")
server.shell(commands=["postfix reload"], _if=lambda: main_cf.did_change() or table.did_change())
