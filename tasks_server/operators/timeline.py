"""A task as an operator reads it: what it is, how it stands, and what happened, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from tasks_server.operators.history import Biography, Happening

SENTENCES = {
    "attempt": "attempt {attempt} was started by worker {worker}",
    "question": "it asked {key}",
    "answer": "{key} was answered by the {by}",
    "withdrawn": "it asked {key} no more",
    "parked": "attempt {attempt} gave up its worker to wait for an answer",
    "released": "attempt {attempt} was handed back by its worker ({why})",
    "lost": "attempt {attempt} lost its worker {worker}",
    "paused": "it had to wait for its tool, which had failed {failures} times in a row ({error}), until {until}",
    "resumed": "its tool works again",
    "log": "{level}: {data}",
}


def timeline(task: Biography) -> Iterator[str]:
    """Lines of text, without line ends."""
    yield from _facts(task.row)
    yield ""
    began: int = task.row["created_at"]
    yield _line(began, began, "submitted" + _repeating(task.row))
    for happening in task.events:
        yield _line(began, happening.at, sentence(happening))
    if task.row["finished_at"] is not None:
        yield _line(began, task.row["finished_at"], str(task.row["status"]))
    elif task.row["next_dispatch_at"] is not None:
        yield _line(began, task.row["next_dispatch_at"], "it is announced to workers")


def sentence(happening: Happening) -> str:
    """What happened, in words."""
    body = happening.body
    if happening.kind == "failed":
        following = (
            f"the next one starts at {moment(body['next_at'])}" if body["next_at"] else "it was the last"
        )
        opened = body.get("breaker_open_until")
        paused = f"; this paused its tool until {moment(opened)}" if opened else ""
        return f"attempt {body['attempt'] + 1} failed ({body['class']}): {body['error']}; {following}{paused}"
    if happening.kind == "progress":
        shown = [f"{body[name]:g}" for name in ("progress", "progress_total") if body.get(name) is not None]
        return " ".join(filter(None, ["progress", " of ".join(shown), str(body.get("status_message") or "")]))
    template = SENTENCES.get(happening.kind, happening.kind)
    try:
        return template.format_map(_readable(body))
    except KeyError:  # written by another version
        return f"{happening.kind} {body}"


def moment(at: int) -> str:
    """A time in UTC, to the millisecond, marked as such."""
    told = datetime.fromtimestamp(at / 1000, UTC).isoformat(sep=" ", timespec="milliseconds")
    return told.replace("+00:00", "Z")


def _readable(body: Mapping[str, Any]) -> dict[str, Any]:
    """Times in words, and attempts counted as people do: the record counts them from 0."""
    told = dict(body)
    if "until" in told:
        told["until"] = moment(told["until"])
    if "attempt" in told:
        told["attempt"] += 1
    return told


def _facts(row: Mapping[str, Any]) -> Iterator[str]:
    said = f": {row['status_message']}" if row["status_message"] else ""
    kind = ", a dead letter" if row["quarantined_at"] is not None else ""
    yield f"task        {row['id']}"
    yield f"call        {row['method']} {row['name']}, queue {row['queue']}, owner {row['owner']}"
    yield f"status      {row['status']}{kind}{said}"
    yield (
        f"attempts    {row['attempt'] + 1}: {row['retries_used']} of {row['max_retries']} retries used, "
        f"{row['crashes']} of {row['max_crashes']} crashes"
    )
    if row["last_error"] is not None:
        yield f"last error  {row['last_error']}"
    yield f"arguments   {_shortened(row['arguments'])}"
    if row["outcome"] is not None:
        yield f"outcome     {_shortened(row['outcome'])}"


def _shortened(text: str, length: int = 400) -> str:
    return text if len(text) <= length else f"{text[:length]}… ({len(text)} characters)"


def _repeating(row: Mapping[str, Any]) -> str:
    return f", to repeat task {row['replay_of']}" if row["replay_of"] else ""


def _line(began: int, at: int, text: str) -> str:
    return f"{moment(at)}  {(at - began) / 1000:+10.3f} s  {text}"
