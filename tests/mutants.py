#!/usr/bin/env python3
"""Plants one fault at a time in a copy of include/ and says whether the tests notice.

A survivor is a missing test, or a change that changes nothing. Takes some minutes.
Usage: python3 tests/mutants.py [--jobs 2] [--only TEXT] [--compiler g++]
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
COMMON = ["cache_laws.cpp", "allocations.cpp", "instances.cpp"]  # what other tests need besides themselves
ATTENTION = ["attention/attention_test.cpp"]
SOFTMAX = ["attention/online_softmax_test.cpp"]
CACHE = ["cache/contiguous_cache_test.cpp"]
MEMORY = ["cache/memory_test.cpp"]
ROWS = ["cache/rows/float_rows_test.cpp"]
ROPE = ["position/rope_test.cpp"]
MODEL = ["model/transformer_test.cpp"]
SAMPLING = ["decode/sampling_test.cpp"]
GENERATE = ["decode/generate_test.cpp"]
TIMELINE = ["observe/timeline_test.cpp"]
TRACED = ["observe/traced_decoding_test.cpp"]
TRACED_CACHE = ["observe/traced_cache_test.cpp"]
READ_ROWS = ["observe/read_rows_test.cpp"]
COMPARED = ["observe/compared_decoding_test.cpp"]
FILE = ["observe/timeline_file_test.cpp"]

# (header, what stands there, what is planted instead, the tests that must notice)
FAULTS = [
    ("attention/attention.hpp", "(block.position(r) - first_position) * group",
     "(block.position(r) - first_position + 1) * group - 1", ATTENTION),
    ("attention/attention.hpp", "(block.position(r) - first_position) * group", "0", ATTENTION),
    ("attention/attention.hpp", ">= first_position + tokens) --visible", ">= first_position + tokens - 1) --visible",
     ATTENTION),
    ("attention/attention.hpp", ">= first_position + tokens) --visible", ">= first_position + 2 * tokens) --visible",
     ATTENTION),  # right, but more work: the counts must notice
    ("attention/attention.hpp", "angles(-gap", "angles(gap", ATTENTION),
    ("attention/attention.hpp", " / std::sqrt(Scalar(dim))", "", ATTENTION),
    ("attention/attention.hpp", "visited += whole.rows();", "visited += visible;", ATTENTION),
    ("attention/attention.hpp", "i % group) * dim", "0) * dim", ATTENTION),
    ("attention/online_softmax.hpp", "if (rescale != 1) Array", "if (rescale > 2) Array", SOFTMAX),
    ("attention/online_softmax.hpp", "sum_[i] * rescale", "sum_[i]", SOFTMAX),
    ("attention/online_softmax.hpp", "std::fill_n(output_.data(), output_.size(), Scalar(0));", "", SOFTMAX),
    ("attention/online_softmax.hpp", "(scores == masked)  // Eigen's vectorised exp(-inf) is 1e-38, not 0\n"
     "                 .select(Scalar(0), (scores - max_[query]).exp() / sum_[query])",
     "(scores - max_[query]).exp() / sum_[query]", SOFTMAX),
    ("position/rope.hpp", "x * cos - y * sin", "x * cos + y * sin", ROPE),
    ("position/rope.hpp", "-2.0 * d / head_dim", "-1.0 * d / head_dim", ROPE),
    ("position/rope.hpp", "angles(first_position + t, turned_by.data())", "angles(first_position, turned_by.data())",
     ROPE),
    ("cache/contiguous_cache.hpp", "std::max(needed, 2 * slots)", "2 * slots + 1", CACHE + MEMORY),
    ("cache/contiguous_cache.hpp", "tokens = std::min(tokens, length)", "tokens = length", CACHE),
    ("cache/contiguous_cache.hpp", "rows.resize(room, first_position)",
     "rows.resize(room, first_position - 1 + (first_position == 0))", CACHE),
    ("cache/contiguous_cache.hpp", "copied_bytes_ += std::size_t(first_position)",
     "copied_bytes_ += std::size_t(needed)", MEMORY),
    ("cache/check_append.hpp", "first_position != cache.length(layer)", "first_position > cache.length(layer)", CACHE),
    ("cache/rows/float_rows.hpp", "std::size_t(head) * std::size_t(slots) * std::size_t(shape_.head_dim)",
     "std::size_t(head) * std::size_t(slots_) * std::size_t(shape_.head_dim)", ROWS),
    ("cache/rows/float_rows.hpp", "side->data() + offset(head, to)", "side->data() + offset(0, to)", ROWS),
    ("cache/rows/row_block.hpp", "first_slot + first, first_position + first", "first_slot + first, first_position", ROWS),
    ("cache/rows/row_block.hpp", "first_slot + first, first_position + first", "first_slot, first_position + first",
     TRACED_CACHE),
    ("cache/rows/row_block.hpp", "            position_gap};", "            0};", ROWS),
    ("cache/rows/row_products.hpp", "std::min(at_once, rows - first)", "std::min(at_once, rows)", ROWS),
    ("cache/rows/row_products.hpp", "scores.middleCols(first, rows.rows())", "scores.middleCols(0, rows.rows())", ROWS),
    ("cache/rows/row_products.hpp", "at(weights, i, first)", "at(weights, i, 0)", ROWS),
    ("math/products.hpp", "y.noalias() += a * b;", "y.noalias() = a * b;", ["math/products_test.cpp"]),
    ("math/linear.hpp", "bias.data() + first", "bias.data()", ["math/linear_test.cpp"]),
    ("math/linear.hpp", "t < y.rows()", "t < 1", ["math/linear_test.cpp"]),
    ("math/norm.hpp", "y[i] = x[i] - mean", "y[i] = x[i]", ["math/norm_test.cpp"]),
    ("math/norm.hpp", "mean_square + epsilon", "mean_square",
     ["math/norm_test.cpp"]),
    ("math/activation.hpp", "0.044715", "0.0447", ["math/activation_test.cpp"]),
    ("math/softmax.hpp", "std::exp(x - largest)", "std::exp(x)", ["math/softmax_test.cpp"]),
    ("core/parallel.hpp", "count * (thread + 1) / threads", "count / threads * (thread + 1)",
     ["core/parallel_test.cpp"]),
    ("core/number_format.hpp", "std::uint32_t(bits) << 16", "std::uint32_t(bits) << 15", ["core/number_format_test.cpp"]),
    ("decode/sampling.hpp", "score > 0 ? score /", "score < 0 ? score /", SAMPLING),
    ("decode/sampling.hpp", "reached >= options_.top_p", "reached > 1.1 * options_.top_p", SAMPLING),
    ("decode/sampling.hpp", "std::exchange(seen_[std::size_t(token)], char(1)) != 0",
     "seen_[std::size_t(token)] != 0", SAMPLING),
    ("decode/sampling.hpp", "/= kept_sum", "/= sum", SAMPLING),
    ("decode/sampling.hpp", "if (left < 0) break;", "if (left < 0.1) break;", SAMPLING),
    ("decode/generate.hpp", "if (!options_.use_cache) cache_.clear();", "", GENERATE),
    ("decode/generate.hpp", "+ options_.tokens - 1 <= positions", "+ options_.tokens <= positions", GENERATE),
    ("decode/generate.hpp", "cache.length(0) < length", "cache.length(0) <= length", GENERATE),
    ("decode/proof.hpp", "!(d <= difference.largest)", "d > difference.largest", ["decode/proof_test.cpp"]),
    ("model/layer.hpp", "weights.ffn_norm, x", "weights.attention_norm, x", MODEL),
    ("model/layer.hpp", "qkv.leftCols(q + kv)", "qkv.leftCols(q)", MODEL),
    ("model/layer.hpp", "rope_.angles(first_position + t", "rope_.angles(t", MODEL),
    ("model/transformer.hpp", "position + t, at(x, t, 0)", "t, at(x, t, 0)", MODEL),
    ("model/transformer.hpp", "x.bottomRows(1)", "x.topRows(1)", MODEL),
    ("model/transformer.hpp", "model_.weights.output_matrix()", "model_.weights.embedding", MODEL),
    ("observe/timeline.hpp", "size_of_head(first_position, position - first_position)",
     "size_of_head(first_position, position - first_position + 1)", TIMELINE),
    ("observe/timeline.hpp", "position - prompt_length() + 1", "position - prompt_length()", TIMELINE),
    ("observe/timeline.hpp", "std::size_t(position - record.first_position)", "std::size_t(0)", TIMELINE),
    ("observe/read_rows.hpp", "block.slice(first, rows)", "block.slice(0, rows)", READ_ROWS),
    ("observe/read_rows.hpp", "values.row(part.position(r) - first_position)", "values.row(r)", READ_ROWS),
    ("observe/read_rows.hpp", "read_.topRows(rows).setZero();", "", READ_ROWS),
    ("observe/traced_cache.hpp", "now.slot_of(p) < 0", "now.slot_of(p) <= 0", TRACED_CACHE),
    ("observe/traced_cache.hpp", "before.rows(), bytes", "cache_.length(layer), bytes", TRACED_CACHE),
    ("observe/traced_cache.hpp", "row.first_slot == last->first_slot + last->rows &&", "", TRACED_CACHE),
    ("observe/traced_decoding.hpp", "record.first_position = recorded_", "record.first_position = recorded_ + 1",
     TRACED),
    ("observe/traced_decoding.hpp", "positions_[c] <= first_position + t", "positions_[c] < first_position + t",
     TRACED),
    ("observe/traced_decoding.hpp", "kept.offset(kv_head * group + g,", "kept.offset(kv_head + g * config_.kv_heads,",
     TRACED),
    ("observe/traced_decoding.hpp", "(numbers.rows() - 1) * numbers.outerStride()", "0", TRACED),
    ("observe/compared_decoding.hpp", "scratch_.clear();", "", COMPARED),
    ("observe/compared_decoding.hpp", "with_ = Sampler(sampling_), without_ = Sampler(sampling_);", "", COMPARED),
    ("observe/comparison.hpp", "first_other_token_ < 0 && step.token_with", "step.token_with", COMPARED),
    ("observe/timeline_file.hpp", "read_numbers(tensor.format, from, numbers(step), part(step).data() + head",
     "read_numbers(tensor.format, from, numbers(step), part(step).data() + 0 * head", FILE),
    ("observe/timeline_fields.hpp", 'each("rope_theta", c.rope_theta)', "(void)each", FILE),
    ("observe/timeline_checks.hpp", "<= (*side)[i].first,", "<= (*side)[i].first + 1,", FILE),
    ("io/write_safetensors.hpp", "std::filesystem::remove(temporary, error);", "", ["io/write_safetensors_test.cpp"]),
    ("core/statistics.hpp", "std::sort(numbers.begin(), numbers.end());", "", ["core/statistics_test.cpp"]),
]


def run(command, folder, seconds):
    environment = dict(os.environ, OMP_NUM_THREADS="2", OMP_WAIT_POLICY="passive")
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds, env=environment)


def plant(number, compiler, objects):
    header, old, new, tests = FAULTS[number]
    with tempfile.TemporaryDirectory(prefix="kvcache_mutant_") as folder:
        include = Path(folder) / "include"
        shutil.copytree(ROOT / "include", include)
        text = (include / "kvcache" / header).read_text()
        if old not in text:
            return "NOT PLANTED: the header has changed"
        (include / "kvcache" / header).write_text(text.replace(old, new))
        flags = ["-std=c++20", "-O1", "-fopenmp", f"-I{include}", f"-I{TESTS}", "-isystem", "/usr/include/eigen3",
                 f'-DKVCACHE_GOLDENS="{TESTS}/goldens"', "-pthread"]
        # Helpers are compiled anew only where the fault is in them; else those of the sound headers serve.
        own = [str(TESTS / t) for t in tests]
        helpers = dict(objects)
        if header == "math/products.hpp":
            helpers.pop("instances.cpp")
            own.append(str(TESTS / "instances.cpp"))
        build = run([compiler, *flags, *own, *helpers.values(), "-o", "tests"], folder, 600)
        if build.returncode:
            return "does not compile: " + build.stderr.split("error:")[-1].strip().splitlines()[0]
        try:
            return "caught" if run(["./tests"], folder, 120).returncode else "SURVIVED"
        except subprocess.TimeoutExpired:
            return "caught (it hangs)"


def compile_helpers(compiler, folder):
    """The test program's main and what all tests share, from the sound headers."""
    objects = {}
    for source in ["main.cpp", *COMMON]:
        target = Path(folder) / (source + ".o")
        build = run([compiler, "-std=c++20", "-O1", "-fopenmp", f"-I{ROOT}/include", f"-I{TESTS}", "-isystem",
                     "/usr/include/eigen3", "-c", str(TESTS / source), "-o", str(target)], folder, 600)
        if build.returncode:
            sys.exit(build.stderr)
        objects[source] = str(target)
    return objects


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("--only", default="", help="only faults of headers whose name contains this")
    arguments.add_argument("--compiler", default="g++")
    options = arguments.parse_args()
    numbers = [n for n, fault in enumerate(FAULTS) if options.only in fault[0]]
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="kvcache_helpers_") as folder:
        objects = compile_helpers(options.compiler, folder)
        with ThreadPoolExecutor(options.jobs) as pool:
            for n, verdict in zip(numbers, pool.map(lambda n: plant(n, options.compiler, objects), numbers)):
                survivors += not verdict.startswith("caught")
                header, old, new, _ = FAULTS[n]
                print(f"{verdict:18} {header}: {old[:60]} -> {new[:60]}", flush=True)
    print(f"{len(numbers)} faults planted, {len(numbers) - survivors} caught")
    sys.exit(survivors > 0)
