"""A made-up year at thirty-eight made-up lighthouses: what the demo's document and dataset are about."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import fmean

YEAR = 2025

_PLACES = (
    "Anvil", "Barrow", "Cinder", "Dunlin", "Eider", "Farrow", "Gannet", "Harrow", "Inish", "Juniper",
    "Kelda", "Lantern", "Merrow", "Noust", "Orla", "Petrel", "Quill", "Raven", "Sable",
)  # fmt: skip
_FORMS = ("Point", "Skerry")


@dataclass(frozen=True, slots=True)
class Light:
    """A lighthouse. height_m above the sea; exposure from 0 (sheltered) to 1 (open ocean)."""

    name: str
    height_m: int
    range_km: int
    lit_in: int
    exposure: float


@dataclass(frozen=True, slots=True)
class Observation:
    """What the keeper wrote down at noon. visibility_km is None on days without an entry."""

    day: date
    light: str
    visibility_km: float | None
    wind_m_s: float
    air_c: float
    fog: bool


def lights() -> list[Light]:
    chance = random.Random(YEAR)
    names = [f"{place} {form}" for place in _PLACES for form in _FORMS]
    return [
        Light(
            name=name,
            height_m=chance.randrange(18, 74),
            range_km=chance.randrange(20, 48),
            lit_in=chance.randrange(1786, 1932),
            exposure=round(chance.uniform(0.1, 1.0), 2),
        )
        for name in names
    ]


def observe(light: Light) -> Iterator[Observation]:
    """One observation a day for the whole year, the same every time."""
    chance = random.Random(light.name)
    for number in range(365):
        season = math.cos(2 * math.pi * (number - 20) / 365)  # 1 in deep winter, -1 in high summer
        wind = max(0.0, chance.gammavariate(2.2, 2.4) * (0.7 + light.exposure) + 1.8 * season)
        air = 9.5 - 6.5 * season + chance.gauss(0, 2.2)
        fog = chance.random() < max(0.02, 0.11 - 0.07 * season - 0.008 * wind)
        clear = min(60.0, chance.lognormvariate(2.9, 0.45))
        visibility = None if chance.random() < 0.03 else round(clear * (0.06 if fog else 1.0), 1)
        yield Observation(
            date(YEAR, 1, 1) + timedelta(days=number),
            light.name,
            visibility,
            round(wind, 1),
            round(air, 1),
            fog,
        )


@dataclass(frozen=True, slots=True)
class Month:
    """The means of one month."""

    name: str
    visibility_km: float
    wind_m_s: float
    air_c: float
    fog_days: int


def months(light: Light) -> list[Month]:
    days = list(observe(light))
    return [_month([day for day in days if day.day.month == number]) for number in range(1, 13)]


def _month(days: list[Observation]) -> Month:
    return Month(
        name=days[0].day.strftime("%B"),
        visibility_km=fmean(day.visibility_km for day in days if day.visibility_km is not None),
        wind_m_s=fmean(day.wind_m_s for day in days),
        air_c=fmean(day.air_c for day in days),
        fog_days=sum(day.fog for day in days),
    )
