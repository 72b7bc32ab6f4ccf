from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.agent.controller_double import ControllerDouble, controller_double


@pytest.fixture
async def controller() -> AsyncIterator[ControllerDouble]:
    async with controller_double() as double:
        yield double
