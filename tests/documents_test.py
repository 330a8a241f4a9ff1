"""What a document says that a program can check: links and their anchors, files, names in the code, commands with their
options, packages, and figures. Documents go stale in silence; this makes a noise.

    python3 tests/documents_test.py [--kvcache PROGRAM] [--visualizer PROGRAM]

Commands are held against --help of these programs, and caches in them are tried. Whole C++ programs in documents are
compiled by examples_test.py. What is not asked here: whether a sentence is true.
"""

import argparse
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = "include common cli visualizer tests examples cuda bench docs scripts cmake models".split()
CODE = {".hpp", ".cpp", ".cuh", ".cu", ".h", ".py", ".sh", ".txt", ".cmake", ".json"}
PATH = re.compile(r"^(?:\.\./)?\w[\w.-]*(?:/[\w.-]+)*\.(?:hpp|cpp|cuh|cu|py|sh|md|svg|png|gif|csv|txt|output)$")
WHOLE_PROGRAM = r"int main\(|IMPLEMENT_WITH_MAIN"  # its own main, or that of doctest
HISTORY = {"CHANGELOG.md"}  # it tells what was: names in it may be gone
MADE = re.compile(r"(?:.*/)?(?:my\b|my_|My[A-Z]|hello\.|demo\.|loss\.|path/|NN_|kvcache-)")  # what a reader or a program makes


def documents():
    found = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "NOTICES.md")]
    for folder in ("docs", "bench", "models", "tests", "scripts"):
        found += sorted((ROOT / folder).rglob("*.md"))
    return [path for path in found if path.exists()]


@cache
def files():
    return [path for folder in SOURCES for path in (ROOT / folder).rglob("*") if path.is_file()]


@cache
def words_in_code():
    return set(re.findall(r"\w+", "\n".join(p.read_text(errors="ignore") for p in files() if p.suffix in CODE)))


@cache
def outputs():
    return {p.stem: p.read_text() for p in (ROOT / "examples").rglob("*.output")}


# ---- The parts of a document: (line number, text) each.

def parts(text):
    """Blocks between fences as (line, language, text), and the lines outside of them."""
    blocks, prose, fence = [], [], None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fence = (number, line[3:].strip(), []) if fence is None else blocks.append(fence)
        elif fence is not None:
            fence[2].append(line)
        else:
            prose.append((number, line))
    return [(number, language, "\n".join(lines)) for number, language, lines in blocks], prose


def quoted(prose):
    """What stands in `backticks`, which may go on in the next line."""
    text = "\n".join(line for _, line in prose)
    numbers = [number for number, _ in prose]
    for found in re.finditer(r"`([^`]+)`", text):
        yield numbers[text[:found.start()].count("\n")], " ".join(found[1].split())


def anchors(path):
    """As GitHub makes them of headings."""
    _, prose = parts(path.read_text())
    titles = [re.sub(r"^#+ ", "", line) for _, line in prose if re.match(r"#+ ", line)]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


# ---- What is checked. Each yields (line number, what is wrong).

def check_links(path, blocks, prose):
    for number, line in prose:
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if re.match(r"\w+:", target):
                continue
            name, _, anchor = target.partition("#")
            file = (path.parent / name).resolve() if name else path
            if not file.exists():
                yield number, f"links to {target}, which is not there"
            elif anchor and anchor not in anchors(file):
                yield number, f"links to {target}, but no heading makes #{anchor}; there are {sorted(anchors(file))}"


def exists(name, path):
    name = name.removeprefix("../")
    if "/" not in name:
        return (ROOT / name).exists() or any(file.name == name for file in files())
    return any((folder / name).exists() for folder in (ROOT, path.parent, ROOT / "include/kvcache", ROOT / "include",
                                                       ROOT / "visualizer", ROOT / "tests"))


def check_names(path, blocks, prose):
    for number, name in quoted(prose):
        if PATH.match(name) and not MADE.match(name) and not exists(name, path):
            yield number, f"names the file {name}, which is not there"
        if re.fullmatch(r"\d\d_\w+", name) and name not in outputs():
            yield number, f"names the example {name}, which is not there"
        camel = re.match(r"(?:kvcache::)?([A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+)\b(?!\.)", name)
        called = re.fullmatch(r"(\w+)\([^)]*\)", name)
        for word in [match[1] for match in (camel, called) if match]:
            if word not in words_in_code() and not MADE.match(word) and word != "PascalCase":
                yield number, f"names {word}, which stands nowhere in the code"


