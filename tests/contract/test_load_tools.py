"""The contract of load tools, over those that can be installed from packages."""

from __future__ import annotations

import pytest

from labcoat.load.tools import find_tool
from labcoat.load.tools.base import LoadTool
from labcoat.testing.tools import LoadToolContract


class TestTools(LoadToolContract):
    @pytest.fixture(params=["ab", "wrk", "h2load", "hey", "locust"])
    def tool(self, request: pytest.FixtureRequest) -> LoadTool:
        return find_tool(request.param)
