"""The figures of all processes, added up and written as Prometheus reads them (its text format, or OpenMetrics)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from autoforge.telemetry.cells import Counted, Series
from autoforge.telemetry.families import FAMILIES, Family

if TYPE_CHECKING:
    from prometheus_client import Metric

Figures = Mapping[Series, list[float]]


def added_up(counted: Iterable[Counted]) -> dict[Series, list[float]]:
    """The numbers of each series, over all processes. What is the case holds only of processes that live."""
    figures: dict[Series, list[float]] = {}
    for one in counted:
        for series, place in one.places.items():
            family = FAMILIES.get(series[0])
            if family is None or (family.kind == "gauge" and not one.alive):
                continue
            own = list(one.values[place : place + family.width])
            before = figures.get(series)
            figures[series] = own if before is None else [a + b for a, b in zip(before, own, strict=True)]
    return figures


def written(figures: Figures, accept: str) -> tuple[bytes, str]:
    """The text and its content type, of the formats that the header ``accept`` allows."""
    from prometheus_client.exposition import choose_encoder

    encode, content_type = choose_encoder(accept)
    return encode(_Collected(figures)), content_type


class _Collected:
    """What the encoders take for a registry."""

    def __init__(self, figures: Figures) -> None:
        self._by_name: dict[str, list[tuple[Series, list[float]]]] = defaultdict(list)
        for series in sorted(figures):
            self._by_name[series[0]].append((series[1:], figures[series]))

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES.values():
            yield _metric(family, self._by_name.get(family.name, []))


def _metric(family: Family, rows: Iterable[tuple[Series, list[float]]]) -> Metric:
    from prometheus_client import core

    about: Any = {"name": family.name, "documentation": family.meaning.replace("`", ""), "labels": family.labels}
    if family.kind == "histogram":
        histogram = core.HistogramMetricFamily(**about)
        bounds = [*(str(bound) for bound in family.buckets), "+Inf"]
        for labels, (total, *counts) in rows:
            histogram.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), total)
        return histogram
    kind = core.CounterMetricFamily if family.kind == "counter" else core.GaugeMetricFamily
    metric = kind(**about)
    for labels, (value,) in rows:
        metric.add_metric(labels, value)
    return metric
