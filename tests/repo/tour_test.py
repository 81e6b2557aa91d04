"""Runs a section of a page as it would be pasted, against the programs of this build: the tour in README.md, and others.
Arguments: page, folder of the programs, heading.

Under the heading every ```sh block is run by one bash, in order; a ```text block
after it is what it must print, where … stands for anything within a line. The broker is the test's own,
on free ports and a temporary directory; MILLRACE_SERVER and SQS_ENDPOINT say where, so the commands stay as they are.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import unittest

PAGE, PROGRAMS = (os.path.abspath(path) for path in sys.argv[1:3])
HEADING = f"## {sys.argv[3]}\n"
# The block that starts the broker is for the reader's other terminal.
SKIPPED = "tools/quickstart"
STEP_SECONDS_MAX = 60
START_SECONDS_MAX = 30


def steps(text):
    """(commands, expected output or None) for each sh block of the tour."""
    tour = text.split(HEADING, 1)[1].split("\n## ", 1)[0]
    found = []
    for kind, body in re.findall(r"^```(sh|text)\n(.*?)^```$", tour, re.M | re.S):
        if kind == "sh":
            found.append([body, None])
        else:
            found[-1][1] = body
    return [step for step in found if SKIPPED not in step[0]]


def squeezed(text):
    """The text with runs of spaces as one: an age of four letters makes its column wider."""
    return "\n".join(re.sub(" +", " ", line).strip() for line in text.rstrip("\n").split("\n"))


def matches(expected, printed):
    pattern = ".*".join(re.escape(part) for part in squeezed(expected).split("…"))
    return re.fullmatch(pattern, squeezed(printed))


class Broker:
    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [os.path.join(PROGRAMS, "millraced"), "--data", os.path.join(self.folder.name, "data"),
             "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            line = self.process.stdout.readline()
            if not line or line.startswith("millraced ready:"):
                break
        self.address = re.search(r"binary=(\S+)", line).group(1)
        self.http = re.search(r"http=(\S+)", line).group(1)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.status = self.process.wait(START_SECONDS_MAX)
        finally:
            self.process.kill()
            self.process.stdout.close()
            self.folder.cleanup()


class Tour(unittest.TestCase):
    def test_works_as_pasted_and_prints_what_it_says(self):
        with open(PAGE, encoding="utf-8") as file:
            tour = steps(file.read())
        self.assertGreaterEqual(len(tour), 3)
        with Broker() as broker, tempfile.TemporaryDirectory() as folder:
            # One shell for all blocks: each may use what an earlier one set.
            shell = ["bash", "-euo", "pipefail", "-c"]
            marker = "--- end of block ---"
            script = "".join(f"{commands}echo '{marker}'\n" for commands, _ in tour)
            environment = {**os.environ, "MILLRACE_SERVER": broker.address, "SQS_ENDPOINT": f"http://{broker.http}",
                           "PATH": PROGRAMS + os.pathsep + os.environ["PATH"]}
            ran = subprocess.run(shell + [script], cwd=folder, env=environment, text=True,
                                 capture_output=True, stdin=subprocess.DEVNULL,
                                 timeout=STEP_SECONDS_MAX)
            self.assertEqual(0, ran.returncode, ran.stdout + ran.stderr)
            printed = ran.stdout.split(marker + "\n")
            for (commands, expected), output in zip(tour, printed):
                with self.subTest(commands=commands):
                    if expected is not None:
                        self.assertTrue(matches(expected, output),
                                        f"the page says\n{expected}\nand it prints\n{output}")
        self.assertEqual(0, broker.status)

    def test_an_expected_line_stands_for_itself_but_for_the_ellipsis(self):
        self.assertTrue(matches("id …  ready 3\n", "id 17  ready 3 \n"))
        self.assertFalse(matches("id …  ready 3\n", "id 17  ready 4\n"))
        self.assertFalse(matches("one …\n", "one two\nthree\n"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
