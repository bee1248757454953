"""The inbox page in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from simulator_helpers import TEXT, Simulator, a_simulator

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, simulator: Simulator) -> Iterator[Page]:
    """The inbox, open and live; any error in the browser's console fails the test."""
    context = browser.new_context(locale="en-GB", permissions=["clipboard-read", "clipboard-write"])
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    opened.goto(simulator.url)
    opened.wait_for_selector("[data-state=live]")
    yield opened
    context.close()
    assert errors == []


def test_an_empty_inbox_says_how_to_send_a_first_message(page: Page, simulator: Simulator) -> None:
    assert page.is_visible("#empty")
    assert f"curl {simulator.url}sms.aspx" in page.inner_text("#command")
    page.click("#copy-command")
    page.wait_for_selector("#copy-command.done")
    assert page.evaluate("navigator.clipboard.readText()").startswith("curl ")


def test_a_message_appears_by_itself_with_its_code_big(page: Page, simulator: Simulator) -> None:
    simulator.send()
    page.wait_for_selector("#code:text-is('345678')")
    assert page.inner_text(".bubble") == TEXT
    assert page.inner_text(".counted") == "1 part · UCS-2 · 26/70"
    assert "13800138000" in page.inner_text("#news")
    assert not page.is_visible("#empty")


def test_one_click_puts_the_code_into_the_clipboard_and_says_so(page: Page, simulator: Simulator) -> None:
    simulator.send()
    page.wait_for_selector("#code:text-is('345678')")
    page.click("#copy")
    page.wait_for_selector("#copy.done")
    assert "Copied" in page.inner_text("#copy")
    assert page.evaluate("navigator.clipboard.readText()") == "345678"


def test_the_keyboard_moves_copies_and_searches(page: Page, simulator: Simulator) -> None:
    for code in ("111111", "222222", "333333"):
        simulator.send(content=TEXT.replace("345678", code))
    page.wait_for_selector("#code:text-is('333333')")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("#code:text-is('111111')")
    page.keyboard.press("ArrowUp")
    page.wait_for_selector("#code:text-is('222222')")
    page.keyboard.press("c")
    page.wait_for_selector("#copy.done")
    assert page.evaluate("navigator.clipboard.readText()") == "222222"
    page.keyboard.press("/")
    page.keyboard.type("333333")
    page.wait_for_selector("text=111111", state="detached")
    assert page.locator("#messages a.row").count() == 1


def test_who_reads_an_older_message_is_not_disturbed(page: Page, simulator: Simulator) -> None:
    for code in ("111111", "222222"):
        simulator.send(content=TEXT.replace("345678", code))
    page.wait_for_selector("#code:text-is('222222')")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("#code:text-is('111111')")
    simulator.send()
    page.wait_for_selector("a.row.unread >> text=345678")
    assert page.inner_text("#code") == "111111"
    assert page.title() == "(1) SMS inbox"


def test_a_refusal_is_counted_and_explained(page: Page, simulator: Simulator) -> None:
    simulator.send(password="wrong")
    page.wait_for_selector("#tab-refused.alert")
    page.click("#tab-refused")
    page.click("#refused a.row")
    page.wait_for_selector("#refusal .verdict:text-is('用户名或密码错误')")
    assert "password" in page.inner_text("#refusal .hint")
    assert "wrong" not in page.inner_text("#refusal pre >> nth=0")


def test_what_a_message_says_stays_text(page: Page, simulator: Simulator) -> None:
    simulator.send(content="【今信科技】<img src=x onerror=\"document.title='owned'\"><script>alert(1)</script>")
    page.wait_for_selector(".bubble >> text=<img src=x")
    assert page.locator(".bubble img, .snippet img, .bubble script").count() == 0
    assert "owned" not in page.title()


def test_messages_are_deleted_here_as_well(page: Page, simulator: Simulator) -> None:
    for code in ("111111", "222222"):
        simulator.send(content=TEXT.replace("345678", code))
    page.wait_for_selector("#code:text-is('222222')")
    page.click("#delete")
    page.wait_for_selector("#code:text-is('111111')")
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#delete-all")
    page.wait_for_selector("#empty", state="visible")
    assert simulator.messages() == []


def test_a_lost_simulator_is_shown_and_its_return_is_noticed(browser: Browser) -> None:
    """Another process is behind the address afterwards: the page drops what is gone and shows what is there."""
    context = browser.new_context(locale="en-GB")
    opened = context.new_page()
    with a_simulator() as first:
        opened.goto(first.url)
        first.send()
        opened.wait_for_selector("#code:text-is('345678')")
    opened.wait_for_selector("[data-state=offline]")
    with a_simulator(first.port) as second:
        second.send(content=TEXT.replace("345678", "111222"))
        opened.wait_for_selector("[data-state=live]")
        opened.wait_for_selector("#code:text-is('111222')")
        assert opened.locator("#messages a.row").count() == 1
    context.close()


def test_a_phone_shows_the_list_or_the_message(page: Page, simulator: Simulator) -> None:
    page.set_viewport_size({"width": 380, "height": 720})
    simulator.send()
    page.wait_for_selector("a.row")
    assert not page.is_visible("#message")
    page.click("a.row")
    page.wait_for_selector("#message", state="visible")
    assert not page.is_visible("a.row")
    page.click("#back")
    assert page.is_visible("a.row")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_javascript_there_is_a_plain_list(browser: Browser, simulator: Simulator) -> None:
    simulator.send()
    simulator.send(content=TEXT.replace("345678", "111222"), mobile="13900001234")
    context = browser.new_context(java_script_enabled=False, locale="zh-CN")
    plain = context.new_page()
    plain.goto(simulator.url)
    assert re.search("短信收件箱", plain.title())
    assert plain.locator("#messages a.row").count() == 2
    assert not plain.is_visible("#copy")
    plain.click("text=13800138000")
    assert plain.inner_text("#code") == "345678"
    plain.fill(".search input", "0001234")
    plain.press(".search input", "Enter")
    assert plain.locator("#messages a.row").count() == 1
    context.close()
