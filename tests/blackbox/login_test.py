"""Log-ins on the binary protocol and the audit log, as a client written from docs/wire-protocol.md alone and
the command line meet them on the real server.

Arguments: millraced, millrace.
"""

import hashlib
import hmac
import json
import os
import signal
import socket
import ssl
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import broker as programs
from broker import Broker, millrace, start_refused
from data_directory import xxh3

SECONDS_MAX = 30
MAGIC = 0x454341524C4C494D
HELLO, ECHO, RESOLVE, SEND, LOGIN, LOGIN_PROOF, ERROR = 1, 2, 3, 4, 32, 33, 0x7F
FRAME_TOO_LARGE, LOGIN_REQUIRED, LOGIN_REFUSED, OVER_LIMIT, ACCESS_DENIED, TIMED_OUT = 6, 7, 8, 27, 36, 52
ROOT = (b"AKIAROOT", b"0123456789abcdef-root")
ORDERS = (b"AKIAORDERS", b"0123456789abcdef-orders")
KEYS = """
[[user]]
name = "orders"
[[user.rule]]
allow = ["SendMessage", "GetQueueUrl"]
queues = ["orders*"]
[[key]]
id = "AKIAROOT"
secret = "0123456789abcdef-root"
"""
KEY_OF_ORDERS = """
[[key]]
id = "AKIAORDERS"
secret = "0123456789abcdef-orders"
user = "orders"
"""
FLAGS = ("--shards", "2", "--segment-size", "4MiB", "--max-disk", "256MiB", "--durability", "none")


def padded(body):
    return body + bytes(-len(body) % 8)


class Wire:
    """A connection, frame by frame."""

    def __init__(self, address, context=None):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=SECONDS_MAX)
        if context:
            self.socket = context.wrap_socket(self.socket)
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, opcode, body=b""):
        self.correlation += 1
        head = struct.pack("<IBBHQ", 24 + len(body), opcode, 0, 0, self.correlation)
        self.socket.sendall(head + struct.pack("<Q", xxh3(head + body, MAGIC)) + body)

    def take(self, size):
        taken = b""
        while len(taken) < size:
            piece = self.socket.recv(size - len(taken))
            if not piece:
                return taken
            taken += piece
        return taken

    def hear(self):
        """(opcode, status, correlation, body); None at the end."""
        head = self.take(24)
        if not head:
            return None
        length, opcode, _, status, correlation, _ = struct.unpack("<IBBHQQ", head)
        return opcode, status, correlation, self.take(length - 24)

    def ask(self, opcode, body=b""):
        self.say(opcode, body)
        return self.hear()

    def hello(self):
        return self.ask(HELLO, struct.pack("<QHHHH", MAGIC, 1, 1, 0, 0))

    def login(self, key, secret, binding=0, nonce=None, proof=None):
        """The answer to the proof, or what came before it; and the proof."""
        first = padded((nonce or os.urandom(32)) + struct.pack("<HB5x", len(key), binding) + key)
        answer = self.ask(LOGIN, first)
        if answer[0] != LOGIN | 0x80:
            return answer, None
        challenge = answer[3]
        salt, iterations = challenge[32:48], struct.unpack_from("<I", challenge, 48)[0]

        def mac(key, text):
            return hmac.new(key, text, hashlib.sha256).digest()
        salted = hashlib.pbkdf2_hmac("sha256", secret, salt, iterations)
        client_key = mac(salted, b"Client Key")
        transcript = b"millrace log-in 1\n" + first + challenge
        signature = mac(hashlib.sha256(client_key).digest(), transcript)
        proof = proof or bytes(a ^ b for a, b in zip(client_key, signature))
        answer = self.ask(LOGIN_PROOF, proof)
        if answer[0] == LOGIN_PROOF | 0x80:
            assert answer[3] == mac(mac(salted, b"Server Key"), transcript), "the server's own proof"
        return answer, proof