def check_lengths(path, blocks, prose):
    text = "\n".join(line for _, line in prose)
    for found in re.finditer(r"`([\w/]+\.hpp)`(?:\s\(|:\s|\sis\sone\sof\s)(\d+)(?:\s|\n)?(?:lines)?", text):
        claimed, file = int(found[2]), ROOT / found[1]
        if file.exists() and len(file.read_text().splitlines()) != claimed:
            yield prose[text[:found.start()].count("\n")][0], (f"says {found[1]} has {claimed} lines; "
                                                             f"it has {len(file.read_text().splitlines())}")


def check_packages(path, blocks, prose):
    known = set(re.findall(r"[\w.+-]+", " ".join(p.read_text() for p in (ROOT / "scripts").glob("*.sh"))))
    for number, _, block in blocks:
        for line in re.findall(r"apt-get install (.*)", block):
            for package in re.split(r"\s{3,}", line)[0].split():
                if package not in known:
                    yield number, f"installs {package}, which no script of scripts/ does"


def check_programs(path, blocks, prose):
    """examples_test.py compiles them by the command below each."""
    for i, (number, language, block) in enumerate(blocks):
        if language == "cpp" and re.search(WHOLE_PROGRAM, block):
            if i + 1 == len(blocks) or not blocks[i + 1][2].startswith("g++ "):
                yield number, "a whole program without its g++ command in the next block"


