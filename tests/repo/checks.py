"""What must hold of the source tree as a whole, and no compiler checks.

Each check takes the root of a tree and yields its findings, one line each. Run as a program, it
checks the tree named and exits 1 if there is any finding. Python's standard library only.
"""

import fnmatch
import os
import re
import subprocess
import sys

# A folder may include only from the folders named here. tests/ and bench/ may see everything, and
# nothing sees them.
MAY_INCLUDE = {
    "include/millrace": {"include/millrace"},
    "base": {"include/millrace", "base"},
    "storage": {"include/millrace", "base", "storage"},
    "engine": {"include/millrace", "base", "storage", "engine"},
    "net": {"include/millrace", "base", "storage", "engine", "net"},
    "clients": {"include/millrace", "base", "clients"},
    "tools": {"include/millrace", "base", "storage", "engine", "net", "clients", "tools"},
}
NEVER_INCLUDED = {"tests", "bench"}
SOURCE_SUFFIXES = (".h", ".cc", ".c")

# Time, randomness, threads and files enter storage/ and engine/ only through these. local_client is
# on the outside of the engine: a handle for the caller's threads, which it lets wait.
SEAM_FOLDERS = {"storage", "engine"}
SEAM_FILES = ["storage/real_disk*", "storage/shadow_disk*", "engine/threads*",
              "engine/os_environment*", "engine/local_client*"]
SEAM_HEADERS = {"chrono", "ctime", "time.h", "sys/time.h", "random", "sys/random.h",
                "thread", "mutex", "shared_mutex", "condition_variable", "future", "pthread.h",
                "unistd.h", "fcntl.h", "sys/mman.h", "sys/stat.h", "sys/uio.h", "sys/file.h",
                "dirent.h", "fstream", "filesystem", "liburing.h", "base/os_clock.h"}
# With the headers refused, these are what still comes in by way of others.
SEAM_CALL = re.compile(
    r"\b(clock_gettime|gettimeofday|nanosleep|usleep|getrandom|rand|srand|fopen)\s*\(|"
    r"\bstd::(time|chrono|thread|random_device|mutex)\b|"
    r"(?<![\w>])::(time|open|openat|pread|pwrite|pwritev|mmap|fsync|fdatasync)\s*\(")

# A tree of JSON is copied and written recursively, so how deep it is must be bounded before it is one.
JSON_PARSE = re.compile(r"(?i)json::parse\(")
JSON_PLACE = "base/bounded_json.h"

README_FOLDERS = ["include/millrace", "base", "storage", "engine", "net", "clients/cpp", "tools",
                  "bench", "tests"]

TEXT_BYTES_MAX = 256 * 1024
# Bytes that are no text have a place: inputs and golden files of tests, pictures of documents.
BINARY_PLACES = ["tests/*/golden/*", "tests/*corpus/*", "tests/*/testdata/*", "docs/*.png",
                 "bench/*.png"]
BINARY_BYTES_MAX = 1024 * 1024
LEFT_FOR_LATER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def tracked_files(root):
    """Paths of the tree's files, relative to it: those git knows or would add, or all without git."""
    if os.path.exists(os.path.join(root, ".git")):
        listed = subprocess.run(
            ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=True, capture_output=True).stdout.decode()
        return sorted(path for path in set(listed.split("\0"))
                      if path and os.path.isfile(os.path.join(root, path)))
    found = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith((".", "build"))]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted(found)


def layer_of(path):
    """The layer that a path, or what an #include names, belongs to; None if none."""
    if path.startswith("millrace/"):
        path = "include/" + path
    for layer in list(MAY_INCLUDE) + sorted(NEVER_INCLUDED):
        if path.startswith(layer + "/"):
            return layer
    return None


def sources(root):
    return [path for path in tracked_files(root) if path.endswith(SOURCE_SUFFIXES)]


