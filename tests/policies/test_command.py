"""`fairuse policy` as people and scripts meet it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_commands import fairuse

POLICIES = Path("config/policies").resolve()


async def test_check_explains_every_shipped_policy_in_a_hundred_columns() -> None:
    paths = [str(path) for path in sorted(POLICIES.glob("*.toml"))]
    ended = await fairuse("policy", "check", *paths, COLUMNS="100")
    assert (ended.status, ended.err) == (0, "")
    assert max(map(len, ended.out.splitlines())) <= 100
    assert "\x1b" not in ended.out
    assert ended.out.count("How long they have") == len(paths)


async def test_check_refuses_nonsense_with_file_line_and_reason_and_explains_the_rest(
    tmp_path: Path,
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('[limit]\nlease = "3h"\n')
    ended = await fairuse("policy", "check", str(bad), str(POLICIES / "asergo.toml"))
    assert ended.status == 2
    reason = f"{bad}:2: limit.lease: expected at most limit.max_per_day (2h), found 3h"
    assert reason in ended.err
    assert "Asergo AUP" in ended.out
    listed = await fairuse("policy", "check", "--json", str(bad))
    assert listed.status == 2
    assert listed.document["files"][0]["problem"] == reason


async def test_check_points_out_what_is_odd(tmp_path: Path) -> None:
    odd = tmp_path / "odd.toml"
    odd.write_text("[rule]\nratio = 20\n")
    ended = await fairuse("policy", "check", str(odd))
    assert ended.status == 0
    assert "rule.ratio: on a host with fewer than 20 equal tenants" in ended.out


async def test_diff_tells_what_changes_for_whom() -> None:
    files = [str(POLICIES / name) for name in ("default.toml", "servicepoint.toml")]
    ended = await fairuse("policy", "diff", *files)
    assert (ended.status, ended.err) == (0, "")
    assert max(map(len, ended.out.splitlines())) <= 80
    told = " ".join(ended.out.split())
    assert "Customers between 2 and 4 times their fair share are no longer written to." in told
    listed = json.loads((await fairuse("policy", "diff", "--json", *files)).out)
    assert {change["key"] for change in listed["changes"]} >= {"rule.ratio", "language"}


async def test_diff_of_a_policy_with_itself_is_nothing() -> None:
    file = str(POLICIES / "default.toml")
    assert "Nothing changes." in (await fairuse("policy", "diff", file, file)).out
