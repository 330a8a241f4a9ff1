"""Fails if a header of include/kvcache/ includes something its folder may not know, or includes in a circle.

    python3 tests/check_layers.py include/kvcache
"""

import re
import sys
import tempfile
from pathlib import Path

MAY_INCLUDE = {  # lowest layer first; a folder may always include itself
    "core": "",
    "math": "core",
    "position": "core",
    "text": "core",
    "cache": "core math",
    "attention": "core math position cache/concept cache/shape cache/observer",
    "model": "core math position cache/concept cache/shape attention",
    "io": "core math model text position cache/concept cache/shape",
    "decode": "core math model cache/concept cache/shape",
    "cuda": "core model position cache/concept cache/shape cache/check_append cache/check_slots cache/observer cache/storage_piece",
    "observe": "core model io decode cache/concept cache/shape cache/observer cache/passes_on cache/storage_piece cache/row_codes",
}
EXTERNAL = {"math": r"immintrin\.h", "text": r"pcre2\.h", "io": r"nlohmann/.*|xxhash\.h", "observe": r"nlohmann/.*", "cuda": r"cuda_\w+\.h|simt_host\.hpp"}  # beside the standard library, POSIX and Eigen


def problems(root):
    for header in sorted([*root.rglob("*.hpp"), *root.rglob("*.cuh")]):
        folder = header.relative_to(root).parts[0]
        if folder.endswith(".hpp"):
            continue  # the umbrella headers may include anything
        if folder not in MAY_INCLUDE:
            yield f"{header}: the folder {folder}/ is not in the list of layers; add it to {Path(__file__).name}"
            continue
        allowed = [folder, *MAY_INCLUDE[folder].split()]
        for number, line in enumerate(header.read_text().splitlines(), 1):
            at = f"{header}:{number}"
            included = re.match(r'\s*#\s*include\s*[<"]([^">]+)', line)
            if not included:
                continue
            name = included[1]
            if name.startswith("kvcache/"):
                inner = name.removeprefix("kvcache/")
                if not any(inner.startswith((a + "/", a + ".")) for a in allowed):
                    yield f"{at}: {folder}/ may not include {inner} (it may include: {', '.join(allowed)})"
            elif line.strip().startswith('#include "') and not re.fullmatch(EXTERNAL.get(folder, ""), name):
                yield f'{at}: write "kvcache/..." from the root, not {name}'
            elif "/" in name and not name.startswith(("Eigen/", "sys/")) or name.endswith(".h"):
                if not re.fullmatch(EXTERNAL.get(folder, "") + r"|(sys/\w+|fcntl|unistd|omp)\.h|Eigen/.*", name):
                    yield f"{at}: {folder}/ may not need the library of {name}"


def self_test():
    """A header that breaks each rule is noticed."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in {
            "core/a.hpp": '#include "kvcache/model/config.hpp"', "cache/b.hpp": '#include "kvcache/attention/attention.hpp"',
            "attention/c.hpp": '#include "kvcache/cache/contiguous_cache.hpp"', "model/d.hpp": "#include <nlohmann/json.hpp>",
            "math/e.hpp": '#include "linear.hpp"', "new/f.hpp": "", "decode/g.hpp": "#include <pcre2.h>",
        }.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text)
        assert len(list(problems(root))) == 7, list(problems(root))


if __name__ == "__main__":
    self_test()
    found = list(problems(Path(sys.argv[1])))
    print("\n".join(found) or "layers are in order")
    sys.exit(bool(found))
