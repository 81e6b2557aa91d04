"""Memory that a virtual machine's host has not given yet.

A host may take back what a guest leaves free. The first use of such a page then waits for the host, in the middle of whatever
instruction touches it: in the page cache, for a broker. Measured here: up to 9 us for 4 KiB, that is 0.4 GB/s, where pages that
were there took 8 GB/s; free ones were gone again within a minute. It is no property of what is measured, so it is done before.
"""

import mmap
import time

MADV_POPULATE_WRITE = 23  # Linux 5.14
PAGE_BYTES = 4096


def available_bytes():
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def warm(size_bytes):
    """Uses so much memory once, at most half of what is available, and lets go of it: microseconds for each page of it."""
    size_bytes = min(size_bytes, available_bytes() // 2) // PAGE_BYTES * PAGE_BYTES
    if size_bytes == 0:
        return 0.0
    began = time.monotonic()
    with mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        try:
            memory.madvise(MADV_POPULATE_WRITE)
        except OSError:  # an older kernel
            for at in range(0, size_bytes, PAGE_BYTES):
                memory[at] = 1
        taken = time.monotonic() - began
    return taken / (size_bytes / PAGE_BYTES) * 1e6
