"""Memory, the wall clock and the disk's time of a server under test, taken from it by fault_preload.c."""

import contextlib
import mmap
import os
import struct
import tempfile

OPERATOR_NEW, MALLOC, MAP = 1, 2, 4
FORMAT = "6q"  # as struct Faults
WALL_SHIFT_AT = struct.calcsize("4q")
SYNC_AT = struct.calcsize("5q")


class Faults(contextlib.AbstractContextManager):
    def __init__(self, preload):
        self.preload = os.path.abspath(preload)
        self.file = tempfile.NamedTemporaryFile(prefix="millrace-faults-")
        self.file.write(bytes(mmap.PAGESIZE))
        self.file.flush()
        self.map = mmap.mmap(self.file.fileno(), mmap.PAGESIZE)

    def __exit__(self, *_):
        self.map.close()
        self.file.close()

    def environment(self):
        return {"LD_PRELOAD": self.preload, "MILLRACE_FAULTS": self.file.name}

    def arm(self, nth, kinds, for_ever=False):
        """The `nth` allocation of such a kind from now on fails."""
        struct.pack_into("4q", self.map, 0, 0, int(for_ever), kinds, 0)
        struct.pack_into("q", self.map, 0, nth)

    def disarm(self):
        struct.pack_into("q", self.map, 0, 0)

    def failed(self):
        return struct.unpack_from(FORMAT, self.map)[3]

    def shift_wall(self, milliseconds):
        """The server's wall clock is so far from ours."""
        struct.pack_into("q", self.map, WALL_SHIFT_AT, milliseconds * 1_000_000)

    def slow_syncs(self, seconds):
        """Each sync of the server takes so much longer, one under way too; less is felt at once."""
        struct.pack_into("q", self.map, SYNC_AT, int(seconds * 1e9))
