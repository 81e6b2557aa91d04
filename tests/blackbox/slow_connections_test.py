"""A thousand connections that never come to the end of a frame, on both reactors.

They may cost the server 64 KiB each and what the large frames of a shard may hold together, and other clients
nothing: those are served all along. Arguments: millraced, millrace.
"""

import os
import resource
import select
import socket
import struct
import sys
import tempfile
import unittest

import broker as programs
from broker import Broker, Failed
from data_directory import xxh3

CONNECTIONS = 1000
LARGE = 200
AT_ONCE = 200  # below the 256 of an address that have not said HELLO
WAIT_SECONDS_MAX = 30

# include/millrace/wire.h
MAGIC = 0x454341524C4C494D
HEADER = struct.Struct("<IBBHQQ")
HELLO, ECHO = 1, 2
FRAME_BYTES_MAX = 8 << 20
# docs/operations.md, and the buffers that all connections share.
EACH_BYTES = 64 << 10
SHARD_BYTES = 64 << 20
SHARED_BYTES = 24 << 20


def begin_frame(opcode, correlation, length):
    return HEADER.pack(length, opcode, 0, 0, correlation, 0)


def hello():
    body = struct.pack("<QHHI", MAGIC, 1, 1, 0)
    frame = begin_frame(HELLO, 1, HEADER.size + len(body))
    return frame[:16] + struct.pack("<Q", xxh3(frame[:16] + body, MAGIC)) + body


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def under_a_sanitizer():
    with open(programs.MILLRACED, "rb") as file:
        content = file.read()
    return b"__asan_init" in content or b"__tsan_init" in content


class SlowConnections(unittest.TestCase):
    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < CONNECTIONS + LARGE + 100:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, CONNECTIONS + LARGE + 100), hard))
        self.greeting = hello()

    def test_cost_little_and_nobody_else_anything(self):
        measured = not under_a_sanitizer()
        for reactor in ("epoll", "uring"):
            with self.subTest(reactor=reactor), tempfile.TemporaryDirectory(prefix="millrace-slow-") as folder:
                try:
                    broker = Broker(os.path.join(folder, "data"), "--shards", "1", "--segment-size", "4MiB",
                                    "--durability", "none", environment={"MILLRACE_REACTOR": reactor})
                except Failed as failed:
                    if reactor == "uring" and "io_uring" in str(failed):
                        continue
                    raise
                with broker:
                    self.one_reactor(broker, measured)

    def one_reactor(self, broker, measured):
        broker.command("queue", "create", "work")
        self.serves(broker, "alone")
        address = (broker.server.split(":")[0], int(broker.server.split(":")[1]))
        at_first = resident_bytes(broker.process.pid)

        slow = self.connect(address, CONNECTIONS)
        for peer in slow:
            peer.sendall(begin_frame(ECHO, 2, EACH_BYTES) + bytes(EACH_BYTES // 2))
        self.serves(broker, "beside half frames")
        self.assertEqual([], self.told(slow))  # none is closed, none is answered
        grown = resident_bytes(broker.process.pid) - at_first
        if measured:
            self.assertLess(grown, CONNECTIONS * EACH_BYTES + SHARED_BYTES)

        # Each offers half of the largest frame there is, as fast as the server takes it.
        large = self.connect(address, LARGE)
        for peer in large:
            peer.setblocking(False)
            peer.send(begin_frame(ECHO, 2, FRAME_BYTES_MAX))
        left = dict.fromkeys(large, FRAME_BYTES_MAX // 2)
        piece = bytes(256 << 10)
        for _ in range(20):
            for peer in self.writable(peer for peer in large if left[peer] > 0):
                try:
                    left[peer] -= peer.send(piece[:left[peer]])
                except BlockingIOError:
                    pass
                except ConnectionError:
                    left[peer] = 0  # its time was up while others waited
            self.serves(broker, "beside halves of large frames")
            grown = resident_bytes(broker.process.pid) - at_first
            if measured:
                self.assertLess(grown, (CONNECTIONS + LARGE) * EACH_BYTES + SHARD_BYTES + SHARED_BYTES)
        self.assertGreater(sum(left.values()), 0)  # the server stopped reading, the kernel is full

        for peer in slow + large:
            peer.close()
        self.serves(broker, "after them")
        self.assertEqual(0, broker.stop())

    def connect(self, address, count):
        peers = []
        for begin in range(0, count, AT_ONCE):
            group = [socket.create_connection(address, WAIT_SECONDS_MAX)
                     for _ in range(min(AT_ONCE, count - begin))]
            for at in range(len(self.greeting)):
                for peer in group:
                    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    peer.sendall(self.greeting[at:at + 1])
            for peer in group:
                answer = b""
                while len(answer) < 56:
                    piece = peer.recv(56 - len(answer))
                    self.assertNotEqual(b"", piece)
                    answer += piece
                self.assertEqual(HELLO | 0x80, answer[4])
                self.addCleanup(peer.close)
            peers += group
        return peers

    def told(self, peers):
        """Those that the server said something to, or that it closed."""
        poll = select.poll()
        for peer in peers:
            poll.register(peer, select.POLLIN)
        return poll.poll(0)

    def writable(self, peers):
        poll = select.poll()
        by_number = {}
        for peer in peers:
            by_number[peer.fileno()] = peer
            poll.register(peer, select.POLLOUT)
        return [by_number[number] for number, _ in poll.poll(20)]

    def serves(self, broker, body):
        broker.command("send", "work", body)
        self.assertEqual([body], broker.drain("work"))


if __name__ == "__main__":
    programs.use_programs(*sys.argv[1:3])
    unittest.main(argv=sys.argv[:1])
