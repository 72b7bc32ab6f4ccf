"""`fairuse tenant` against the real server, and the CSV files that it reads."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.tenants import Tenant, TenantContact
from fairuse_cli.tenant_csv import COLUMNS, CsvRefused, read_csv
from tests.cli.served import Served, serve
from tests.cli.test_commands import fairuse

GOOD = """\
tenant,name,plan,language,time_zone,role,contact_name,email
web42,Example Ltd,small,da,Europe/Copenhagen,technical,Anna,anna@example.org ops@example.org
web42,,,,,billing,"Berg, Berit",berit@example.org
web43,Other,large,,,,,
"""


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve(tmp_path) as served:
        yield served


def read(tmp_path: Path, text: str) -> dict[str, Tenant]:
    path = tmp_path / "tenants.csv"
    path.write_text(text, encoding="utf-8")
    return read_csv(path)


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(CsvRefused) as caught:
        read(tmp_path, text)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_each_line_is_a_contact_and_lines_of_one_tenant_belong_together(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == {
        "web42": Tenant(
            name="Example Ltd",
            plan="small",
            language="da",
            time_zone="Europe/Copenhagen",
            contacts=(
                TenantContact(name="Anna", email=("anna@example.org", "ops@example.org")),
                TenantContact(role="billing", name="Berg, Berit", email=("berit@example.org",)),
            ),
        ),
        "web43": Tenant(name="Other", plan="large"),
    }


def test_what_a_spreadsheet_writes_is_read(tmp_path: Path) -> None:
    text = '\ufefftenant;contact_name;email\r\nweb42;"Anna;\nthe first";a@b.example\r\n;;\r\n'
    assert read(tmp_path, text) == {
        "web42": Tenant(contacts=(TenantContact(name="Anna;\nthe first", email=("a@b.example",)),))
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", 'tenants.csv:1: expected a column "tenant"'),
        ("tenant\n", "tenants.csv:1: expected a line for each contact"),
        ("tenant,emial\nweb42,a@b.c\n", 'unknown column "emial"; did you mean "email"?'),
        ("tenant,plan,plan\nweb42,a,b\n", '"plan" twice'),
        ("tenant,webhook_url\nweb42,https://x.example\n", 'unknown column "webhook_url"'),
        ("tenant,email\nweb42\n", "tenants.csv:2: expected 2 cells as in line 1, found 1"),
        ("tenant,email\n,a@b.c\n", "tenants.csv:2: tenant: expected a name"),
        ("tenant,email\nweb42,anna\n", 'tenants.csv:2: email: expected an address, found "anna"'),
        ("tenant,email\nweb42,a@b.c;d@e.f\n", "tenants.csv:2: email: expected an address"),
        ("tenant,language\nweb42,dk\n", "tenants.csv:2: language: expected one of"),
        (
            "tenant,role\nweb41,\nweb42,boss\n",
            'tenants.csv:3: role: expected one of technical, abuse, billing, found "boss"',
        ),
        (
            "tenant,channels\nweb42,email pigeon\n",
            'tenants.csv:2: channels: expected email, webhook, command, found "pigeon"',
        ),
        (
            "tenant,contact_time_zone\nweb42,Mars\n",
            "tenants.csv:2: contact_time_zone: expected a name of the time zone database",
        ),
        ("tenant,plan\nweb42,a\nweb42,b\n", 'tenants.csv:3: plan: expected "a" as for the same'),
        ('tenant,email\n"web\n42",a@b.c\nweb43,x\n', "tenants.csv:4: email: expected an address"),
        ('tenant,email\nweb42,"a@b.c\n', "not valid CSV"),
    ],
)
def test_a_bad_file_is_refused_with_the_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(tmp_path, text)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    lines = "".join(f"web{number},nobody\n" for number in range(30))
    told = refused(tmp_path, f"tenant,email\n{lines}").splitlines()
    assert len(told) == 21
    assert told[-1] == "and 10 more"


def test_every_fault_of_one_line_is_told(tmp_path: Path) -> None:
    told = refused(
        tmp_path,
        "tenant,role,email,contact_language,quiet_hours,time_zone\n"
        "web42,boss,nobody,xx,always,Mars\n",
    ).splitlines()
    for fault in ("role: ", "email: ", "contact_language: ", "quiet_hours: ", "time_zone: "):
        assert sum(f"tenants.csv:2: {fault}" in line for line in told) == 1, fault
    assert len(told) == 5


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tenants.csv").write_bytes(b"tenant\n\xff\n")
    with pytest.raises(CsvRefused, match="cannot be read as UTF-8"):
        read_csv(tmp_path / "tenants.csv")


def test_every_key_of_a_tenant_has_a_column_but_those_that_need_a_file_here() -> None:
    keys = {f.name for kind in (Tenant, TenantContact) for f in msgspec.structs.fields(kind)}
    named = {column.removeprefix("contact_") for column in COLUMNS}
    assert keys - named == {"contacts", "webhook_url", "webhook_secret_file"}
    assert named - keys == {"tenant"}


@given(text=st.text())
def test_whatever_the_file_holds_it_is_read_or_refused(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text("tenant,email\n" + text, encoding="utf-8", errors="replace", newline="")
    with contextlib.suppress(CsvRefused):
        assert read_csv(path)


async def test_a_file_is_tried_dry_imported_and_seen(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "tenants.csv"
    path.write_text(GOOD)
    tried = await fairuse("tenant", "import", str(path), "--dry-run", served=served)
    assert (tried.status, tried.err) == (0, "")
    assert "2 added: web42, web43" in tried.out
    assert "dry run" in tried.out
    assert served.services.directory.tenant("web42") is None
    done = await fairuse("tenant", "import", str(path), served=served)
    assert "2 added: web42, web43" in done.out
    shown = await fairuse("tenant", "show", "web42", served=served)
    assert "a push by otto" in shown.out
    assert "contact: role billing, name Berg, Berit, email berit@example.org" in shown.out
    listed = await fairuse("tenant", "list", served=served)
    assert max(map(len, listed.out.splitlines())) <= 80
    for told in ("web42", "pushed", "Example Ltd", "nobody", "2 known"):
        assert told in listed.out


async def test_what_a_file_lacks_goes_only_when_asked_for(served: Served, tmp_path: Path) -> None:
    await served.services.pushed.put("web42", Tenant(name="Anna"), by="billing")
    await served.services.pushed.put("web43", Tenant(name="Anna"), by="billing")
    path = tmp_path / "tenants.csv"
    path.write_text("tenant\nweb43\n")
    await fairuse("tenant", "import", str(path), served=served)
    assert served.services.directory.tenant("web42") is not None
    less = await fairuse("tenant", "import", str(path), "--remove-missing", served=served)
    assert "1 removed: web42" in less.out
    gone = await fairuse("tenant", "remove", "web43", served=served)
    assert "nobody lists it now" in gone.out
    unknown = await fairuse("tenant", "show", "web43", served=served)
    assert unknown.status == 1
    assert "nobody lists it" in unknown.err


async def test_a_bad_file_changes_nothing(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "tenants.csv"
    path.write_text("tenant,email\nweb42,a@b.example\nweb43,nobody\n")
    ended = await fairuse("tenant", "import", str(path), served=served)
    assert ended.status == 2
    assert "nothing was changed" in ended.err
    assert "tenants.csv:3: email" in ended.err
    assert served.services.directory.tenant("web42") is None


async def test_a_conflict_is_shown_with_whose_word_counts(served: Served, tmp_path: Path) -> None:
    (tmp_path / "tenants.toml").write_text('[tenants.web42]\nname = "Own"\n')
    path = tmp_path / "tenants.csv"
    path.write_text("tenant,name\nweb42,Pushed\n")
    done = await fairuse("tenant", "import", str(path), served=served)
    assert "1 listed otherwise in tenants_file, which counts: web42" in done.out
    shown = (await fairuse("tenant", "show", "web42", served=served)).out.splitlines()
    assert shown[0] == "tenants_file counts:"
    assert shown[1].strip() == "name Own"
    assert shown[3].startswith("a push by otto")
    assert shown[3].endswith("is overruled:")
    assert "tenants_file (not pushed)" in (await fairuse("tenant", "list", served=served)).out


def test_the_command_needs_nothing_that_only_a_controller_installs() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, fairuse_cli.main; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"sqlalchemy", "alembic", "aiosqlite", "ldap"} & set(loaded.stdout.split())
