"""`/metrics` over real HTTP: for this machine alone, in Prometheus's format."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.bot.web.fakes import World, served


@pytest.fixture
async def here() -> AsyncIterator[httpx.AsyncClient]:
    """Somebody on this machine."""
    async with served(World()) as url, httpx.AsyncClient(base_url=url) as client:
        yield client


async def test_the_figures_are_told_to_this_machine_as_prometheus_reads_them(
    here: httpx.AsyncClient,
) -> None:
    answer = await here.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.text == "# TYPE phen_streams gauge\nphen_streams 2\n"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-For": "203.0.113.7"},
        {"X-Real-IP": "203.0.113.7"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Host": "line.example"},
    ],
    ids=lambda headers: next(iter(headers)),
)
async def test_whoever_asks_through_a_proxy_gets_none(
    here: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await here.get("/metrics", headers=headers)
    assert answer.status_code == 404
    assert "phen" not in answer.text
    assert (await here.get("/healthz", headers=headers)).status_code == 200


async def test_another_machine_gets_none() -> None:
    for address, status in (("192.0.2.1", 404), ("nobody", 404), ("::1", 200), ("127.0.0.1", 200)):
        transport = httpx.ASGITransport(World().app(), client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert (await client.get("/metrics")).status_code == status
