"""A tool of the demo's own: the whole of what an author writes. `tasks-server dev --tools demo.tools` offers it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from demo.lights import lights, months
from workers import TaskContext, tool


class Purpose(BaseModel):
    """What the tool asks for."""

    purpose: Literal["fog", "wind"] = Field("fog", title="What do you want to study?")


class Year(BaseModel):
    """A light's year in two figures."""

    light: str
    fog: int
    wind: float


class Advice(BaseModel):
    """Where to go."""

    light: str
    because: str


def summarise(number: int) -> Year:
    light = lights()[number]
    year = months(light)
    return Year(
        light=light.name, fog=sum(m.fog_days for m in year), wind=max(round(m.wind_m_s, 1) for m in year)
    )


@tool(title="Choose a light to visit", timeout="5m")
async def choose_light(ctx: TaskContext) -> Advice:
    """Goes through a year of every light, asks what the visit is about, and says where to go."""
    total = len(lights())
    years: list[Year] = []
    for number in range(total):
        # A step's value is remembered: after a crash, or a long wait for the answer, nothing is done twice.
        years.append(await ctx.step(f"light-{number}", summarise, number))
        await ctx.progress(number + 1, total, years[-1].light)
    asked = await ctx.ask("You can visit one light this year. What is the visit about?", Purpose)
    if asked.purpose == "fog":
        best = max(years, key=lambda year: year.fog)
        return Advice(light=best.light, because=f"{best.fog} days of fog in a year")
    best = max(years, key=lambda year: year.wind)
    return Advice(light=best.light, because=f"{best.wind} m/s of wind on average in its windiest month")
