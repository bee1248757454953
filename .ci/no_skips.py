"""A pytest plugin (`-p no_skips`): a skipped or xfailed test fails the run, because nobody looks at it again."""

from __future__ import annotations

import pytest


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # a worker of xdist: the one that collects its reports decides
        return
    skipped = [report for outcome in ("skipped", "xfailed", "xpassed") for report in reporter.stats.get(outcome, [])]
    for report in skipped:
        reporter.write_line(f"not allowed to be skipped: {report.nodeid}", red=True)
    if skipped:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
