"""The host of files, and the samplers that a test opened on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairuse_agent.sampling.round import Sampler
from tests.sampling.hosts import FolderHost


@pytest.fixture
def host(tmp_path: Path) -> FolderHost:
    return FolderHost(tmp_path)


@pytest.fixture
def opened() -> Iterator[list[Sampler]]:
    samplers: list[Sampler] = []
    yield samplers
    for sampler in samplers:
        sampler.close()
