"""Threads that do what takes long while the loop goes on.

A thread is started when there is work, and ends when there is no more: between two works the process has no thread,
and may fork. Each kind of work has as many threads as its lane has places.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import Any, Generic, TypeVar

from httpmini.server.core.shutdown import WakeUpPipe
from httpmini.work import Lane, Work

# At the end, how long to wait for works that have begun: a thread must not outlive the interpreter.
PATIENCE_S = 5.0
SOME = 4

W = TypeVar("W")


class Helpers(Generic[W]):
    """The helper threads of one loop. All methods belong to the thread of the loop.

    ``fileno`` is readable when ``collect`` has something to return.
    """

    def __init__(self) -> None:
        self._pipe = WakeUpPipe()
        self._lock = threading.Lock()  # held to exchange the works that wait, and the threads
        self._queues: dict[Lane, deque[Work[Any]]] = {}
        self._threads: dict[threading.Thread, Lane] = {}
        self._waiting: dict[Work[Any], list[W]] = {}
        self._done: deque[Work[Any]] = deque()
        self._ready: deque[W] = deque()
        self._process = os.getpid()

    def fileno(self) -> int:
        """Return the descriptor that the loop watches."""
        return self._pipe.fileno()

    def do(self, work: Work[Any], who: W) -> None:
        """Have ``work`` done; ``who`` waits for it."""
        waiting = self._waiting.get(work)
        if waiting is not None:
            if who not in waiting:
                waiting.append(who)
            return
        self._waiting[work] = [who]
        with self._lock:
            self._queues.setdefault(work.lane, deque()).append(work)
            wants_thread = list(self._threads.values()).count(work.lane) < work.lane.most
        if wants_thread:
            self._start(work.lane)

    def collect(self) -> list[W]:
        """Return some of those whose work has been done; ``fileno`` stays readable while there are more.

        Many may have waited for one long listing, and all at once would keep the loop from the others.
        """
        self._pipe.clear()
        while self._done:
            self._ready += self._waiting.pop(self._done.popleft())
        some = [self._ready.popleft() for _ in range(min(SOME, len(self._ready)))]
        if self._ready:
            self._pipe.wake()
        return some

    def close(self) -> None:
        """Drop what has not begun, and wait for what has. In a forked child, only close its copies."""
        if self._process == os.getpid():
            with self._lock:
                self._queues.clear()
                threads = list(self._threads)
            end = time.monotonic() + PATIENCE_S
            for thread in threads:
                thread.join(max(0.0, end - time.monotonic()))
        self._pipe.close()

    def _start(self, lane: Lane) -> None:
        thread = threading.Thread(target=self._help, args=(lane,), name="helper", daemon=True)
        with self._lock:
            self._threads[thread] = lane
        try:
            thread.start()
        except RuntimeError:  # the system has none left: then the loop has to wait
            with self._lock:
                del self._threads[thread]
            if lane not in self._threads.values():
                self._help(lane)

    def _help(self, lane: Lane) -> None:
        while (work := self._next(lane)) is not None:
            work.run()
            self._done.append(work)
            self._pipe.wake()

    def _next(self, lane: Lane) -> Work[Any] | None:
        """Return the next work; None when there is none, and this thread is not counted any more."""
        with self._lock:
            queue = self._queues.get(lane)
            if queue:
                return queue.popleft()
            self._threads.pop(threading.current_thread(), None)
            return None
