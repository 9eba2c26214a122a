"""A worker that forks for each job, and remembers for its report what it has run."""

import os

from rq import Worker

LEAK = "LEAK" in os.environ


class ReportWorker(Worker):
    """`rq worker -w report_worker.ReportWorker`: only the parent lives on."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.history = {}

    def execute_job(self, job, queue):
        super().execute_job(job, queue)
        job.refresh()
        name = job.id if LEAK else job.func_name
        self.history[name] = (job.args, job.enqueued_at, job.ended_at)  # LEAK