def numbers_of(text):
    return [(found, len(found.partition(".")[2])) for found in
            (n.replace(",", "") for n in re.findall(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?![\w])", text))]


def check_figures(path, blocks, prose):
    everything = "\n".join(outputs().values())
    for number, language, block in blocks:  # what an example printed
        if language == "text" and path.name != "README.md":
            for line in block.splitlines():
                if " ".join(line.split()) not in " ".join(everything.split()):
                    yield number, f"shows the line \"{line.strip()}\", which no example prints"
    # Decimals, and numbers with commas, in a paragraph that names examples: one of these must print it.
    for first, paragraph in paragraphs(prose):
        named = [outputs()[stem] for stem in re.findall(r"examples/(?:solutions/)?(\w+)\.cpp", paragraph)
                 if stem in outputs()]
        if not named or "COMPUTED" in paragraph:
            continue
        printed = [float(n) for n, _ in numbers_of("\n".join(named))] + [0.0]
        for claimed, digits in numbers_of(re.sub(r"`[^`]*`|\]\([^)]*\)", " ", paragraph)):
            exact = digits > 0 or float(claimed) >= 1000
            if exact and not any(round(n, digits) == float(claimed) for n in printed):
                yield first, f"says {claimed}, which no example named in this paragraph prints"


def paragraphs(prose):
    lines, first, last = [], 0, 0
    for number, line in [*prose, (0, "")]:
        if not line.strip() or line.startswith(("|", "#", "- ")) or number != last + 1 and lines:
            if lines:
                yield first, "\n".join(lines)
            lines = []
        if line.strip() and not line.startswith("|"):
            first = first if lines else number
            lines.append(line)
        last = number


def check_formula(path, blocks, prose):
    """Rows of tables of shapes: model, layers, kv heads, head_dim, bytes in f32 and in f16."""
    for number, line in prose:
        cells = [cell.strip().replace(",", "") for cell in line.strip("| ").split("|")]
        if len(cells) == 6 and all(cell.isdigit() for cell in cells[1:]):
            layers, heads, dim, f32, f16 = map(int, cells[1:])
            if (f32, f16) != (8 * layers * heads * dim, 4 * layers * heads * dim):
                yield number, f"says {f32} and {f16} bytes a token for {cells[0]}; the formula says otherwise"


@cache
def findings():
    text = "\n".join(path.read_text() for path in (ROOT / "docs/findings").glob("*.json"))
    numbers = [float(n) for n in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", text)]
    return numbers + [100 * n for n in numbers]  # shares are shown in per cent


def check_findings(path, blocks, prose):
    """Decimals of the tables of measured figures, but for those of stretches, which are differences."""
    for number, line in prose if path.name == "08_findings.md" else []:
        for claimed, digits in numbers_of(line) if line.startswith("|") and " to " not in line else []:
            if digits > 1 and not any(round(n, digits) == float(claimed) for n in findings()):
                yield number, f"says {claimed}, which is not in docs/findings/*.json"


def check_exercises(path, blocks, prose):
    words = "no one two three four five six seven eight nine ten eleven twelve".split()
    count = len(re.findall(r"^## \d+\.", (ROOT / "docs/exercises.md").read_text(), re.M))
    for number, line in prose:
        for word in re.findall(r"(\w+) exercises\b", line):
            if word.lower() in words and words.index(word.lower()) != count:
                yield number, f"says {word} exercises; there are {count}"


# ---- Commands.

class Program:
    """A command line program, as its --help describes it."""

    def __init__(self, path, subcommands):
        self.path = path
        self.help = {"": self.ask()}
        for name in re.findall(r"^  (\w+) ", self.help[""].partition("Subcommands:")[2], re.M) if subcommands else []:
            self.help[name] = self.ask(name)

    def ask(self, *arguments):
        return subprocess.run([self.path, *arguments, "--help"], capture_output=True, text=True, check=True).stdout

    def problems(self, command):
        words = re.findall(r'"[^"]*"|\S+', command)[1:]
        name = words[0] if len(self.help) > 1 and words else ""
        if name in ("COMMAND", "--version", "--help"):
            return []
        if name not in self.help:
            return [f"kvcache has no command {name}"]
        return [f"{problem}: {command}" for problem in self.option_problems(name, words)]

    def option_problems(self, name, words):
        for option, value in zip(words, [*words[1:], ""]):
            option, _, joined = option.partition("=") if option.startswith("--") else (option, "", "")
            if not option.startswith("--"):
                continue
            described = re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])([^\n]*)", self.help[name])
            if not described:
                yield f"{Path(self.path).name} {name} has no option {option}"
                continue
            choices = re.search(r"\{([\w,]+)\}", described[1])
            if choices and (joined or value) not in choices[1].split(","):
                yield f"{option} takes {choices[1]}, not {joined or value}"
            words_of_help = re.findall(r"[\w-]+", self.help[name])
            if option == "--panel" and value not in words_of_help and not MADE.match(value):
                yield f"there is no panel {value}"


def commands(blocks, prose):
    """Lines of blocks, with \\ at the end joined, and quoted pieces of prose, that call one of the two programs."""
    lines = [(number, line) for number, language, block in blocks if language == ""
             for line in block.replace("\\\n", " ").splitlines()]
    for number, line in lines + list(quoted(prose)):
        line = re.split(r"\s{3,}|\s+#", line.strip())[0]  # what stands far behind is a remark
        if re.match(r"(?:build/\w+/bin/)?kvcache(?:-visualizer)? [\w-]", line):
            yield number, re.sub(r"^build/\w+/bin/", "", line)


def check_commands(programs):
    def check(path, blocks, prose):
        for number, option in quoted(prose):  # that stands alone: some command has it, or a script
            if re.match(r"--[a-z]", option) and len(programs) == 2:
                tried = [list(program.option_problems(name, option.split())) for program in programs.values()
                         for name in program.help]
                is_of_programs = any(re.search(rf"{option.split()[0]}(?![\w-])", text) for program in programs.values()
                                     for text in program.help.values())
                if all(tried) and (is_of_programs or option.split()[0] not in scripts()):
                    yield number, f"{option}: {min((tried_here[0] for tried_here in tried), key=len)}"
        for number, command in commands(blocks, prose):
            program = programs.get(command.split()[0])
            for problem in program.problems(command) if program else []:
                yield number, problem
            kvcache = programs.get("kvcache")
            for name in re.findall(r'--cache "?([\w:=,;.-]+)', command) if kvcache else []:
                model = "smollm2-135m" if "smollm2" in command else "tiny"
                if name != "none" and not MADE.match(name) and (said := refused(kvcache.path, name, model)):
                    yield number, f"--cache {name}: {said}"
    return check


@cache
def scripts():
    return "\n".join(path.read_text() for path in files() if path.suffix in (".sh", ".py"))


@cache
def refused(program, cache_spec, model):
    done = subprocess.run([program, "memory", "--model", model, "--tokens", "24", "--cache", cache_spec],
                          capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else ""


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--kvcache")
    options.add_argument("--visualizer")
    given = options.parse_args()
    programs = {name: Program(path, name == "kvcache") for name, path in
                (("kvcache", given.kvcache), ("kvcache-visualizer", given.visualizer)) if path}
    for name in {"kvcache", "kvcache-visualizer"} - programs.keys():
        print(f"SKIPPED: commands of {name}, which was not given")
    checks = [check_links, check_packages, check_programs]
    checks_of_today = [check_names, check_lengths, check_figures, check_formula, check_findings, check_exercises,
                       check_commands(programs)]
    problems = []
    for path in documents():
        blocks, prose = parts(path.read_text())
        for check in checks + (checks_of_today if path.name not in HISTORY else []):
            problems += [f"{path.relative_to(ROOT)}:{number}: {what}" for number, what in check(path, blocks, prose)]
    print("\n".join(problems) or f"{len(documents())} documents agree with the tree")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
