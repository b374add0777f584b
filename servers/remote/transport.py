"""Paramiko's end of an SSH connection, with what it leaves out."""

import logging
import threading

import paramiko
from paramiko.auth_handler import AuthHandler
from paramiko.common import (
    MSG_CHANNEL_REQUEST,
    MSG_SERVICE_ACCEPT,
    cMSG_CHANNEL_REQUEST,
    cMSG_GLOBAL_REQUEST,
)

from servers.remote import clean, wire

_SIGNALS = {"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9, "SEGV": 11, "PIPE": 13, "ALRM": 14}
_SIGNALS |= {"TERM": 15, "USR1": 10, "USR2": 12, "BUS": 7, "SYS": 31, "XCPU": 24, "XFSZ": 25}

# Everything paramiko logs is raised as one of our causes too; its tracebacks would print server text unfiltered.
logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)


class _KeyOffer(AuthHandler):
    """Signs in by key without waiting to hear that signing in may be asked for: far away that is a turn."""

    def _request_auth(self):
        super()._request_auth()
        accepted = paramiko.Message()
        accepted.add_string("ssh-userauth")
        accepted.rewind()
        self._parse_service_accept(accepted)

    @property
    def _client_handler_table(self):
        return super()._client_handler_table | {MSG_SERVICE_ACCEPT: lambda message: None}


class Transport(paramiko.Transport):
    """Keeps what paramiko only logs (why a channel was refused, which signal ended a command) and asks a quiet peer."""

    def __init__(self, sock):
        self.line = wire.Line(sock)
        self.words = ""
        super().__init__(self.line)

    def auth_publickey(self, username, key):
        event = threading.Event()
        self.auth_handler = _KeyOffer(self)
        self.auth_handler.auth_publickey(username, key, event)
        return self.auth_handler.wait_for_response(event)

    def watch(self) -> None:
        self.packetizer.set_keepalive(wire.ASK_AFTER, self._ask)

    def _ask(self) -> None:
        if not self.clear_to_send.is_set():
            return
        question = paramiko.Message()
        question.add_byte(cMSG_GLOBAL_REQUEST)
        question.add_string("keepalive@openssh.com")
        question.add_boolean(True)
        self.line.asked()
        self._send_message(question)

    def ask_to_run(self, channel: paramiko.Channel, command: str) -> None:
        """`channel.exec_command` without waiting for the answer; a refusal closes the channel."""
        request = paramiko.Message()
        request.add_byte(cMSG_CHANNEL_REQUEST)
        request.add_int(channel.remote_chanid)
        request.add_string("exec")
        request.add_boolean(True)
        request.add_string(command)
        self._send_user_message(request)

    def _parse_channel_open_failure(self, m):
        m.get_int(), m.get_int()
        self.words = clean.line(m.get_binary())
        m.rewind()
        super()._parse_channel_open_failure(m)

    def _parse_disconnect(self, m):
        m.get_int()
        self.words = clean.line(m.get_binary())
        m.rewind()
        super()._parse_disconnect(m)

    def _channel_request(self, m):
        position = m.packet.tell()
        if m.get_text() == "exit-signal":
            m.get_boolean()
            self.exit_status = 128 + _SIGNALS.get(m.get_text(), 0)
            self.status_event.set()
            return
        m.packet.seek(position)
        self._handle_request(m)

    _channel_handler_table = {**paramiko.Transport._channel_handler_table, MSG_CHANNEL_REQUEST: _channel_request}
