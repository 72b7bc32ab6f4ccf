"""`fairuse backtest`: what a policy would have done, before it is switched on.

What it needs (numpy, pyarrow) is imported only when it is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairuse_cli.failures import USAGE, CommandFailed
from fairuse_cli.options import console_for_output
from fairuse_protocol.settings import SettingsError

TracePath = Annotated[
    Path, typer.Argument(metavar="TRACE", help="A folder that holds a trace: docs/backtest.md.")
]
PolicyFile = Annotated[
    Path, typer.Option("--policy", metavar="FILE", help="The policy to judge the trace by.")
]
OtherPolicyFile = Annotated[
    Path | None,
    typer.Option("--compare", metavar="FILE", help="A second policy, to stand beside it."),
]
AsEvents = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Only the events, one JSON object a line in order of time. Of one policy: run it "
        "once for each rather than with --compare.",
    ),
]
ReportDirectory = Annotated[
    Path | None,
    typer.Option("--report", metavar="DIR", help="Also write a page to read: DIR/index.html."),
]


def backtest(
    trace: TracePath,
    policy: PolicyFile,
    compare: OtherPolicyFile = None,
    as_json: AsEvents = False,
    report: ReportDirectory = None,
) -> None:
    """Play a recorded trace through the live rule, and tell what would have happened.

    No customer is written to and no host is touched.
    """
    if as_json and compare is not None:
        raise CommandFailed(
            USAGE, "--json prints the events of one policy: leave --compare out, and run it twice"
        )
    try:
        from controller.backtest.layout import TraceError  # noqa: PLC0415 - see above
        from fairuse_cli import backtest_run  # noqa: PLC0415 - see above
    except ImportError as error:
        raise CommandFailed(
            USAGE,
            f"a backtest needs {error.name}, which is not installed; "
            "install it with: pip install 'fairuse[backtest,cli]'",
        ) from error
    files = [policy] if compare is None else [policy, compare]
    try:
        backtest_run.run(trace, files, console_for_output(), as_json=as_json, report=report)
    except (TraceError, SettingsError) as error:
        raise CommandFailed(USAGE, str(error)) from error
