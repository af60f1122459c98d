"""The live workers as the record knows them: which queues are served, whether work is taken, what is amiss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasks_server.manifest import Manifest
from tasks_server.store.roster import Presence

# A worker looks into its queues every second; this long without a look is no accident.
PICK_TOLERANCE_MS = 5_000


@dataclass(frozen=True, slots=True)
class Workforce:
    """served: the queues of live workers. picked: those that one of them takes work from. troubles: a line each."""

    live: int = 0
    picking: int = 0
    served: frozenset[str] = frozenset()
    picked: frozenset[str] = frozenset()
    troubles: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, live: Iterable[Presence], manifests: Mapping[str, Manifest], live_within_ms: int
    ) -> Workforce:
        workers = [worker for worker in live if worker.manifest_digest in manifests]
        tolerance = max(live_within_ms, PICK_TOLERANCE_MS)
        # As it was when it last spoke: being silent since then is another matter.
        picking = [worker for worker in workers if worker.unpicked_ms - worker.silent_ms < tolerance]
        return cls(
            live=len(workers),
            picking=len(picking),
            served=_queues(workers, manifests),
            picked=_queues(picking, manifests),
            troubles=tuple(
                f"Worker {worker.worker_id}: {worker.trouble}" for worker in workers if worker.trouble
            ),
        )


def _queues(workers: Iterable[Presence], manifests: Mapping[str, Manifest]) -> frozenset[str]:
    return frozenset(queue for worker in workers for queue in manifests[worker.manifest_digest].queues)
