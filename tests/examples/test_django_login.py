"""examples/django_login, as a person uses it who clicks twice, reloads and mistypes: real Django, the real service."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.cli.processes import free_port
from tests.examples.browser import Browser, Page
from tests.examples.lossy_proxy import LossyProxy

EXAMPLE = Path(__file__).parents[2] / "examples" / "django_login"
READY_SECONDS = 60
numbers = (f"138{index:08d}" for index in itertools.count(100))


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait(20)
    if process.stdout:
        process.stdout.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running demo: its lines `api`, `inbox`, `admin` and `key`."""
    folder = tmp_path_factory.mktemp("demo")
    config = folder / "quick.toml"
    config.write_text("[purposes.login]\ncooldown = [1]\n")
    command = [sys.executable, "-m", "otp_service.cli", "demo", "--config", str(config), "--data-dir", str(folder)]
    command += ["--port", str(free_port()), "--inbox-port", str(free_port())]
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
    assert process.stdout
    lines = dict(line.split(maxsplit=1) for line in itertools.islice(process.stdout, 4))
    yield {name: value.strip() for name, value in lines.items()}
    stop(process)


@pytest.fixture(scope="module")
def proxy(demo: dict[str, str]) -> Iterator[LossyProxy]:
    proxy = LossyProxy(demo["api"])
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def site(demo: dict[str, str], proxy: LossyProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example's address; its way to the service leads through the proxy."""
    environ = {
        **os.environ,
        "DJANGO_DATABASE": str(tmp_path_factory.mktemp("django") / "db.sqlite3"),
        "OTP_URL": proxy.url,
        "OTP_KEY": demo["key"],
    }
    manage = [sys.executable, str(EXAMPLE / "manage.py")]
    subprocess.run([*manage, "migrate", "--verbosity", "0"], env=environ, check=True)
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [*manage, "runserver", "--noreload", address], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(f"http://{address}/login")
    yield f"http://{address}"
    stop(process)


def wait_for(url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            httpx.get(url, trust_env=False).raise_for_status()
        except httpx.TransportError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.05)
        else:
            return


@dataclass
class Person:
    """Somebody with a browser and a telephone."""

    browser: Browser
    number: str
    inbox: str

    def ask_for_code(self, path: str = "/login") -> Page:
        return self.browser.submit(self.browser.open(path), to=self.number)

    def messages(self, at_least: int = 1) -> list[str]:
        """The codes that arrived, the newest first, as soon as there are that many."""
        found: list[dict[str, str]] = []
        while len(found) < at_least:
            after = found[0]["id"] if found else 0
            url = f"{self.inbox}/api/messages?mobile={self.number}&after={after}&wait=10"
            new = httpx.get(url, timeout=15, trust_env=False).json()["messages"]
            assert new, f"{len(found)} of {at_least} messages arrived"
            found = new + found
        return [message["code"] for message in found]

    def wrong_code(self) -> str:
        return f"{(int(self.messages()[0]) + 1) % 1_000_000:06d}"


@pytest.fixture
def person(site: str, demo: dict[str, str]) -> Person:
    return Person(Browser(site), next(numbers), demo["inbox"])


def test_the_code_from_the_message_logs_the_person_in_and_leads_on(person: Person) -> None:
    page = person.ask_for_code("/login?next=/%3Fwanted=1")
    assert (page.path, page.status) == ("/login/code", 200)
    assert "+86138****" in page.html
    page = person.browser.submit(page, code=person.messages()[0])
    assert page.path == "/?wanted=1"
    assert f"as +86{person.number}" in page.html


def test_a_page_elsewhere_is_not_where_a_login_leads(person: Person) -> None:
    page = person.ask_for_code("/login?next=https://evil.example/")
    assert person.browser.submit(page, code=person.messages()[0]).path == "/"


def test_the_code_field_lets_the_telephone_fill_it_in(person: Person) -> None:
    assert 'autocomplete="one-time-code" inputmode="numeric"' in person.ask_for_code().html


def test_a_double_click_on_the_number_sends_one_message(person: Person) -> None:
    page, twin = person.browser.open("/login"), person.browser.twin()
    with ThreadPoolExecutor() as pool:
        clicks = [pool.submit(browser.submit, page, to=person.number) for browser in (person.browser, twin)]
    assert [click.result().path for click in clicks] == ["/login/code"] * 2
    assert "You are in" in person.browser.submit(clicks[0].result(), code=person.messages()[0]).html
    assert len(person.messages()) == 1


def test_a_double_click_on_the_code_logs_in_whichever_answer_the_browser_shows(person: Person) -> None:
    page, code = person.ask_for_code(), person.messages()[0]
    twin = person.browser.twin()
    with ThreadPoolExecutor() as pool:
        clicks = [pool.submit(browser.submit, page, code=code) for browser in (person.browser, twin)]
    assert all("You are in" in click.result().html for click in clicks)


def test_a_click_after_a_lost_page_of_the_first_still_logs_in(person: Person) -> None:
    page, code = person.ask_for_code(), person.messages()[0]
    with_old_cookies = person.browser.twin()
    person.browser.submit(page, code=code)
    assert "You are in" in with_old_cookies.submit(page, code=code).html


def test_a_click_on_the_old_form_with_the_new_cookies_leads_on(person: Person) -> None:
    page, code = person.ask_for_code(), person.messages()[0]
    person.browser.submit(page, code=code)
    assert "You are in" in person.browser.submit(page, code=code).html


def test_a_reload_of_the_code_page_asks_for_the_same_code(person: Person) -> None:
    person.ask_for_code()
    page = person.browser.open("/login/code")
    assert "You are in" in person.browser.submit(page, code=person.messages()[0]).html


def test_a_wrong_code_shows_what_is_left_and_a_reload_of_that_page_counts_nothing(person: Person) -> None:
    page, wrong = person.ask_for_code(), person.wrong_code()
    for _ in range(2):
        answered = person.browser.submit(page, code=wrong)
        assert (answered.status, answered.words) == (422, "That is not the code. Attempts left: 4.")
    assert person.browser.submit(answered, code=wrong).words == "That is not the code. Attempts left: 3."


def test_what_is_not_a_code_is_said_and_not_counted(person: Person) -> None:
    page = person.browser.submit(person.ask_for_code(), code="abc")
    assert "all of its digits" in page.words
    assert "Attempts left: 4" in person.browser.submit(page, code=person.wrong_code()).words


def test_after_the_last_wrong_code_the_person_asks_for_a_new_one(person: Person) -> None:
    page, wrong = person.ask_for_code(), person.wrong_code()
    for _ in range(5):
        page = person.browser.submit(page, code=wrong)
    assert "ask for a new one" in page.words
    assert page.form()[0] == "/login"


def test_a_resend_too_early_says_how_long_to_wait_and_a_later_one_brings_the_same_code(person: Person) -> None:
    page = person.ask_for_code()
    first = person.messages()
    page = person.browser.submit(page, form=1)
    assert (page.status, page.words) == (429, "Too often: please wait 1 s.")
    time.sleep(1)
    page = person.browser.submit(page, form=1)
    assert "We sent the code again" in page.html
    assert person.messages(at_least=2) == first * 2
    assert "You are in" in person.browser.submit(page, code=first[0]).html


def test_typing_the_number_again_too_early_leads_to_the_code_that_is_under_way(person: Person) -> None:
    person.ask_for_code()
    page = person.ask_for_code()
    assert page.path == "/login/code"
    assert "You are in" in person.browser.submit(page, code=person.messages()[0]).html


def test_an_answer_lost_between_the_site_and_the_service_is_asked_for_again(person: Person, proxy: LossyProxy) -> None:
    page, code = person.ask_for_code(), person.messages()[0]
    proxy.lose = 1
    assert "You are in" in person.browser.submit(page, code=code).html
    check, again, verify = proxy.requests[-3:]
    assert check == again
    assert verify[0] == "/v1/tokens/verify"


def test_a_service_out_of_reach_is_said_and_the_same_form_works_afterwards(person: Person, proxy: LossyProxy) -> None:
    page, code = person.ask_for_code(), person.messages()[0]
    proxy.lose = 2
    page = person.browser.submit(page, code=code)
    assert (page.status, page.words[:12]) == (503, "We can't rea")
    assert "You are in" in person.browser.submit(page, code=code).html


def test_a_number_that_is_none_is_said_on_the_first_page(person: Person) -> None:
    page = person.browser.submit(person.browser.open("/login"), to="12")
    assert (page.path, page.words) == ("/login", "That is not a phone number that we can reach.")


def test_the_code_page_without_a_number_asks_for_one(person: Person) -> None:
    assert person.browser.open("/login/code").form()[0] == "/login"


def test_an_odd_page_of_ours_to_lead_on_to_is_none_to_stumble_over(person: Person) -> None:
    page = person.ask_for_code("/login?next=nowhere")
    assert person.browser.submit(page, code=person.messages()[0]).path == "/login/nowhere"


def test_the_logic_is_sixty_lines_in_one_file() -> None:
    """All that is not Django's own settings, routes and command line."""
    assert {path.name for path in EXAMPLE.glob("*.py")} == {"views.py", "urls.py", "settings.py", "manage.py"}
    lines = (EXAMPLE / "views.py").read_text("utf-8").splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 120


def test_a_form_from_another_site_is_refused(person: Person) -> None:
    person.ask_for_code()
    answer = person.browser.client.post("/login/code", data={"code": person.messages()[0], "attempt": "1"})
    assert answer.status_code == 403
    assert person.browser.open("/").path.startswith("/login")
