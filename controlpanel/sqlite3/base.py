"""Django's SQLite, on which the threads of one process queue for their turn to write.

SQLite itself lets a thread that waits for the write lock sleep and try again, up to 100 ms at a time and in no order:
with two hundred threads most of the time nobody writes, and some wait until they fail.
"""

import threading

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

_turn = threading.Lock()


class DatabaseWrapper(base.DatabaseWrapper):
    _mine = False

    def _start_transaction_under_autocommit(self):
        if not _turn.acquire(timeout=self.settings_dict["OPTIONS"].get("timeout", 5)):
            raise OperationalError("database is locked")
        self._mine = True
        try:
            super()._start_transaction_under_autocommit()
        except BaseException:
            self._pass_on()
            raise

    def _pass_on(self) -> None:
        if self._mine:
            self._mine = False
            _turn.release()

    def _commit(self):
        super()._commit()
        self._pass_on()

    def _rollback(self):
        try:
            super()._rollback()
        finally:
            self._pass_on()

    def _close(self):
        try:
            super()._close()
        finally:
            self._pass_on()
