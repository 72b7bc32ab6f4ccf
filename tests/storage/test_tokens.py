from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from controller.storage import schema, tokens
from controller.storage.database import Database

NOW = 1000.0


async def _allow(database: Database, token: str = "t", host: str = "h1") -> None:
    async with database.write() as connection:
        await tokens.add_enrolment_token(connection, token=token, host=host, expires_at=NOW + 60)


async def _enrol(
    database: Database, credential: str, *, token: str = "t", host: str = "h1", now: float = NOW
) -> None:
    async with database.write() as connection:
        await tokens.enrol(connection, host=host, token=token, credential=credential, now=now)


async def _hosts(database: Database) -> dict[bytes, str]:
    async with database.read() as connection:
        return await tokens.host_credentials(connection)


async def test_a_token_enrols_its_host(database: Database) -> None:
    await _allow(database)
    await _enrol(database, "secret")

    assert await _hosts(database) == {tokens.digest("secret"): "h1"}


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param({"token": "guessed"}, id="an unknown token"),
        pytest.param({"host": "h2"}, id="another host"),
        pytest.param({"now": NOW + 60}, id="an expired token"),
    ],
)
async def test_enrolment_is_refused_and_changes_nothing(
    database: Database, attempt: dict[str, object]
) -> None:
    await _allow(database)

    with pytest.raises(tokens.EnrolmentRefused, match="enrolment-token --host"):
        await _enrol(database, "secret", **attempt)  # type: ignore[arg-type]  # mixed on purpose

    assert await _hosts(database) == {}
    await _enrol(database, "secret")


async def test_a_token_is_used_once_also_by_many_at_the_same_time(
    database: Database, database_url: str
) -> None:
    await _allow(database)
    other = await Database.open(database_url)

    outcomes = await asyncio.gather(
        *(_enrol(mine, f"secret-{n}") for n in range(5) for mine in (database, other)),
        return_exceptions=True,
    )
    await other.close()

    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, tokens.EnrolmentRefused) for outcome in outcomes) == 9
    assert len(await _hosts(database)) == 1


async def test_a_host_that_enrols_again_has_its_new_credential_only(database: Database) -> None:
    await _allow(database)
    await _enrol(database, "old")
    await _allow(database, token="second")
    await _enrol(database, "new", token="second")

    assert await _hosts(database) == {tokens.digest("new"): "h1"}


async def test_a_revoked_host_may_enrol_again(database: Database) -> None:
    await _allow(database)
    await _enrol(database, "old")
    async with database.write() as connection:
        assert await tokens.revoke_host(connection, "h1", NOW)
        assert not await tokens.revoke_host(connection, "h1", NOW)
    assert await _hosts(database) == {}

    await _allow(database, token="second")
    await _enrol(database, "new", token="second")

    assert await _hosts(database) == {tokens.digest("new"): "h1"}


@pytest.mark.parametrize("name", ["", "a b", "h\n1", "../x", "h" * 256])
async def test_a_host_needs_a_name_that_can_be_written_down(database: Database, name: str) -> None:
    with pytest.raises(ValueError, match="a host's name"):
        await _allow(database, host=name)


async def test_an_api_token_says_whose_it_is_until_it_is_revoked(database: Database) -> None:
    async with database.write() as connection:
        await tokens.add_api_token(connection, token="t", name="ada", role="viewer", now=NOW)
        assert await tokens.api_token(connection, "t") == tokens.ApiToken("ada", "viewer")
        assert await tokens.api_token(connection, "T") is None
        assert await tokens.revoke_api_token(connection, "ada", NOW)
        assert await tokens.api_token(connection, "t") is None
        assert not await tokens.revoke_api_token(connection, "ada", NOW)


async def test_a_name_is_given_once_so_that_histories_stay_true(database: Database) -> None:
    async with database.write() as connection:
        await tokens.add_api_token(connection, token="t", name="ada", role="viewer", now=NOW)
        await tokens.revoke_api_token(connection, "ada", NOW)

    with pytest.raises(sa.exc.IntegrityError):
        async with database.write() as connection:
            await tokens.add_api_token(connection, token="u", name="ada", role="operator", now=NOW)


async def test_no_secret_is_kept(database: Database) -> None:
    await _allow(database, token="enrolment-secret")
    await _enrol(database, "credential-secret", token="enrolment-secret")
    async with database.write() as connection:
        await tokens.add_api_token(
            connection, token="api-secret", name="ada", role="viewer", now=NOW
        )
        kept = b""
        for table in (schema.hosts, schema.enrolment_tokens, schema.api_tokens):
            for row in await connection.execute(sa.select(table)):
                kept += repr(tuple(row)).encode()

    assert b"secret" not in kept
