"""As much of a browser as two forms need: cookies, redirects, and every field of a form sent back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

import httpx


@dataclass(frozen=True)
class Page:
    path: str
    status: int
    html: str

    @property
    def words(self) -> str:
        """What the page says to the person, or nothing."""
        match = re.search(r'<p role="alert">(.*?)</p>', self.html, re.DOTALL)
        return unescape(match[1]) if match else ""

    def form(self, number: int = 0) -> tuple[str, dict[str, str]]:
        """Where the form goes, and the fields that it carries by itself."""
        action, inside = re.findall(r'<form method="post" action="([^"]*)">(.*?)</form>', self.html, re.DOTALL)[number]
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', inside)
        button = re.findall(r'<button name="([^"]+)" value="([^"]*)">', inside)
        return action, {name: unescape(value) for name, value in [*hidden, *button]}


class Browser:
    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, follow_redirects=True, timeout=30, trust_env=False)

    def open(self, path: str) -> Page:
        return self._page(self.client.get(path))

    def submit(self, page: Page, form: int = 0, **typed: str) -> Page:
        action, fields = page.form(form)
        return self._page(self.client.post(action, data={**fields, **typed}))

    def twin(self) -> Browser:
        """A second click: the cookies as they are now, whatever the first click's answer brings."""
        twin = Browser(str(self.client.base_url))
        twin.client.cookies.update(self.client.cookies)
        return twin

    @staticmethod
    def _page(answer: httpx.Response) -> Page:
        return Page(answer.url.raw_path.decode(), answer.status_code, answer.text)
