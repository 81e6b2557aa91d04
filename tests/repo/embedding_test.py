"""Installs the library of this build into a temporary prefix and embeds it as a stranger would."""

import os
import subprocess
import sys
import tempfile
import unittest

BUILD, COMPILER = sys.argv[1:3]
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "embedding")
STEP_SECONDS_MAX = 120


class Embedding(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.prefix = os.path.join(self.folder.name, "prefix")
        self.run_ok("cmake", "--install", BUILD, "--prefix", self.prefix, "--component", "library")

    def run_ok(self, *command, **environment):
        ran = subprocess.run(command, text=True, capture_output=True, timeout=STEP_SECONDS_MAX,
                             env={**os.environ, **environment})
        self.assertEqual(0, ran.returncode, f"{' '.join(command)}\n{ran.stdout}{ran.stderr}")
        return ran.stdout

    def assert_works(self, program, **environment):
        data = os.path.join(self.folder.name, os.path.basename(program) + "-data")
        self.assertEqual("hello\n", self.run_ok(program, data, **environment))

    def test_by_find_package_static_and_shared(self):
        build = os.path.join(self.folder.name, "build")
        self.run_ok("cmake", "-S", SOURCE, "-B", build, "-G", "Ninja",
                    f"-DCMAKE_CXX_COMPILER={COMPILER}", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        self.run_ok("cmake", "--build", build)
        self.assert_works(os.path.join(build, "with_engine"))
        self.assert_works(os.path.join(build, "with_engine_shared"))

    def test_by_pkg_config(self):
        found = [folder for folder, _, names in os.walk(self.prefix) if "millrace.pc" in names]
        self.assertEqual(1, len(found))
        flags = self.run_ok("pkg-config", "--cflags", "--libs", "millrace",
                            PKG_CONFIG_PATH=found[0]).split()
        program = os.path.join(self.folder.name, "by_pkg_config")
        self.run_ok(COMPILER, "-std=c++20", os.path.join(SOURCE, "main.cc"), "-o", program, *flags)
        self.assert_works(program, LD_LIBRARY_PATH=os.path.dirname(found[0]))

    def test_the_library_brings_no_allocator(self):
        for folder, _, names in os.walk(self.prefix):
            for name in names:
                if ".so" in name:
                    needed = self.run_ok("ldd", os.path.join(folder, name))
                    self.assertNotIn("mimalloc", needed)
                    self.assertIn("libstdc++", needed)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
