"""Runs the visualizer without a window, as a script would, and checks what it refuses and what it leaves.

    python3 tests/visualizer/program_test.py build/dev/bin/kvcache-visualizer
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = ""
LONG = ("--tokens", "900", "--repeats", "100000")  # nobody waits for that


def run(*arguments, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([PROGRAM, *arguments], timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}, **options)


class ProgramTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def path(self, name):
        return str(self.folder / name)

    def refused(self, sentence, *arguments, status=1, **options):
        done = run(*arguments, **options)
        self.assertEqual(done.returncode, status, done)
        self.assertIn(sentence, done.stderr.decode())
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def test_numbers_are_what_was_written_or_refused(self):
        for size in ("4294967616x200", "640x", "x400", "640x400x3", "640X400", "640", ""):
            self.refused("--size ", "--size", size, "--export", self.path("a.png"), *LONG)
        for step in ("4294967297", "5-", "0x5", "5-30-1"):
            self.refused("must look like 5 or 5-30", "--step", step, "--export", self.path("a.png"), *LONG)
        for scale in ("nan", "inf", "-inf", "0.4", "4.1"):
            self.refused("from 0.5 to 4 is possible", "--ui-scale", scale, "--export", self.path("a.png"), *LONG)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_an_export_is_tried_before_the_run(self):
        self.refused("there is no folder", "--export", self.path("no/a.png"), *LONG)
        self.refused('files of kind ".bmp" cannot be written', "--export", self.path("a.bmp"), *LONG)
        self.refused('panel "clock" is unknown', "--export", self.path("a.png"), "--panel", "clock", *LONG)
        self.refused("\\x1b[31m", "--export", self.path("no/\x1b[31m.png"), *LONG)

    def test_what_cannot_be_written_is_an_error_and_the_old_file_stays(self):
        short = ("--tokens", "3", "--repeats", "0")
        os.symlink("/dev/full", self.path("full.png"))
        self.refused("could not be written whole: No space left on device", "--export", self.path("full.png"), *short)
        with open("/dev/full", "wb") as full:
            self.refused("standard output could not be written whole", "--export", self.path("a.csv"), *short, stdout=full)
        self.assertEqual(len(Path(self.path("a.csv")).read_text().splitlines()), 4)
        lost = run("--export", self.path("b.csv"), *short, stdout=subprocess.DEVNULL, preexec_fn=lambda: os.close(1))
        self.assertEqual(lost.returncode, 1)
        self.assertEqual(len(Path(self.path("b.csv")).read_text().splitlines()), 4)

    def test_the_prompt_comes_from_a_file_or_from_standard_input(self):
        def ids(*arguments, **options):
            done = run("--tokens", "2", "--repeats", "0", "--export", self.path("a.json"), *arguments, **options)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(Path(self.path("a.json")).read_text())["prompt_ids"]
        Path(self.path("prompt")).write_text("ROMEO.\n")
        wanted = ids("--prompt", "ROMEO.")
        for way in (("--prompt-file", self.path("prompt")), ("--prompt", "@" + self.path("prompt"))):
            self.assertEqual(ids(*way), wanted)
        self.assertEqual(ids("--prompt", "-", input=b"ROMEO."), wanted)
        self.refused("cannot be found", "--prompt", "@" + self.path("none"), "--export", self.path("a.json"), *LONG)


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=1)
