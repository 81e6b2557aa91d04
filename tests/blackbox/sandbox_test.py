"""Where the real server writes: in its data directory and nowhere else, in files that are its owner's only, and by
names that follow no link. So it runs in the sandbox of docs/operations.md.

The first tests watch it with strace, the last gives it a file system that is read-only but for the data
directory; what the machine does not allow is skipped. Arguments: millraced, millrace.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import unittest

import broker as programs
from broker import Broker

CALLS = ("openat,open,creat,openat2,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,"
         "symlinkat,truncate,mknod,mknodat,chmod,fchmodat,chown,fchownat")
# What is opened for writing elsewhere: no files.
DEVICES = ("/dev/null", "/dev/pts/", "/dev/tty", "/proc/self/", "/sys/")
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")
CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)$")
FOLDER = re.compile(r"^(?:AT_FDCWD|\d+)(?:<([^>]*)>)?, ")
FLAGS = ("--shards", "2", "--segment-size", "4MiB", "--max-disk", "256MiB")


class Sandbox(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = os.path.realpath(folder.name)
        self.data = os.path.join(self.folder, "data")

    def use(self, broker):
        """Whatever makes files: queues, messages, a rotation, a redrive, a clean stop."""
        broker.command("queue", "create", "dead")
        broker.command("queue", "create", "../work".replace("../", ""), "--dlq", "dead", "--max-receives", "1")
        broker.command("queue", "create", "work.fifo", "--fifo")
        body = "x" * 4000
        for _ in range(3):
            broker.command("send", "work", "--lines", stdin="\n".join([body] * 1000).encode())
        self.assertEqual(len(broker.drain("work")), 3000)
        self.assertEqual(broker.stop(), 0)

    def script(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o700)
        return path

    def use_started_by(self, script):
        plain = programs.MILLRACED
        try:
            programs.MILLRACED = script
            with Broker(self.data, *FLAGS) as broker:
                self.use(broker)
        finally:
            programs.MILLRACED = plain

    @staticmethod
    def text_of(path):
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def traced_calls(self):
        """(call, path, arguments) of all that happened in two lives of a server, the second after a kill."""
        if shutil.which("strace") is None:
            self.skipTest("no strace")
        trace = os.path.join(self.folder, "trace")
        wrapper = self.script("traced", f"#!/bin/sh\nexec strace -D -f -y -o {trace} -e trace={CALLS} "
                                        f'{programs.MILLRACED} "$@"\n')
        probe = subprocess.run(["strace", "-o", trace, "true"], capture_output=True, check=False)
        if probe.returncode != 0:
            self.skipTest("strace is not allowed")
        with Broker(self.data, *FLAGS) as broker:
            broker.command("queue", "create", "before")
            broker.kill()
        self.use_started_by(wrapper)
        # The tracer ends a moment after what it traces.
        deadline = time.monotonic() + programs.STOP_SECONDS_MAX
        while "+++ exited with 0 +++" not in self.text_of(trace) and time.monotonic() < deadline:
            time.sleep(0.05)
        calls = []
        for line in self.text_of(trace).splitlines():
            call = CALL.match(line)
            if call is None:
                continue
            arguments = call.group(2)
            folder = FOLDER.match(arguments)
            name = re.search(r'"((?:[^"\\]|\\.)*)"', arguments)
            if name is None:
                continue
            within = folder.group(1) if folder and folder.group(1) else os.getcwd()
            calls.append((call.group(1), os.path.normpath(os.path.join(within, name.group(1))), arguments))
        self.assertGreater(len(calls), 20)
        return calls

    def test_it_writes_in_its_data_directory_only_and_follows_no_link_there(self):
        written = looked_up = 0
        for call, path, arguments in self.traced_calls():
            inside = path == self.data or path.startswith(self.data + "/")
            changes = not call.startswith("open") or WRITES.search(arguments)
            if changes and not path.startswith(DEVICES):
                self.assertTrue(inside, f"{call}({arguments}")
                written += 1
            if inside and path != self.data and call.startswith("open") and ' "."' not in arguments:
                self.assertIn("O_NOFOLLOW", arguments)
                looked_up += 1
        self.assertGreater(written, 5)
        self.assertGreater(looked_up, 5)

    def test_all_that_it_makes_is_its_owners_only(self):
        before = os.umask(0)
        try:
            with Broker(self.data, *FLAGS, "--audit", os.path.join(self.folder, "audit.log")) as broker:
                self.use(broker)
        finally:
            os.umask(before)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.folder, "audit.log")).st_mode), 0o600)
        seen = 0
        for folder, _, names in os.walk(self.data):
            self.assertEqual(stat.S_IMODE(os.lstat(folder).st_mode), 0o700, folder)
            for name in names:
                path = os.path.join(folder, name)
                self.assertEqual(stat.S_IMODE(os.lstat(path).st_mode), 0o600, path)
                self.assertNotRegex(path[len(self.data):], "work|dead|before")
                seen += 1
        self.assertGreater(seen, 5)

    def test_it_serves_where_nothing_but_the_data_directory_can_be_written(self):
        os.mkdir(self.data, 0o700)
        wrapper = self.script("confined", "#!/bin/sh\nset -e\n"
                                          f"mount --bind {self.data} {self.data}\n"
                                          "mount -o remount,bind,ro /\n"
                                          f"if touch {self.folder}/no 2>/dev/null; then exit 9; fi\n"
                                          f'exec {programs.MILLRACED} "$@"\n')
        outer = self.script("unshared", f'#!/bin/sh\nexec unshare --user --map-root-user --mount {wrapper} "$@"\n')
        probe = subprocess.run([outer, "--version"], capture_output=True, check=False)
        if probe.returncode != 0:
            self.skipTest(f"no read-only file system here: {probe.stderr.decode().strip()}")
        self.use_started_by(outer)


if __name__ == "__main__":
    programs.use_programs(*sys.argv[1:3])
    unittest.main(argv=sys.argv[:1], verbosity=2)
