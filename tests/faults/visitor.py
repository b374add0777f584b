"""A person at the panel's pages: signed in by a one-time link, over HTTP, without scripts."""

import re
import urllib.error
import urllib.parse
import urllib.request
from html import unescape
from http.cookiejar import CookieJar

from tests.panel import Panel

HTTP_PATIENCE = 60


class Visitor:
    def __init__(self, panel: Panel, email: str, role: str) -> None:
        self.panel = panel
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        link = re.search(r"http\S+", panel.manage("sign_in_link", email, "--role", role))
        assert link
        self.post(link.group(0).removeprefix(panel.url))

    def get(self, path: str) -> tuple[int, str, str]:
        """Status, where it ended, the page."""
        return self._open(self.panel.url + path)

    def token(self, path: str) -> str:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(path)[2])
        assert found, f"no form on {path}"
        return found.group(1)

    def post(self, path: str, *, form_on: str = "", token: str = "", **values: str) -> tuple[int, str, str]:
        """Sends a form that stands on the page `form_on` (else on `path`), and follows where it leads."""
        fields = {"csrfmiddlewaretoken": token or self.token(form_on or path)} | values
        return self._open(self.panel.url + path, urllib.parse.urlencode(fields).encode())

    def _open(self, url: str, data: bytes | None = None) -> tuple[int, str, str]:
        try:
            with self.opener.open(url, data, timeout=HTTP_PATIENCE) as answer:
                return answer.status, answer.url, self._text(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, refused.url or url, self._text(refused)

    @staticmethod
    def _text(answer) -> str:
        return answer.read().decode(errors="replace")

    def everything(self) -> dict[str, str]:
        """Every page that can be reached by following links, by its address. Nothing is pressed."""
        found: dict[str, str] = {}
        waiting = ["/"]
        while waiting:
            path = waiting.pop()
            if path in found or path.startswith(("/static/", "/accounts/logout")):
                continue
            found[path] = self.get(path)[2]
            for link in re.findall(r'(?:href|hx-get|action)="([^"]*)"', found[path]):
                whole = urllib.parse.urljoin(self.panel.url + path, unescape(link).partition("#")[0])
                query = urllib.parse.urlparse(whole).query
                if whole.startswith(self.panel.url) and not re.search(r"\b(sort|page|tag|state|status)=", query):
                    waiting.append(whole.removeprefix(self.panel.url))
        return found