class Login(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.keys = self.write("keys.toml", KEYS + KEY_OF_ORDERS)
        self.audit = os.path.join(self.folder, "audit.log")

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def start(self, *flags, http="off"):
        return Broker(os.path.join(self.folder, "data"), *FLAGS, "--credentials", self.keys, "--audit", self.audit,
                      *flags, http=http)

    def told(self, path=None):
        with open(path or self.audit, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def wait_for(self, event, count=1, path=None):
        deadline = time.monotonic() + SECONDS_MAX
        while True:
            found = [line for line in self.told(path) if line["event"] == event]
            if len(found) >= count or time.monotonic() > deadline:
                self.assertGreaterEqual(len(found), count, event)
                return found
            time.sleep(0.01)

    def command(self, broker, key, *words):
        secret = self.write("secret", key[1].decode() + "\n")
        return millrace("--json", "--user", key[0].decode(), "--secret-file", secret, *words, server=broker.server)

    def refused(self, answer, code):
        self.assertEqual((answer[0], answer[1], answer[2]), (ERROR, code, 0))

    def test_a_client_made_from_the_document_gets_in_and_others_do_not(self):
        with self.start() as broker:
            with Wire(broker.server) as wire:
                self.assertEqual(wire.hello()[3][15], 1)
                answer, proof = wire.login(*ROOT, nonce=b"n" * 32)
                self.assertEqual(answer[0], LOGIN_PROOF | 0x80)
                self.assertEqual(wire.ask(ECHO, b"12345678")[3], b"12345678")
            for key, secret, old in ((ROOT[0], b"0123456789abcdef-rooT", None), (b"AKIANOBODY", ROOT[1], None),
                                     (ROOT[0], ROOT[1], proof)):
                with Wire(broker.server) as wire:
                    wire.hello()
                    answer, _ = wire.login(key, secret, nonce=b"n" * 32, proof=old)
                    self.refused(answer, LOGIN_REFUSED)
                    self.assertIsNone(wire.hear())
            # An older client, which knows no log-in.
            with Wire(broker.server) as wire:
                wire.hello()
                self.refused(wire.ask(RESOLVE, b"orders-1"), LOGIN_REQUIRED)
                self.assertIsNone(wire.hear())
            with Wire(broker.server) as wire:
                wire.hello()
                wire.socket.sendall(struct.pack("<I", 4104))
                self.refused(wire.hear(), FRAME_TOO_LARGE)
            self.assertEqual(broker.stop(), 0)
        events = [line["event"] for line in self.told()]
        self.assertEqual(events, ["server.started", "login.accepted"] + 3 * ["login.refused"] + ["server.stopped"])
        self.assertEqual(stat.S_IMODE(os.stat(self.audit).st_mode), 0o600)

    def test_who_does_not_log_in_in_five_seconds_is_sent_away(self):
        with self.start() as broker, Wire(broker.server) as silent, Wire(broker.server) as slow, \
                Wire(broker.server) as inside:
            slow.hello()
            inside.hello()
            self.assertEqual(inside.login(*ROOT)[0][0], LOGIN_PROOF | 0x80)
            before = time.monotonic()
            # The challenge is no reason to wait longer.
            time.sleep(2)
            self.assertEqual(slow.ask(LOGIN, padded(bytes(32) + struct.pack("<HB5x", 8, 0) + ROOT[0]))[0],
                             LOGIN | 0x80)
            self.refused(slow.hear(), TIMED_OUT)
            self.refused(silent.hear(), TIMED_OUT)
            self.assertGreater(time.monotonic() - before, 4)
            self.assertEqual(inside.ask(ECHO)[0], ECHO | 0x80)

    def test_an_address_has_256_connections_until_they_log_in(self):
        with self.start() as broker:
            waiting = [Wire(broker.server) for _ in range(256)]
            try:
                for wire in waiting:
                    wire.hello()
                with Wire(broker.server) as one_more:
                    self.refused(one_more.hear(), OVER_LIMIT)
                self.assertEqual(waiting[0].login(*ROOT)[0][0], LOGIN_PROOF | 0x80)
                with Wire(broker.server) as one_more:
                    self.assertEqual(one_more.hello()[0], HELLO | 0x80)
            finally:
                for wire in waiting:
                    wire.socket.close()

    def test_the_command_line_logs_in_and_may_what_its_policies_say(self):
        with self.start(http="127.0.0.1:0") as broker:
            nobody = millrace("queue", "list", server=broker.server)
            self.assertEqual((nobody.returncode, nobody.stdout), (1, b""))
            self.assertIn(b"it wants an access key", nobody.stderr)
            self.assertEqual(self.command(broker, ROOT, "queue", "create", "orders-1").returncode, 0)
            self.assertEqual(self.command(broker, ORDERS, "send", "orders-1", "hello").returncode, 0)
            for words in (("receive", "orders-1"), ("queue", "delete", "orders-1"), ("queue", "create", "x"),
                          ("queue", "list"), ("queue", "set", "orders-1", "DelaySeconds=1"), ("send", "other", "x")):
                ended = self.command(broker, ORDERS, *words)
                self.assertEqual(ended.returncode, 1, words)
                self.assertIn(b"is not authorized to perform", ended.stderr)
            wrong = self.command(broker, (ROOT[0], b"wrong"), "queue", "list")
            self.assertIn(b"the access key or its secret is not right", wrong.stderr)
            # By the environment, and what is only half of it.
            environment = {**os.environ, "MILLRACE_SERVER": broker.server, "MILLRACE_ACCESS_KEY_ID": "AKIAROOT"}
            half = subprocess.run([programs.MILLRACE, "queue", "list"], env=environment, capture_output=True,
                                  timeout=SECONDS_MAX, check=False)
            self.assertEqual(half.returncode, 1)
            self.assertIn(b"without its secret", half.stderr)
            environment["MILLRACE_SECRET_ACCESS_KEY"] = ROOT[1].decode()
            whole = subprocess.run([programs.MILLRACE, "queue", "list"], env=environment, capture_output=True,
                                   timeout=SECONDS_MAX, check=False)
            self.assertIn(b"orders-1", whole.stdout)
            # A secret that others may read is not used.
            self.write("open", ROOT[1].decode(), 0o644)
            ended = millrace("--user", "AKIAROOT", "--secret-file", os.path.join(self.folder, "open"), "queue", "list",
                             server=broker.server)
            self.assertIn(b"chmod 600", ended.stderr)
            self.assertEqual(broker.stop(), 0)
            log = broker.log()
        denied = [(line["action"], line["queue"] if "queue" in line else "") for line in self.told()
                  if line["event"] == "access.denied"]
        self.assertEqual(denied, [("ReceiveMessage", "orders-1"), ("DeleteQueue", "orders-1"), ("CreateQueue", "x"),
                                  ("ListQueues", ""), ("SetQueueAttributes", "orders-1"), ("GetQueueUrl", "other")])
        self.assertEqual([line["key"] for line in self.told() if line["event"] == "queue.created"], ["AKIAROOT"])
        with open(self.audit, encoding="utf-8") as file:
            for text in (file.read(), log):
                for part in ("0123456789abcdef", "hello"):
                    self.assertNotIn(part, text)

    def test_http_is_told_of_as_well_and_sighup_opens_the_file_again(self):
        with self.start(http="127.0.0.1:0") as broker:
            host, port = broker.http.rsplit(":", 1)
            with socket.create_connection((host, int(port)), timeout=SECONDS_MAX) as http:
                http.sendall(b"GET /?Action=ListQueues HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                answer = b"".join(iter(lambda: http.recv(4096), b""))
            refused = self.wait_for("signature.refused")[0]
            self.assertEqual((refused["via"], refused["from"], refused["result"]), ("http", "127.0.0.1", "AccessDenied"))
            self.assertIn(refused["request"].encode(), answer)
            old = self.audit + ".1"
            os.rename(self.audit, old)
            self.write("keys.toml", KEYS)
            with Wire(broker.server) as orders, Wire(broker.server) as root:
                for wire, key in ((orders, ORDERS), (root, ROOT)):
                    wire.hello()
                    self.assertEqual(wire.login(*key)[0][0], LOGIN_PROOF | 0x80)
                # Lines are written behind the answer: what is not in the file by now would go to the next one.
                self.wait_for("login.accepted", 2, old)
                broker.process.send_signal(signal.SIGHUP)
                deadline = time.monotonic() + SECONDS_MAX
                while not os.path.exists(self.audit) and time.monotonic() < deadline:
                    time.sleep(0.01)
                reread = self.wait_for("settings.reread", 2)
                self.assertEqual([line["result"] for line in reread], ["ok", "ok"])
                # The key is gone, and with it who came with it.
                self.refused(orders.ask(ECHO), LOGIN_REFUSED)
                self.assertEqual(root.ask(ECHO)[0], ECHO | 0x80)
            self.write("keys.toml", KEYS, 0o644)
            broker.process.send_signal(signal.SIGHUP)
            self.assertEqual(self.wait_for("settings.reread", 4)[3]["result"], "refused")
            self.assertEqual(len([line for line in self.told(old) if line["event"] == "login.accepted"]), 2)
            self.assertEqual(broker.stop(), 0)

    def test_a_flood_of_refusals_is_counted_and_bounded(self):
        with self.start() as broker:
            refused = 0
            for _ in range(240):  # on a machine that stands still a log-in may be too late
                with Wire(broker.server) as wire:
                    wire.hello()
                    refused += wire.login(b"AKIANOBODY", b"x")[0][1] == LOGIN_REFUSED
                if refused == 120:
                    break
            self.assertEqual(broker.stop(), 0)
        lines = [line for line in self.told() if line["event"] == "login.refused"]
        single = [line for line in lines if "count" not in line]
        self.assertEqual(len(single) + sum(line.get("count", 0) for line in lines), 120)
        self.assertLess(len(lines), 120)

    def test_over_tls_a_log_in_must_be_bound_and_other_machines_may_come(self):
        certificate, key = (os.path.join(self.folder, name) for name in ("c.pem", "k.pem"))
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                               "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
                              capture_output=True, timeout=SECONDS_MAX, check=False)
        if made.returncode != 0:
            self.skipTest("no openssl")
        os.chmod(key, 0o600)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        tls = ("--tls-cert", certificate, "--tls-key", key)
        with self.start(*tls) as broker:
            with Wire(broker.server, context) as wire:
                wire.hello()
                answer, _ = wire.login(*ROOT)
                self.refused(answer, LOGIN_REFUSED)
                self.assertIn(b"must be bound", answer[3])
            with Wire(broker.server, context) as wire:
                wire.hello()
                answer, _ = wire.login(*ROOT, binding=1)  # but with an empty one
                self.refused(answer, LOGIN_REFUSED)
        keys = ("--credentials", self.keys)
        for flags, part in (((), "there is neither"), (tls, "no authentication"), (keys, "no encryption"),
                            (tls + keys, "")):
            ended = subprocess.run([programs.MILLRACED, "--listen", "0.0.0.0:0", "--http", "off", "--check-config",
                                    *flags], capture_output=True, timeout=SECONDS_MAX, check=False)
            self.assertEqual(ended.returncode, 2 if part else 0, flags)
            self.assertIn(part.encode(), ended.stderr)

    def test_an_audit_file_that_cannot_be_used_refuses_the_start(self):
        self.write("open.log", "", 0o644)
        os.symlink(self.audit, os.path.join(self.folder, "link.log"))
        for name, part in (("open.log", "chmod 600"), ("link.log", "link"), ("no/such", "No such file")):
            code, said = start_refused(os.path.join(self.folder, "other"), "--audit", os.path.join(self.folder, name))
            self.assertEqual(code, 2, said)
            self.assertIn(part, said)
        self.assertFalse(os.path.exists(self.audit))

    def test_credentials_behind_a_link_are_refused(self):
        link = os.path.join(self.folder, "linked.toml")
        os.symlink(self.keys, link)
        code, said = start_refused(os.path.join(self.folder, "other"), "--credentials", link)
        self.assertEqual(code, 2)
        self.assertIn("link", said)


if __name__ == "__main__":
    programs.use_programs(*sys.argv[1:3])
    unittest.main(argv=sys.argv[:1], verbosity=2)
