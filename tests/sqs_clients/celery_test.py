"""A Celery worker takes its tasks from the real server: sent, fetched by asynchronous long polls, acknowledged.

Arguments: millraced, millrace.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from server import STRICT, serve

TASKS = 20
SECONDS_MAX = 60
STOP_SECONDS_MAX = 30

SERVER = None


class Worker(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.output = os.path.join(self.folder.name, "done")
        os.environ.update({"MILLRACE_HTTP": SERVER.http, "MILLRACE_TEST_OUTPUT": self.output})

    def done(self):
        if not os.path.exists(self.output):
            return []
        with open(self.output, encoding="utf-8") as file:
            return file.read().splitlines()

    def wait_until(self, condition):
        deadline = time.monotonic() + SECONDS_MAX
        while not condition():
            self.assertIsNone(self.worker.poll(), self.log())
            self.assertLess(time.monotonic(), deadline, f"{self.done()} {self.log()}")
            time.sleep(0.05)

    def log(self):
        with open(os.path.join(self.folder.name, "log"), encoding="utf-8") as file:
            return file.read()[-4000:]

    def start_worker(self):
        with open(os.path.join(self.folder.name, "log"), "w", encoding="utf-8") as log:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "--pool", "solo", "--loglevel", "INFO"],
                cwd=os.path.dirname(os.path.abspath(__file__)), stdout=log, stderr=log)
        self.addCleanup(self.end_worker)

    def end_worker(self):
        if self.worker.poll() is None:
            self.worker.kill()
            self.worker.wait()

    def test_tasks_are_done_once_each_retries_and_tasks_of_tasks_too(self):
        import celery_app

        for number in range(TASKS - 2):
            celery_app.fulfil.delay(number, "ünïcode ✓ <&>")
        celery_app.fail_once.delay(100)
        celery_app.chained.delay(200)
        counters = SERVER.counters("celery-orders")
        self.assertEqual((TASKS, 0, 0), counters)
        self.start_worker()
        expected = sorted([f"fulfilled {number} ünïcode ✓ <&>" for number in range(TASKS - 2)] +
                          ["retried 100", "fulfilled 200 from a task"])
        self.wait_until(lambda: len(self.done()) >= len(expected))
        # Acknowledged, each of them: nothing is left, ready or leased.
        self.wait_until(lambda: SERVER.counters("celery-orders") == (0, 0, 0))
        self.assertEqual(expected, sorted(self.done()))
        self.worker.send_signal(signal.SIGTERM)
        self.assertEqual(0, self.worker.wait(STOP_SECONDS_MAX), self.log())


if __name__ == "__main__":
    # kombu signs for itself.
    SERVER = serve(credentials=STRICT)
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    unittest.main(argv=sys.argv[:1], warnings="ignore")
