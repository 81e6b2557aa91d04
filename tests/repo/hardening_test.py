"""What the linker and the compiler were asked for is in the programs: they lie anywhere in memory, what is resolved at
the start can't be written afterwards, no stack is executable, and the checks of stack and buffers are in.

Arguments: programs.
"""

import re
import subprocess
import sys


def findings(program):
    said = subprocess.run(["readelf", "--wide", "--file-header", "--program-headers", "--dynamic", "--dyn-syms",
                           program], check=True, capture_output=True, text=True).stdout
    wanted = (
        ("is not position independent", r"Type:\s+DYN \(Position-Independent"),
        ("has no flag PIE", r"FLAGS_1\).*\bPIE\b"),
        ("binds lazily", r"FLAGS\).*BIND_NOW|FLAGS_1\).*\bNOW\b"),
        ("has no read-only relocations", r"GNU_RELRO"),
        ("has an executable stack", r"GNU_STACK\s+\S+\s+\S+\s+\S+\s+\S+\s+\S+\s+RW\s"),
        ("has no stack protector", r"__stack_chk_fail"),
        ("has no fortified calls", r"__(?:memcpy|memset|memmove|snprintf|vsnprintf|fprintf|printf|read|pread\d*)_chk"),
    )
    for fault, pattern in wanted:
        if not re.search(pattern, said):
            yield f"{program} {fault}"
    for segment in re.findall(r"^\s+LOAD.*$", said, re.MULTILINE):
        if re.search(r"\bRWE\b", segment):
            yield f"{program} has a segment that can be written and executed"


def main():
    found = [line for program in sys.argv[1:] for line in findings(program)]
    print("\n".join(found) or f"{len(sys.argv) - 1} programs are hardened")
    sys.exit(1 if found else 0)


main()
