"""Asking a worker's health endpoints."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from prometheus_client.parser import text_string_to_metric_families

from tests.kafka.world import Worker, until

OPENER = build_opener(ProxyHandler({}))
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def address(worker: Worker) -> str:
    """Where the worker's health endpoints listen, by its log."""

    def told() -> list[str]:
        worker.said('"listens"')  # fails when it has ended
        return [line for line in worker.lines() if '"listens"' in line]

    return str(json.loads(until("it listens", told)[-1])["listens"])


def get(worker: Worker, path: str) -> tuple[int, str]:
    """Status and body of an answer."""
    try:
        with OPENER.open(address(worker) + path, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def health(worker: Worker, path: str) -> tuple[int, dict[str, Any]]:
    """Status and checks of /livez or /readyz."""
    status, body = get(worker, path)
    found = json.loads(body)
    assert ("ok" if status == 200 else "failed") == found["status"]
    return status, found["checks"]


def metrics(worker: Worker) -> Samples:
    """All samples, by name and labels."""
    status, body = get(worker, "/metrics")
    assert 200 == status
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum of the samples of a name that have these labels."""
    wanted = labels.items()
    return sum(v for (n, own), v in samples.items() if n == name and wanted <= dict(own).items())
