"""Runs a file of Node's tests against a server of its own, which lets in only what is signed.

usage: node_test.py FILE.mjs MILLRACED MILLRACE
"""

import os
import subprocess
import sys

SECONDS_MAX = 120

script = sys.argv.pop(1)

from server import STRICT, serve  # pylint: disable=wrong-import-position

server = serve(credentials=STRICT)
ended = subprocess.run(["node", "--test", script], env={**os.environ, "MILLRACE_ENDPOINT": server.endpoint},
                       timeout=SECONDS_MAX, check=False)
sys.exit(ended.returncode)
