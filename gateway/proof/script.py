"""The conversation as a bash script for a server whose SSH forwards nothing. It only talks; the panel judges.

Frames on stdout, one per line: "T seconds", "S line" (from the SMTP server), "C line" (to it, secrets masked),
"E line" (openssl's stderr), "X words" (why it stopped), "P" (the port answered), "N" (encryption starts here).
"""

from gateway.proof.dialogue import FIRST_RESPONSE, login_responses, plain_response
from gateway.proof.values import Relay
from servers.remote.command import quote
from servers.remote.secret import MASK, Secret

# `read -n` keeps a line bounded; `trap '' PIPE` keeps a closed connection from ending the shell before it says so.
# The words of a failed connection are wanted, those of `cat` are no reply.
_BASH = r"""
LC_ALL=C; export LC_ALL; trap '' PIPE; exec 2>/dev/null
stamp() { printf 'T %s\n' "${EPOCHREALTIME:-$SECONDS}"; }
stop() { printf 'X %s\n' "$1"; return 1; }
say() { stamp; printf 'C %s\n' "$1$3"; printf '%s\r\n' "$1$2" >&"$tx"; }
hear() {
  local line count=0 status=0
  caps=
  while [ $((count += 1)) -le 101 ]; do
    IFS= read -r -t "$patience" -n 8200 -u "$rx" line; status=$?
    if [ $status -gt 128 ]; then stop timeout; return; fi
    if [ $status -ne 0 ]; then stop closed; return; fi
    stamp; printf 'S %s\n' "$line"; line=${line%$'\r'}
    [[ $line =~ ^[0-9][0-9][0-9]($|[\ -]) ]] || return
    caps+=$'\n'${line:4}; code=${line:0:3}
    [[ $line =~ ^[0-9][0-9][0-9]- ]] || return 0
  done
  stop long
}
ask() { say "$1" "$2" "$3" && hear; }
open_plain() {
  coproc W { exec timeout 60 bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit; echo +; exec 2>/dev/null
    (cat <&3; kill $$) & exec cat >&3' "$host" "$port" 2>&1; }
  attach
  stamp
  local line
  IFS= read -r -t 10 -n 1000 -u "$rx" line || { stop 'no connection within 10 s'; return; }
  while [ "$line" != + ]; do
    printf 'E %s\n' "$line"
    IFS= read -r -t 10 -n 1000 -u "$rx" line || { stop refused; return; }
  done
  stamp; echo P
}
open_tls() {
  stamp; echo N
  local sni=(-servername "$name") check=() start=()
  [ -z "$is_address" ] || sni=(-noservername)
  [ "$mode" != starttls ] || start=(-starttls smtp -name "$helo")
  if [ -n "$verify" ]; then
    check=(-verify_return_error -CAfile "$bundle")
    if [ -n "$is_address" ]; then check+=(-verify_ip "$name"); else check+=(-verify_hostname "$name"); fi
  fi
  case $host in *:*) target="[$host]:$port" ;; *) target=$host:$port ;; esac
  exec 4> >(while IFS= read -r -n 1000 line; do printf 'E %s\n' "$line"; done)
  errors=$!
  coproc W { exec timeout 60 openssl s_client -brief -ign_eof -connect "$target" \
    "${sni[@]}" "${start[@]}" "${check[@]}" 2>&4; }
  attach
}
attach() { exec {tx}>&"${W[1]}" {rx}<&"${W[0]}"; worker=$W_PID; exec {W[1]}>&- {W[0]}<&-; }
detach() { exec {tx}>&- {rx}<&-; kill "$worker"; wait "$worker"; [ -z "$errors" ] || { exec 4>&-; wait "$errors"; }; }
end=$'\n'
offered() { local pattern="$end$1( |$end|\$)"; [[ ${caps^^} =~ $pattern ]]; }
offers() { offered "AUTH[ =]([^$end]* )?$1"; }
sign_in() {
  [ -n "$plain" ] || return 0
  if offers PLAIN; then
    if [ ${#plain} -le "$first" ]; then ask 'AUTH PLAIN ' "$plain" "$mask"
    else ask 'AUTH PLAIN' && [ "$code" = 334 ] && ask '' "$plain" "$mask"; fi
  elif offers LOGIN; then
    ask 'AUTH LOGIN' && [ "$code" = 334 ] && ask '' "$user" "$mask" && [ "$code" = 334 ] && ask '' "$pass" "$mask"
  else return 1; fi
  [ "$code" = 235 ]
}
hello() { ask "EHLO $helo" && [ "$code" = 250 ]; }
greet() { hear && [ "$code" = 220 ] && hello; }
talk() {
  open_plain || return
  case $mode in
    none) greet || return ;;
    starttls)
      greet && offered STARTTLS && ask STARTTLS && [ "$code" = 220 ] || return
      detach; open_tls; hello || return ;;
    implicit) detach; open_tls; greet || return ;;
  esac
  sign_in || return
  if [ -z "$sender" ]; then ask QUIT; return; fi
  ask "MAIL FROM:<$sender>" && [ "$code" -lt 500 ] || return
  if [ -n "$recipient" ] && [ "$code" -lt 400 ]; then ask "RCPT TO:<$recipient>" || return; fi
  ask QUIT
}
talk; detach
"""


def script(
    relay: Relay, sender: str, helo: str, bundle: str, target: str, patience: int, recipient: str = ""
) -> Secret:
    """POSIX sh to hand to `host.run`. target: what to connect to; the certificate must be for `relay.host`.

    The secrets are shell variables that no child inherits, sent by builtins: never in argv or environment.
    """
    signs_in = relay.username and relay.password
    user, password = login_responses(relay) if signs_in else (b"", b"")
    values = {
        "host": target,
        "name": relay.host.rstrip("."),
        "port": str(relay.port),
        "mode": relay.tls,
        "verify": "1" if relay.verify else "",
        "is_address": "1" if is_address(relay.host) else "",
        "bundle": bundle,
        "helo": helo,
        "sender": sender,
        "recipient": recipient,
        "patience": str(patience),
        "first": str(FIRST_RESPONSE),
        "mask": MASK,
        "plain": plain_response(relay).decode() if signs_in else "",
        "user": user.decode(),
        "pass": password.decode(),
    }
    lines = "".join(f"{name}={quote(value)}\n" for name, value in values.items())
    whole = "{\n" + lines + _BASH + "exit 0\n}\n"
    return Secret(f"printf '%s' {quote(whole)} | bash\n")


def is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
