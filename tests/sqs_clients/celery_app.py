"""The application that celery_test.py's worker and its producer share, as a user would write it: only the broker's
address is not Amazon's.
"""

import os

from celery import Celery

app = Celery("orders", broker="sqs://{AWS_ACCESS_KEY_ID}:{AWS_SECRET_ACCESS_KEY}@{MILLRACE_HTTP}".format(**os.environ))
app.conf.update(
    broker_transport_options={
        "region": "us-east-1", "is_secure": False, "visibility_timeout": 60, "wait_time_seconds": 5,
        "polling_interval": 0.1, "queue_name_prefix": "celery-"},
    task_default_queue="orders", worker_hijack_root_logger=False, task_acks_late=True,
    task_create_missing_queues=True)


def write_down(line):
    with open(os.environ["MILLRACE_TEST_OUTPUT"], "a", encoding="utf-8") as file:
        file.write(line + "\n")


@app.task
def fulfil(number, note):
    write_down(f"fulfilled {number} {note}")


@app.task(bind=True, max_retries=2, default_retry_delay=0)
def fail_once(self, number):
    if self.request.retries == 0:
        raise self.retry()
    write_down(f"retried {number}")


@app.task
def chained(number):
    fulfil.apply_async((number, "from a task"))
