"""What all tests share: where a needed thing is missing, the skip says what and why it matters.

A skip's reason begins with "needs". With FAIRUSE_NO_NEEDLESS_SKIPS set (the continuous run), only
what no install could provide may be skipped: a reason that begins with "this kernel lacks",
"this host lacks" (what only a booted host has, see tests/booted) or "this disk".
"""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# How long an example takes is the machine's business: no assertion is timed.
hypothesis.settings.register_profile("fairuse", deadline=None)
hypothesis.settings.load_profile("fairuse")

_TESTS = Path(__file__).parent
_ALONE = ("benchmarks", "browser", "demo", "endtoend", "limiter", "mail", "sampling", "testhost")
_NOBODY_CAN_INSTALL = ("this kernel lacks", "this host lacks", "this disk")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Some tests go alone; kernel tests change cgroups and interfaces, which is root's."""
    for item in items:
        folder = item.path.relative_to(_TESTS).parts[0]
        if folder in _ALONE or item.get_closest_marker("kernel"):
            item.add_marker(pytest.mark.alone)
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("kernel"):
            item.add_marker(pytest.mark.skip(reason="needs root: it uses the real kernel"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which skips the continuous run does not accept."""
    for reason in _needless(terminalreporter):
        terminalreporter.write_line(f"needless skip: {reason}", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A needless skip fails the run where everything was installed that can be."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.exitstatus == pytest.ExitCode.OK and reporter and _needless(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _needless(reporter: pytest.TerminalReporter) -> list[str]:
    if not os.environ.get("FAIRUSE_NO_NEEDLESS_SKIPS"):
        return []
    reasons = []
    for report in reporter.stats.get("skipped", []):
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else "no reason"
        if not reason.removeprefix("Skipped: ").startswith(_NOBODY_CAN_INSTALL):
            reasons.append(f"{report.nodeid}: {reason}")
    return reasons
