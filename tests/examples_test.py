"""Compiles every example, and every solution of an exercise, by the command at its head, runs it, and compares what it
prints with the stored output beside it. Whole programs in documents are treated alike: the next block is their command,
and one of text after that what they print. In lines marked MEASURED numbers may differ.

    python3 tests/examples_test.py [--update]
"""

import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from documents_test import WHOLE_PROGRAM, parts

ROOT = Path(__file__).resolve().parent.parent


def command_of(source):
    """The comment that starts with g++, up to && or ./a.out; it may go on in the next line."""
    return re.search(r"^// (g\+\+ .*?)(?: &&|\n// \./a\.out)", source, re.M | re.S)[1].replace("\n//", "")


def run_source(command, folder, name):
    """Compiles into the folder; what the program prints, or an error."""
    command = re.sub(r" -o \S+", "", command) + f" -o {folder}/{name}"
    built = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    if built.returncode or built.stderr:
        return None, f"{command}\n{built.stderr}"
    done = subprocess.run([f"{folder}/{name}"], cwd=ROOT, capture_output=True, text=True)
    return (done.stdout, None) if done.returncode == 0 else (None, f"exit status {done.returncode}: {done.stderr}")


def comparable(text):
    return [re.sub(r" +", " ", re.sub(r"\d[\d.]*", "#", line)) if "MEASURED" in line else line for line in text.splitlines()]


def check(job):
    folder, name, command, expected, update = job
    printed, error = run_source(command, folder, name)
    if error:
        return f"{name}: {error}"
    if update:
        update(printed)
    elif expected is not None and comparable(printed) != comparable(expected):
        return f"{name}: printed\n{printed}\nbut stored is\n{expected}"
    return None


def jobs(folder, update):
    for source in sorted((ROOT / "examples").rglob("*.cpp")):  # the solutions too
        stored = source.with_suffix(".output")
        text = source.read_text()
        assert len(text.splitlines()) <= 100, f"{source}: an example has at most 100 lines"
        yield (folder, source.stem, command_of(text), stored.read_text() if stored.exists() else "",
               stored.write_text if update else None)
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for program, command, output in programs_in(document):
            source = re.search(r"[\w/]+\.cpp", command)[0]
            (Path(folder) / source).write_text(program)
            yield folder, Path(source).stem, command.replace(source, f"{folder}/{source}"), output, None


def programs_in(document):
    """Whole programs, each with the command of the next block, and what it prints if a block of text follows."""
    blocks, _ = parts(document.read_text())
    no_block = (0, "", "")
    for (_, _, program), (_, _, command), (_, language, output) in zip(blocks, [*blocks[1:], no_block],
                                                                       [*blocks[2:], no_block, no_block]):
        if re.search(WHOLE_PROGRAM, program):
            yield program, re.search(r"^g\+\+ [^&\n]*", command)[0], output if language == "text" else None


with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
    all_jobs = list(jobs(folder, "--update" in sys.argv))
    problems = [p for p in pool.map(check, all_jobs) if p]
print("\n".join(problems) or f"{len(all_jobs)} programs print what is stored")
sys.exit(bool(problems))
