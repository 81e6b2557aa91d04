"""Plants one fault of each kind in a small tree and expects exactly that finding."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import checks  # noqa: E402  (the module beside this file)

HEADER = "// Noun: what it is.\n#pragma once\n"
# A tree without a fault; each test changes one file of it.
SOUND = {
    "include/millrace/result.h": HEADER + "#include <cstdint>\n",
    "base/hash.h": HEADER + '#include "millrace/result.h"\n',
    "base/hash.cc": '#include "base/hash.h"\n',
    "base/CMakeLists.txt": "millrace_library(NAME millrace_base SOURCES hash.cc)\n",
    "storage/log.h": HEADER + '#include "base/hash.h"\n',
    "storage/real_disk.h": HEADER + "#include <unistd.h>\n",
    "engine/shard.h": HEADER + '#include "storage/log.h"\n',
    "engine/threads.h": HEADER + "#include <thread>\n",
    "net/frame.h": HEADER + '#include "engine/shard.h"\n',
    "clients/cpp/client.h": HEADER + '#include "millrace/result.h"\n',
    "tools/serve.h": HEADER + '#include "net/frame.h"\n#include "clients/cpp/client.h"\n',
    "tests/sim/world.h": HEADER + '#include "net/frame.h"\n#include <random>\n',
    **{f"{folder}/README.md": "[the parts](.)\n" for folder in checks.README_FOLDERS},
}


class Checks(unittest.TestCase):
    def findings(self, **changed):
        """Findings in the sound tree with the files given (path -> text or bytes) put into it."""
        with tempfile.TemporaryDirectory() as root:
            for path, content in {**SOUND, **changed}.items():
                if content is None:
                    continue
                full = os.path.join(root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                mode = "wb" if isinstance(content, bytes) else "w"
                with open(full, mode) as file:
                    file.write(content)
            return [finding for check in checks.CHECKS for finding in check(root)]

    def assert_only(self, expected, **changed):
        self.assertEqual([expected], self.findings(**changed))

    def test_a_sound_tree_has_no_finding(self):
        self.assertEqual([], self.findings())

    def test_every_arrow_that_points_back_is_refused(self):
        example = {
            "include/millrace": "millrace/result.h", "base": "base/hash.h",
            "storage": "storage/log.h", "engine": "engine/shard.h", "net": "net/frame.h",
            "clients": "clients/cpp/client.h", "tools": "tools/serve.h", "tests": "tests/sim/world.h",
            "bench": "bench/table.h",
        }
        planted = 0
        for layer, allowed in checks.MAY_INCLUDE.items():
            for target in set(example) - allowed:
                with self.subTest(layer=layer, target=target):
                    text = HEADER + f'#include "{example[target]}"\n'
                    self.assert_only(
                        f"{layer}/planted.h:3: {layer} must not include {target} ({example[target]})",
                        **{f"{layer}/planted.h": text})
                    planted += 1
        self.assertGreater(planted, 25)

    def test_angle_brackets_do_not_hide_an_arrow(self):
        self.assert_only("base/planted.h:3: base must not include storage (storage/log.h)",
                         **{"base/planted.h": HEADER + "#  include <storage/log.h>\n"})

    def test_an_include_that_is_not_from_the_root_is_refused(self):
        for name in ("log.h", "../engine/shard.h"):
            with self.subTest(name=name):
                self.assert_only(
                    f'storage/planted.h:3: "{name}" is not named from the root of the tree',
                    **{"storage/planted.h": HEADER + f'#include "{name}"\n'})

    def test_a_clock_or_file_header_outside_the_seams_is_refused(self):
        for folder in ("storage", "engine"):
            for name in sorted(checks.SEAM_HEADERS - {"base/os_clock.h"}):
                with self.subTest(folder=folder, name=name):
                    found = self.findings(
                        **{f"{folder}/planted.h": HEADER + f"#include <{name}>\n"})
                    self.assertEqual(1, len(found))
                    self.assertTrue(found[0].startswith(f"{folder}/planted.h:3: <{name}>"))

    def test_a_call_of_the_clock_outside_the_seams_is_refused(self):
        for call in ("clock_gettime(CLOCK_MONOTONIC, &t);", "x = std::chrono::steady_clock::now();",
                     "auto t = ::time(nullptr);", "int fd = ::open(path, 0);", "srand(1);"):
            with self.subTest(call=call):
                found = self.findings(**{"engine/planted.h": HEADER + f"void f() {{ {call} }}\n"})
                self.assertEqual(1, len(found), found)
                self.assertTrue(found[0].startswith("engine/planted.h:3: "))

    def test_json_from_outside_is_read_in_one_place(self):
        found = self.findings(**{"net/planted.h": HEADER + "auto x = nlohmann::json::parse(text);\n"})
        self.assertEqual(["net/planted.h:3: JSON from outside is read by base/bounded_json.h"], found)

    def test_our_own_names_are_not_taken_for_system_calls(self):
        text = HEADER + ("Result<Log> open(Disk& disk);  // not ::open()\n"
                         "auto log = Log::open(disk);\nauto file = disk.open(name);\n"
                         "TimeMs time(const Record& record);\n")
        self.assertEqual([], self.findings(**{"storage/planted.h": text}))

    def test_a_folder_without_readme_is_named(self):
        self.assert_only("storage: no README.md", **{"storage/README.md": None})

    def test_a_binary_file_outside_its_place_is_refused(self):
        self.assert_only("base/blob: a binary file", **{"base/blob": b"\x7fELF\0\0"})
        for path in ("tests/storage/golden/v1.seg", "tests/fuzz/frame_corpus/hello"):
            self.assertEqual([], self.findings(**{path: b"MR\0\1"}))

    def test_a_file_past_the_size_is_refused(self):
        size = checks.TEXT_BYTES_MAX + 1
        self.assert_only(f"base/long.txt: {size} bytes", **{"base/long.txt": "x" * size})

    def test_what_was_left_for_later_is_named(self):
        line = "// TO" + "DO: later"
        self.assert_only(f"base/planted.h:3: left for later: {line}",
                         **{"base/planted.h": HEADER + line + "\n"})

    def test_a_header_needs_its_pragma_and_its_contract(self):
        self.assert_only("base/planted.h: no #pragma once", **{"base/planted.h": "// Noun.\n"})
        self.assert_only("base/planted.h: does not open with the comment that is its contract",
                         **{"base/planted.h": "#pragma once\nint f();\n"})

    def test_a_source_that_nothing_builds_is_named(self):
        self.assert_only("base/lost.cc: no CMakeLists.txt builds it", **{"base/lost.cc": "int i;\n"})
        # lost_hash.cc is listed; hash.cc being the end of its name must not count.
        self.assert_only(
            "base/hash.cc: no CMakeLists.txt builds it",
            **{"base/lost_hash.cc": "int i;\n",
               "base/CMakeLists.txt": "millrace_library(SOURCES lost_hash.cc)\n"})

    def test_a_source_may_be_named_with_a_variable(self):
        self.assertEqual([], self.findings(
            **{"bench/log_bench.cc": "int i;\n",
               "bench/CMakeLists.txt": "millrace_bench(SOURCES ${noun}_bench.cc)\n",
               "tests/net/twin.cc": "int i;\n",
               "cmake/targets.cmake": "target_sources(${PROJECT_SOURCE_DIR}/tests/net/twin.cc)\n"}))

    def test_a_test_that_is_named_and_does_not_exist_is_named(self):
        text = "[the parts](.)\n`Log.Lives` and `Log.Dies`\n"
        code = '#include "net/frame.h"\nTEST_F(Log, Lives) {}\n'
        self.assert_only("tests/README.md:2: there is no test Log.Dies",
                         **{"tests/README.md": text, "tests/sim/world.h": HEADER + code})

    def test_a_python_test_that_is_named_and_does_not_exist_is_named(self):
        text = "`log_test.test_it_lives` and `log_test.test_it_dies`; log_test.py\n"
        code = "class Log:\n    def test_it_lives(self):\n        pass\n"
        self.assert_only("tests/README.md:1: there is no test log_test.test_it_dies",
                         **{"tests/README.md": text, "tests/blackbox/log_test.py": code})

    def test_the_bad_inputs_are_all_there_and_tested(self):
        code = "class Log:\n    def test_it(self):\n        pass\n"
        rows = [f"| {n} | an input | an answer | `log_test.test_it` |\n" for n in range(1, 95)]
        files = {"tests/blackbox/log_test.py": code}
        self.assertEqual([], self.findings(**files, **{"tests/bad_inputs.md": "".join(rows)}))
        self.assert_only("tests/bad_inputs.md:7: number 7 is missing",
                         **files, **{"tests/bad_inputs.md": "".join(rows[:6] + rows[7:])})
        self.assert_only("tests/bad_inputs.md: it ends before number 94",
                         **files, **{"tests/bad_inputs.md": "".join(rows[:-1])})
        rows[2] = "| 3 | an input | an answer | |\n"
        self.assert_only("tests/bad_inputs.md:3: no test is named",
                         **files, **{"tests/bad_inputs.md": "".join(rows)})

    def test_a_dead_link_in_a_document_is_named(self):
        self.assert_only("docs/a.md:2: b.md does not exist",
                         **{"docs/a.md": "[web](https://example.org)\n[b](b.md#part)\n"})


if __name__ == "__main__":
    unittest.main()
