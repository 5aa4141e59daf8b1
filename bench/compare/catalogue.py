"""All workloads in order, except the eleventh: growth.py measures curves instead of cells."""

from __future__ import annotations

from bench.compare import clients, crowds, others, workloads
from bench.compare.workloads import Workload

WORKLOADS = (
    Workload("1", "1 KiB, kept alive", workloads.small_kept),
    Workload("2", "1 KiB, a new connection each", workloads.small_new),
    Workload("3", "10,000 files of 4 KiB, heads that all differ", workloads.many_heads),
    Workload("4", "100 KiB, kept alive", workloads.medium_kept),
    Workload("5", "1 GiB, one and eight connections", others.large),
    Workload("6", "304 Not Modified, kept alive", workloads.not_modified),
    Workload("7", "1 KiB, kept alive, beside 9,000 idle connections", crowds.idle, crowds.no_processes, once=True),
    Workload("8", "1 KiB, kept alive, beside 500 slow readers", crowds.slow, crowds.no_turns, once=True),
    Workload("9", "A page with 50 files in Chromium", others.browser),
    Workload("10", "Start-up: process start to first response", others.start_up),
    Workload("12", "The client: 1 KiB over one kept connection, beside requests.Session", clients.small_files),
)
TITLES = {workload.key: workload.title for workload in WORKLOADS}
