"""The steps around the running Postfix: start or reload it, prove that mail gets through, clear up."""

from gateway.postfix import paths
from gateway.postfix.follow import follow, mark
from gateway.postfix.spec import Relay
from servers.remote.command import quote, shell
from servers.remote.plan import Step

_PROBE_SECONDS = 60
_TITLES = {"start": "Start Postfix", "restart": "Restart Postfix", "reload": "Reload Postfix", "stop": "Stop Postfix"}
_ALIVE = f"""tries=0
until [ -s {paths.SPOOL}/pid/master.pid ] && read -r pid <{paths.SPOOL}/pid/master.pid && kill -0 "$pid" 2>/dev/null; do
  tries=$((tries + 1)); [ $tries -lt 50 ] || {{ systemctl status --no-pager -n 20 postfix 'postfix@*' || :; exit 1; }}
  sleep 0.1
done
"""


def service(verb: str, log_source: str, *, enable: bool = False) -> Step:
    """verb: start | restart | reload | stop. The log's end is marked first, so the probe sees the start's own words."""
    note = f"""mkdir -p {paths.UNDO}
{mark(log_source)}printf '%s\\n' "$mark" >{paths.UNDO}/mark
"""
    runs = {
        "start": f": >{paths.UNDO}/stop; systemctl restart postfix\n{_ALIVE}",
        "restart": f": >{paths.UNDO}/restart; systemctl restart postfix\n{_ALIVE}",
        "reload": f"postfix reload 2>/dev/null\n{_ALIVE}",
        "stop": "systemctl stop postfix\n",
    }
    command = "postfix reload" if verb == "reload" else shell("systemctl", verb, "postfix")
    return Step(
        slug="service",
        title=_TITLES[verb],
        do=note + ("systemctl enable postfix 2>&1\n" if enable else "") + runs[verb],
        undo=_undo(verb, enable),
        show=(*(["systemctl enable postfix"] if enable else []), command),
    )


def _undo(verb: str, enabled: bool) -> str:
    lines = ["systemctl stop postfix"] if verb == "start" else ["systemctl start postfix"] if verb == "stop" else []
    return "\n".join([*lines, *(["systemctl disable postfix"] if enabled else [])])


def probe(relay: Relay, log_source: str) -> Step:
    """`sendmail -bv` makes Postfix itself do the name look-up, TLS, sign-in, sender and recipient, and send nothing.

    It fails when the way to the relay is broken, or a Postfix process says it cannot work. A relay that answers and
    only does not like this sender or recipient has been reached and let us in: that passes, and is printed. Where the
    account's limits make mail go out one by one, the probe stands behind what waits already: then mail that went out
    by the new configuration meanwhile is proof as well.
    """
    address = quote(relay.probe_address)
    send = f'sendmail -f {address} -bv -- {address} >"$W/out" 2>&1 || cat "$W/out"'
    read = r"""
  case $line in
    *" fatal: "*|*" panic: "*|*"throttling"*|*"unsupported dictionary type"*) echo "$line"; verdict=broken;;
    *" status=deliverable "*) echo "$line"; verdict=${verdict:-good}; break;;
    *" status=undeliverable "*) echo "$line"
      case $line in
        *" said: "[45]30[\ -]*|*"uthentication required"*|*"SASL authentication failed"*) verdict=refused;;
        *"(in reply to MAIL FROM"*|*"(in reply to RCPT TO"*|*"(in reply to DATA"*) verdict=${verdict:-answered};;
        *"relay=local,"*|*"relay=virtual,"*|*"relay=none, "*"User unknown"*) verdict=${verdict:-local};;
        *) verdict=unreached;;
      esac
      break;;
    */smtp\[*"]:$port, "*" status=sent "*) others=sent;;
    */smtp\[*" status=deferred "*) others=;;
    */smtp\[*" warning: "*|*/smtp\[*"certificate"*|*/smtp\[*"SSL_connect"*|*/smtp\[*" connect to "*) echo "$line";;
  esac
"""
    marked = f"read -r mark <{paths.UNDO}/mark || {mark(log_source).strip()}\nverdict= others= port={relay.port}\n"
    wait = _PROBE_SECONDS + relay.delay
    passed = _BEHIND if relay.delay else ""
    return Step(
        slug="probe",
        title="Probe the way to the provider",
        do=follow(log_source, wait, send=send, read=read, limit=2000, marked=marked) + passed + _JUDGE,
        show=(f"sendmail -f {address} -bv -- {address}", "look for fatal, panic, throttling in the log"),
        limit=wait + 30,
    )


_BEHIND = """[ -n "$verdict" ] || [ "$others" != sent ] || verdict=behind
"""
_JUDGE = """case ${verdict:-silent} in
  good) echo "The provider would accept mail from here.";;
  answered) echo "The provider let us in and did not like this address; that is not a matter of this set-up.";;
  local) echo "This address is delivered on the server itself, so the way to the provider was not tried.";;
  behind) echo "Waiting mail goes first, one by one, and was taken by the provider.";;
  broken) echo "A Postfix process cannot work with this configuration."; exit 1;;
  refused) echo "The provider did not accept the sign-in."; exit 1;;
  unreached) echo "The provider was not reached, or no safe connection came about."; exit 1;;
  *) echo "Postfix gave no result in time."; exit 1;;
esac
"""


def tidy(generation: str) -> Step:
    """Only the tables in force stay, and nothing of this run's way back."""
    return Step(
        slug="tidy",
        title="Remove superseded tables",
        do=f"""for path in {paths.MAPS}/* {paths.MAPS}/.[!.]*; do
  [ ! -e "$path" ] || [ "$path" = {paths.MAPS}/{generation} ] || rm -rf "$path"
done
rm -rf {paths.UNDO} {paths.STAGE}
""",
        show=(f"rm -rf {paths.MAPS}/<older>",),
    )


def forget() -> Step:
    return Step(
        slug="forget",
        title="Remove our tables and record",
        do=f"rm -rf {paths.MAPS} {paths.STATE}\nrmdir {paths.CONFIG} 2>/dev/null || :\n",
        show=(f"rm -rf {paths.MAPS} {paths.STATE}",),
    )
