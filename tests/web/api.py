"""A caller of the operators' API for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import jsonschema

from tests.cli.served import Served


class Api:
    """Calls the API, and checks every JSON answer against the server's own description of it."""

    def __init__(self, served: Served, session: aiohttp.ClientSession, directory: Path) -> None:
        self.served = served
        self.directory = directory
        self.world = served.world
        self._session = session
        self.document: dict[str, Any] = {}

    async def load_description(self) -> None:
        async with self._session.get(f"{self.served.url}/openapi.json") as response:
            assert response.status == 200
            self.document = await response.json()

    async def call(
        self,
        method: str,
        path: str,
        *,
        described: str | None = None,
        token: str | None = None,
        json: object = None,
    ) -> tuple[int, dict[str, Any]]:
        token = self.served.operator if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._session.request(
            method, f"{self.served.url}/api/v1{path}", headers=headers, json=json
        ) as response:
            answer = await response.json()
            template = f"/api/v1{described or path.partition('?')[0]}"
            self._check(template, method.lower(), str(response.status), answer)
            return response.status, answer

    async def get(self, path: str, described: str | None = None, **call: Any) -> dict[str, Any]:
        status, answer = await self.call("GET", path, described=described, **call)
        assert status == 200, answer
        return answer

    async def refused(self, method: str, path: str, **call: Any) -> tuple[int, str]:
        status, answer = await self.call(method, path, **call)
        return status, answer["error"]

    def _check(self, template: str, method: str, status: str, answer: object) -> None:
        operation = self.document["paths"][template][method]
        assert status in operation["responses"], f"{status} of {template} is not described"
        response = operation["responses"][status]
        schema = response["content"]["application/json"]["schema"]
        jsonschema.validate(
            answer, {**schema, "components": self.document["components"]}, _Validator
        )


_Validator = jsonschema.Draft202012Validator