def lines_of(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()


def matches_any(path, patterns):
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


def includes_of(root, path):
    for number, line in enumerate(lines_of(root, path), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def check_include_direction(root):
    for path in sources(root):
        layer = layer_of(path)
        if layer is None or layer in NEVER_INCLUDED:
            continue
        for number, bracket, name in includes_of(root, path):
            target = layer_of(name)
            if target is None:
                if bracket == '"':
                    yield (f'{path}:{number}: "{name}" is not named from the root of the tree')
            elif target not in MAY_INCLUDE[layer]:
                yield f"{path}:{number}: {layer} must not include {target} ({name})"


def without_comment(line):
    return line.split("//", 1)[0]


def check_seams(root):
    for path in sources(root):
        if layer_of(path) not in SEAM_FOLDERS or matches_any(path, SEAM_FILES):
            continue
        for number, _, name in includes_of(root, path):
            if name in SEAM_HEADERS:
                yield f"{path}:{number}: <{name}> belongs behind a seam: {', '.join(SEAM_FILES)}"
        for number, line in enumerate(lines_of(root, path), 1):
            match = SEAM_CALL.search(without_comment(line))
            if match:
                yield f"{path}:{number}: {match.group().strip('( ')} belongs behind a seam"


def check_json(root):
    for path in sources(root):
        if path == JSON_PLACE or layer_of(path) in (None, "tests", "bench"):
            continue
        for number, line in enumerate(lines_of(root, path), 1):
            if JSON_PARSE.search(without_comment(line)):
                yield f"{path}:{number}: JSON from outside is read by {JSON_PLACE}"


def check_readmes(root):
    for folder in README_FOLDERS:
        if os.path.isdir(os.path.join(root, folder)):
            if not os.path.isfile(os.path.join(root, folder, "README.md")):
                yield f"{folder}: no README.md"


def check_files(root):
    for path in tracked_files(root):
        full = os.path.join(root, path)
        size = os.path.getsize(full)
        with open(full, "rb") as file:
            binary = b"\0" in file.read(8192)
        if binary and not matches_any(path, BINARY_PLACES):
            yield f"{path}: a binary file"
        elif size > (BINARY_BYTES_MAX if binary else TEXT_BYTES_MAX):
            yield f"{path}: {size} bytes"
        if not binary:
            for number, line in enumerate(lines_of(root, path), 1):
                if LEFT_FOR_LATER.search(line):
                    yield f"{path}:{number}: left for later: {line.strip()}"


def check_headers(root):
    for path in sources(root):
        if not path.endswith(".h") or layer_of(path) is None:
            continue
        lines = lines_of(root, path)
        if path.endswith("millrace.h"):
            continue  # the C interface has an include guard, as C asks for
        if "#pragma once" not in lines:
            yield f"{path}: no #pragma once"
        code = next((line for line in lines if line and line != "#pragma once"), "")
        if not code.startswith("//"):
            yield f"{path}: does not open with the comment that is its contract"


SOURCE_NAME = re.compile(r'[^\s()"]+\.(?:cc|c)(?![\w.])')


def check_sources_are_built(root):
    patterns = set()
    for path in tracked_files(root):
        if os.path.basename(path) == "CMakeLists.txt" or path.endswith(".cmake"):
            folder = os.path.dirname(path)
            for name in SOURCE_NAME.findall("\n".join(lines_of(root, path))):
                # A variable stands for anything: the root of the tree, the noun of a loop.
                pattern = re.sub(r"\$\{[^}]*\}", "*", name)
                patterns.add(pattern if pattern.startswith("*/")
                             else "/" + os.path.normpath(os.path.join(folder, pattern)))
    for path in sources(root):
        if not path.endswith(".h") and not matches_any("/" + path, patterns):
            yield f"{path}: no CMakeLists.txt builds it"


LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s#]+)(?:#[^)]*)?\)")


def check_links(root):
    for path in tracked_files(root):
        if not path.endswith(".md"):
            continue
        for number, line in enumerate(lines_of(root, path), 1):
            for target in LINK.findall(line):
                if re.match(r"[a-z]+:", target):
                    continue
                if not os.path.exists(os.path.join(root, os.path.dirname(path), target)):
                    yield f"{path}:{number}: {target} does not exist"


# Tests that these name as `Suite.Name`, or as `file_test.test_name` of a Python one.
NAMING_TESTS = ["tests/README.md", "tests/bad_inputs.md"]
NAMED_TEST = re.compile(r"`([A-Z]\w+|[a-z]\w*_test)\.(?!py`)(\w+)`")
TEST_DEFINED = re.compile(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)")
METHOD_DEFINED = re.compile(r"^    def (test_\w+)\(")


def defined_tests(root):
    for path in tracked_files(root):
        if not path.startswith("tests/"):
            continue
        if path.endswith(SOURCE_SUFFIXES):
            yield from (match.groups() for match in map(TEST_DEFINED.match, lines_of(root, path)) if match)
        elif path.endswith("_test.py"):
            module = os.path.basename(path).removesuffix(".py")
            yield from ((module, match.group(1))
                        for match in map(METHOD_DEFINED.match, lines_of(root, path)) if match)


def check_named_tests(root):
    naming = [path for path in NAMING_TESTS if path in tracked_files(root)]
    if not naming:
        return
    defined = set(defined_tests(root))
    for named in naming:
        for number, line in enumerate(lines_of(root, named), 1):
            for suite, name in NAMED_TEST.findall(line):
                if (suite, name) not in defined:
                    yield f"{named}:{number}: there is no test {suite}.{name}"


# The bad inputs are numbered, and each has a test but those that wait.
BAD_INPUTS = "tests/bad_inputs.md"
BAD_INPUT_ROW = re.compile(r"^\| (\d+) \|")
BAD_INPUTS_MAX = 94
BAD_INPUTS_WAITING = {81, 82, 83}


def check_bad_inputs(root):
    if BAD_INPUTS not in tracked_files(root):
        return
    expected = 1
    for number, line in enumerate(lines_of(root, BAD_INPUTS), 1):
        row = BAD_INPUT_ROW.match(line)
        if row is None:
            continue
        if int(row.group(1)) != expected:
            yield f"{BAD_INPUTS}:{number}: number {expected} is missing"
        expected = int(row.group(1)) + 1
        if not NAMED_TEST.search(line) and int(row.group(1)) not in BAD_INPUTS_WAITING:
            yield f"{BAD_INPUTS}:{number}: no test is named"
    if expected != BAD_INPUTS_MAX + 1:
        yield f"{BAD_INPUTS}: it ends before number {BAD_INPUTS_MAX}"


CHECKS = [check_include_direction, check_seams, check_json, check_readmes, check_files, check_headers,
          check_sources_are_built, check_links, check_named_tests, check_bad_inputs]


def main(arguments):
    if len(arguments) != 1:
        print("usage: checks.py ROOT", file=sys.stderr)
        return 2
    findings = [finding for check in CHECKS for finding in check(arguments[0])]
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings in {len(tracked_files(arguments[0]))} files")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
