"""Compiles every example, and every solution of an exercise, by the command at its head, runs it, and compares what it
prints with the stored output beside it. The program in README.md is treated alike. In lines marked MEASURED numbers may
differ.

    python3 tests/examples_test.py [--update]
"""

import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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
    elif comparable(printed) != comparable(expected):
        return f"{name}: printed\n{printed}\nbut stored is\n{expected}"
    return None


def jobs(folder, update):
    for source in sorted((ROOT / "examples").rglob("*.cpp")):  # the solutions too
        stored = source.with_suffix(".output")
        text = source.read_text()
        assert len(text.splitlines()) <= 100, f"{source}: an example has at most 100 lines"
        yield (folder, source.stem, command_of(text), stored.read_text() if stored.exists() else "",
               stored.write_text if update else None)
    readme = (ROOT / "README.md").read_text()
    program, output = re.search(r"```cpp\n(.*?)```.*?```text\n(.*?)```", readme, re.S).groups()
    (Path(folder) / "readme.cpp").write_text(program)
    command = re.search(r"^g\+\+ .*$", readme, re.M)[0].replace("hello.cpp", f"{folder}/readme.cpp")
    yield folder, "README", command.split(" &&")[0], output, None


with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
    all_jobs = list(jobs(folder, "--update" in sys.argv))
    problems = [p for p in pool.map(check, all_jobs) if p]
print("\n".join(problems) or f"{len(all_jobs)} programs print what is stored")
sys.exit(bool(problems))
