"""The example in clients/cpp/README.md is the one in example.cc, and it runs against a broker.

usage: readme_test.py ROOT MILLRACED EXAMPLE
"""

import re
import subprocess
import sys
import tempfile
import textwrap


def main():
    root, millraced, example = sys.argv[1:]
    with open(root + "/clients/cpp/README.md", encoding="utf-8") as file:
        shown = re.search(r"```cpp\n(.*?)```", file.read(), re.S).group(1)
    with open(root + "/clients/cpp/example.cc", encoding="utf-8") as file:
        source = re.search(r"// readme: begin\n(.*?) *// readme: end", file.read(), re.S).group(1)
    assert textwrap.dedent(source) == shown, "README.md and example.cc differ"

    with tempfile.TemporaryDirectory() as folder:
        broker = subprocess.Popen(
            [millraced, "--data", folder + "/data", "--listen", "127.0.0.1:0", "--http", "off",
             "--shards", "1", "--segment-size", "4MiB"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            ready = broker.stdout.readline()
            address = re.search(r"binary=(\S+)", ready).group(1)
            run = subprocess.run([example, address], capture_output=True, text=True, timeout=30)
            assert run.returncode == 0, run.stdout + run.stderr
            assert run.stdout == "stored 100, received 100, acknowledged 100\n", run.stdout
            broker.terminate()
            assert broker.wait(timeout=10) == 0
        finally:
            broker.kill()
            broker.wait()


if __name__ == "__main__":
    main()
