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
COMMON = ["cache_laws.cpp", "allocations.cpp", "../common/instances.cpp"]  # what other tests need besides themselves
CACHES = "../common/caches.cpp"  # what tests need that choose caches by name, in these words
CHOOSE_BY_NAME = ["common/caches.hpp", "named_caches.hpp", "recorded.hpp"]
ATTENTION = ["attention/attention_test.cpp"]
SOFTMAX = ["attention/online_softmax_test.cpp"]
CACHE = ["cache/contiguous_cache_test.cpp"]
MEMORY = ["cache/memory_test.cpp"]
ROWS = ["cache/rows/float_rows_test.cpp"]
ROPE = ["position/rope_test.cpp"]
ROPE_SCALING = ["position/rope_scaling_test.cpp"]
FEW = ["math/few_tokens_test.cpp"]
PACKED = ["math/packed_formats_test.cpp"]
WEIGHTS = ["math/weight_matrix_test.cpp"]
MODEL = ["model/transformer_test.cpp"]
SAMPLING = ["decode/sampling_test.cpp"]
GENERATE = ["decode/generate_test.cpp"]
TIMELINE = ["observe/timeline_test.cpp"]
TRACED = ["observe/traced_decoding_test.cpp"]
TRACED_CACHE = ["observe/traced_cache_test.cpp"]
READ_ROWS = ["observe/read_rows_test.cpp"]
COMPARED = ["observe/compared_decoding_test.cpp"]
FILE = ["observe/timeline_file_test.cpp"]
QUALITY = ["observe/quality_test.cpp"]
GGUF = ["io/gguf_test.cpp"]
GGUF_CONFIG = ["io/gguf_config_test.cpp"]
GGUF_MODELS = ["io/gguf_models_test.cpp"]
SAFETENSORS = ["io/safetensors_test.cpp"]
FOLDERS = ["io/hugging_face_test.cpp"]
CHAT = ["io/chat_template_test.cpp"]
TOKENIZER = ["text/tokenizer_test.cpp"]
STREAM = ["text/utf8_stream_test.cpp"]
SESSION = ["io/session_test.cpp"]
ATOMIC = ["io/atomic_file_test.cpp"]
ANYTHING = ["cache/random_sequences_test.cpp"]
PAGED_KIVI = ["cache/paged_kivi_cache_test.cpp"]
PAGED = ["cache/paged_cache_test.cpp"]
PREFIXES = ["cache/prefix_tree_test.cpp"]
EVICTING = ["cache/evicting_cache_test.cpp"]
WINDOW = ["cache/sliding_window_cache_test.cpp"]
OFFLOADED = ["cache/offloaded_cache_test.cpp"]
KIVI = ["cache/rows/kivi_rows_test.cpp"]
PACKED_ROWS = ["cache/rows/packed_rows_test.cpp"]
BYTES = ["core/byte_stream_test.cpp"]
CODES = ["observe/read_codes_test.cpp"]

# Kernels of the GPU, on the CPU. (Missing barriers that change no result in any order of threads are the thread
# sanitizer's to find: CTest's cuda_races.)
GPU_KERNELS = ["cuda/kernels_test.cpp", "cuda/cpu_side.cpp"]
GPU_ATTENTION = ["cuda/attention_test.cpp"]
GPU_MODEL = ["cuda/transformer_test.cpp"]

# (header, what stands there, what is planted instead, the tests that must notice)
FAULTS = [
    ("attention/attention.hpp", "cache.length(layer) > first_position + 1", "cache.length(layer) > first_position + 2",
     ATTENTION),
    ("attention/attention.hpp", "(block.position(r) - first_position) * group",
     "(block.position(r) - first_position + 1) * group - 1", ATTENTION),
    ("attention/attention.hpp", "(block.position(r) - first_position) * group", "0", ATTENTION),
    ("attention/attention.hpp", ">= first_position + tokens) --visible", ">= first_position + tokens - 1) --visible",
     ATTENTION),
    ("attention/attention.hpp", ">= first_position + tokens) --visible", ">= first_position + 2 * tokens) --visible",
     ATTENTION),  # right, but more work: the counts must notice
    ("attention/attention.hpp", "angles(-gap", "angles(gap", ATTENTION),
    ("attention/attention.hpp", " / std::sqrt(Scalar(dim))", "", ATTENTION),
    ("attention/attention.hpp", "std::exchange(visited, visited + whole.rows())", "std::exchange(visited, 0)",
     ATTENTION),
    ("attention/attention.hpp", "i % group) * dim", "0) * dim", ATTENTION),
    ("attention/attention.hpp", "int(rows * (part + 1) / parts)", "int(rows / parts * (part + 1))", ATTENTION),
    ("attention/attention.hpp", "std::max(0, rows.begin - before)", "0", ATTENTION),
    ("attention/attention.hpp", "std::min(whole.rows(), rows.end - before)", "whole.rows()", ATTENTION),
    ("attention/attention.hpp", "part < parts; ++part) whole.merge", "part < parts - 1; ++part) whole.merge",
     ATTENTION),
    ("attention/attention.hpp", "scores.middleCols(gathered.rows, count)", "scores.middleCols(0, count)", ATTENTION),
    ("attention/attention.hpp", "row_tile_ - gathered.rows", "row_tile_", ATTENTION),
    ("attention/attention.hpp", "    gathered.show(softmax, scores);\n  }", "  }", ATTENTION),
    ("attention/attention.hpp", "count = rows = 0;", "count = 0;", ATTENTION),
    ("attention/attention.hpp", "if (done == 0) count_reused", "count_reused", GENERATE),
    ("attention/attention.hpp", "kept_rows(cache, layer, head) - 1", "kept_rows(cache, layer, head)", GENERATE),
    ("attention/attention.hpp", "block.position(r) < position;", "block.position(r) <= position;", GENERATE),
    ("core/work.hpp", "std::max(tokens_reused, rows_of_the_head)", "rows_of_the_head", GENERATE),
    ("decode/generate.hpp", "int(step_.work.tokens_reused)", "int(held)", GENERATE),
    ("cache/check_slots.hpp", "first + count <= slots", "first <= slots", ROWS),
    ("cache/check_slots.hpp", "return first >= 0 && count >= 0", "return count >= 0", ROWS),
    ("cache/check_slots.hpp", "from < to + count && to < from + count", "from == to", ROWS),
    ("cache/check_slots.hpp", "!are_slots(0, keep, had) || keep > slots", "keep > slots", ROWS),
    ("cache/rows/packed_rows.hpp", "check_packable(\"value\", formats_.values(), first_slot, values);", "", PACKED_ROWS),
    ("cache/rows/packed_rows.hpp", "if (format.holds_all) return;", "", PACKED_ROWS),
    ("cache/rows/kivi_parts.hpp", "r < rows.rows(); ++r)\n      if (const auto d = find", "r < 1; ++r)\n      if (const auto d = find",
     KIVI),
    ("math/quantise.hpp", "std::isinf(number) ? number : ", "", PACKED_ROWS),
    ("observe/quality.hpp", "forgotten -= block.rows()", "forgotten -= 1", QUALITY),
    ("cuda/row_formats.cuh", "spoilt == 0 ? largest / 127 : NAN", "largest / 127", GPU_KERNELS),
    ("cuda/transformer.cuh", "if (done == 0) count_reused(cache, l);", "count_reused(cache, l);", GPU_MODEL),
    ("cuda/transformer.cuh", "position_ - block.position(row), 0", "position_ + 1 - block.position(row), 0", GPU_MODEL),
    ("attention/online_softmax.hpp", "if (rescale != 1) Array", "if (rescale > 2) Array", SOFTMAX),
    ("attention/online_softmax.hpp", "sum_[i] * rescale", "sum_[i]", SOFTMAX),
    ("attention/online_softmax.hpp", "std::fill_n(output_.data(), output_.size(), Scalar(0));", "", SOFTMAX),
    ("attention/online_softmax.hpp", "(scores == masked)  // Eigen's vectorised exp(-inf) is 1e-38, not 0\n"
     "                 .select(Scalar(0), (scores - max_[query]).exp() / sum_[query])",
     "(scores - max_[query]).exp() / sum_[query]", SOFTMAX),
    ("attention/online_softmax.hpp", "sum_[i] * ours", "sum_[i]", SOFTMAX),
    ("attention/online_softmax.hpp", "into * ours", "into", SOFTMAX),
    ("attention/online_softmax.hpp", "if (max == masked) continue;  // neither saw a row", "", SOFTMAX),
    ("cuda/kernels/warp.cuh", "  __syncthreads();\n", "", GPU_KERNELS),
    ("cuda/kernels/argmax.cuh", "    __syncthreads();\n", "", GPU_KERNELS),
    ("cuda/kernels/argmax.cuh", "(theirs == largest[me] && places[me + apart] < places[me])", "false", GPU_KERNELS),
    ("cuda/kernels/project.cuh", "    __syncthreads();\n    if (first + depth", "    if (first + depth", GPU_KERNELS),
    ("cuda/kernels/project.cuh", "    __syncthreads();  // before the tile is overwritten\n", "", GPU_KERNELS),
    ("cuda/kernels/project.cuh", "(p.adds ? *y : 0.0f)", "0.0f", GPU_KERNELS),
    ("cuda/kernels/rope.cuh", "token * stride_of_angles", "0", GPU_KERNELS),
    ("cuda/kernels/append.cuh", "static_cast<std::size_t>(head) * head_bytes", "0", GPU_KERNELS),
    ("cuda/kernels/embed.cuh", "(first_position + t) * hidden", "t * hidden", GPU_KERNELS),
    ("cuda/kernels/decode_attention.cuh", "  __syncthreads();\n\n  float largest", "\n  float largest", GPU_ATTENTION),
    ("cuda/kernels/decode_attention.cuh", "  __syncthreads();\n  for (int i = me; i < heads * dim", "  for (int i = me; i < heads * dim", GPU_ATTENTION),
    ("cuda/kernels/decode_attention.cuh", "if (!has_row) continue;", "", GPU_ATTENTION),
    ("cuda/kernels/decode_attention.cuh", "if (first < end) walk.jump_to(first);", "walk.jump_to(first + 5);", GPU_ATTENTION),
    ("cuda/kernels/prefill_attention.cuh", "places[lane()].position <= position", "places[lane()].position <= position + 1", GPU_ATTENTION),
    ("cuda/kernels/prefill_attention.cuh", "is_turned ? turned_query : query", "is_turned ? query : query", GPU_ATTENTION),
    ("cuda/kernels/prefill_attention.cuh", "      sums[j] *= rescale;\n", "", GPU_ATTENTION),
    ("cuda/block_table.cuh", "if (now_ != sent_)", "if (sent_.empty())", GPU_MODEL),
    ("cuda/block_table.cuh", "block.position(row), block.position_gap", "block.position(row), 0", GPU_MODEL),
    ("cuda/device_rows.cuh", "offset(head, to), side->data() + offset(head, from)", "offset(head, from), side->data() + offset(head, from)", GPU_MODEL),
    ("cuda/device_rows.cuh", "from->data() + offset(head, 0), keep", "from->data() + offset(0, 0), keep", GPU_MODEL),
    ("cuda/offloaded_cache.cuh", "    stream_->wait(*is_copied_);\n", "", GPU_MODEL),
    ("cuda/offloaded_cache.cuh", "    copies_->wait(*is_read_);\n", "", GPU_MODEL),
    ("cuda/offloaded_cache.cuh", "at(layer).in_host, 1 - now_.room", "at(layer).in_host, now_.room", GPU_MODEL),
    ("cuda/offloaded_cache.cuh", "oldest >= at(layer).in_host", "oldest > at(layer).in_host", GPU_MODEL),
    ("cuda/offloaded_cache.cuh", "layer.in_host = block;", "", GPU_MODEL),
    ("cuda/device_block.hpp", "base + first_slot", "first_slot", GPU_MODEL),
    ("cuda/offloaded_cache.cuh", "    now_ = next_ = {};\n", "", GPU_MODEL),
    ("cuda/transformer.cuh", "rope_.angles(position_ + t", "rope_.angles(t", GPU_MODEL),
    ("cuda/transformer.cuh", "if (gap == gap_) return", "if (gap_ > 0) return", GPU_MODEL),
    ("position/rope.hpp", "x * cos - y * sin", "x * cos + y * sin", ROPE),
    ("position/rope.hpp", "-2.0 * d / head_dim", "-1.0 * d / head_dim", ROPE),
    ("position/rope.hpp", "angles(first_position + t, turned_by.data())", "angles(first_position, turned_by.data())",
     ROPE),
    ("position/rope.hpp", "step = split ? 1 : 2", "step = 1", ROPE),
    ("position/rope.hpp", "frequency_[d] /= divisors[d]", "frequency_[d] *= divisors[d]", ROPE_SCALING),
    ("position/rope_scaling.hpp", "turns <= low ? 0 : turns >= high ? 1", "turns <= low ? 1 : turns >= high ? 0",
     ROPE_SCALING),
    ("position/rope_scaling.hpp", " / (2 * std::numbers::pi)", "", ROPE_SCALING),
    ("position/rope_scaling.hpp", "(turns - low) / (high - low)", "(turns - low) / high", ROPE_SCALING),
    ("cache/contiguous_cache.hpp", "std::max(needed, slots <= most_slots / 2 ? 2 * slots : most_slots)", "2 * slots + 1", CACHE + MEMORY),
    ("cache/contiguous_cache.hpp", "tokens = std::min(tokens, first)", "tokens = first", CACHE),
    ("cache/contiguous_cache.hpp", "rows.resize(room, kept)",
     "rows.resize(room, kept - 1 + (kept == 0))", CACHE),
    ("cache/contiguous_cache.hpp", "moved = used_bytes(rows, kept)",
     "moved = used_bytes(rows, needed)", MEMORY),
    ("cache/check_append.hpp", "first_position != cache.length(layer)", "first_position > cache.length(layer)", CACHE),
    ("cache/rows/row_block.hpp", "first_slot + first, positions.from(first)", "first_slot + first, positions", ROWS),
    ("cache/rows/row_block.hpp", "first_slot + first, positions.from(first)", "first_slot, positions.from(first)", ROWS),
    ("cache/rows/row_block.hpp", "            position_gap};", "            0};", ROWS),
    ("cache/rows/row_products.hpp", "std::min(at_once, rows - first)", "std::min(at_once, rows)", ROWS),
    ("cache/rows/row_products.hpp", "scores.middleCols(first, rows.rows())", "scores.middleCols(0, rows.rows())", ROWS),
    ("cache/rows/row_products.hpp", "at(weights, i, first)", "at(weights, i, 0)", ROWS),
    ("math/few_tokens.hpp", "weights(row + r, k) * numbers[v]", "weights(row, k) * numbers[v]", FEW),
    ("math/vectors.hpp", "lane / half * parts + lane % half>", "lane / half * parts>", FEW),
    ("math/vectors.hpp", "i + 1 < count ? i + 1 : count - 1", "i", FEW),
    ("math/few_tokens.hpp", "k < b.rows(); ++k) y(row, column)", "k < b.rows() - 1; ++k) y(row, column)", FEW),
    ("math/products.hpp", "y.noalias() += a * b;", "y.noalias() = a * b;", ["math/products_test.cpp"]),
    ("math/linear.hpp", "bias.data() + first", "bias.data()", ["math/linear_test.cpp"]),
    ("math/linear.hpp", "t < y.rows()", "t < 1", ["math/linear_test.cpp"]),
    ("math/linear.hpp", "rows.slice(first, count).packed", "rows.slice(0, count).packed", WEIGHTS),
    ("math/packed_formats.hpp", "part * row[b].scale(halves)", "part", PACKED),
    ("math/packed_formats.hpp", "row[b].minimum(halves) * x_sums[b]", "row[b].minimum(halves)", PACKED),
    ("math/packed_formats.hpp", "ArrayIn<float>(x + b * block_size, block_size)", "ArrayIn<float>(x, block_size)",
     PACKED),
    ("math/packed_formats.hpp", "blocks[b].scale(halves) + blocks[b].minimum(halves)", "blocks[b].scale(halves)", PACKED),
    ("math/packed_formats.hpp", " && cols % packed::block_size == 0", "", PACKED),
    ("math/packed_blocks.hpp", "use(i, to_floats(both & 15));\n    use(i + 16, to_floats(both >> 4));",
     "use(i + 16, to_floats(both & 15));\n    use(i, to_floats(both >> 4));", PACKED),
    ("math/packed_blocks.hpp", "return -8 * scale(halves);", "return -7 * scale(halves);", PACKED),
    ("math/packed_blocks.hpp", "load<Ints>(numbers + i) << 16", "load<Ints>(numbers + i) << 15", PACKED),
    ("math/packed_blocks.hpp", "0x1p112f", "0x1p111f", PACKED),
    ("math/weight_matrix.hpp", "std::size_t(first) * format->row_bytes(cols)", "std::size_t(first)", WEIGHTS),
    ("math/weight_matrix.hpp", "end - begin), begin);", "end - begin), begin - part.first);", WEIGHTS),
    ("math/weight_matrix.hpp", "std::max(first, part.first)", "part.first", WEIGHTS),
    ("math/norm.hpp", "y[i] = x[i] - mean", "y[i] = x[i]", ["math/norm_test.cpp"]),
    ("math/norm.hpp", "mean_square + epsilon", "mean_square",
     ["math/norm_test.cpp"]),
    ("math/activation.hpp", "0.044715", "0.0447", ["math/activation_test.cpp"]),
    ("math/softmax.hpp", "std::exp(x - largest)", "std::exp(x)", ["math/softmax_test.cpp"]),
    ("core/parallel.hpp", "count * (run + 1) / runs", "count / runs * (run + 1)",
     ["core/parallel_test.cpp"]),
    ("core/thread_team.hpp", "if (!has_thrown_.load(std::memory_order_relaxed)) {", "{", ["core/parallel_test.cpp"]),
    ("core/thread_team.hpp", "jobs_ - std::uint32_t(open & left_mask)", "std::uint32_t(open & left_mask)",
     ["core/parallel_test.cpp"]),
    ("core/thread_team.hpp", "(*static_cast<Work*>(with))(int(job), thread)", "(*static_cast<Work*>(with))(int(job), 0)",
     ["core/parallel_test.cpp"]),
    ("core/thread_team.hpp", "size() == 1 || in_use_.test_and_set(std::memory_order_acquire)", "size() == 1",
     ["core/parallel_test.cpp"]),
    ("core/disturbance.hpp", "<= median(seconds) / 3", "<= median(seconds)", ["core/disturbance_test.cpp"]),
    ("core/disturbance.hpp", "seconds_waited_for_a_processor() - waited_", "0 * waited_", ["core/disturbance_test.cpp"]),
    ("core/number_format.hpp", "std::uint32_t(bits16_at(block)) << 16", "std::uint32_t(bits16_at(block)) << 15",
     ["core/number_format_test.cpp"]),
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
    ("model/layer.hpp", "if (config_.qk_norm) {", "if (false) {", MODEL),
    ("model/layer.hpp", "qkv.middleCols(q, kv)), weights.k_norm", "qkv.middleCols(q, kv)), weights.q_norm", MODEL),
    ("model/layer.hpp", "linear.weight, linear.bias, y", "linear.weight, Vector<Scalar>(), y", MODEL),
    ("model/transformer.hpp", "position + t, at(x, t, 0)", "t, at(x, t, 0)", MODEL),
    ("model/transformer.hpp", "x.bottomRows(1)", "x.topRows(1)", MODEL),
    ("model/transformer.hpp", "model_.weights.output_matrix()", "model_.weights.embedding", MODEL),
    ("observe/layer_trace.hpp", "size_of_head(first_position, position - first_position)",
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
    ("observe/timeline_tensors.hpp", "read_numbers(tensor.format, from, numbers(step), part(step).data() + head",
     "read_numbers(tensor.format, from, numbers(step), part(step).data() + 0 * head", FILE),
    ("observe/timeline_fields.hpp", 'each("rope_theta", c.rope_theta)', "(void)each", FILE),
    ("observe/timeline_checks.hpp", "<= (*side)[i].first,", "<= (*side)[i].first + 1,", FILE),
    ("io/gguf.hpp", "shape.insert(entry.tensor.shape.begin(), std::size_t(length))",
     "shape.push_back(std::size_t(length))", GGUF),
    ("io/gguf.hpp", "(end_of_header + alignment - 1) / alignment * alignment", "end_of_header", GGUF),
    ("io/gguf.hpp", "entry.offset % alignment == 0", "true", GGUF),
    ("io/gguf.hpp", "entry.offset <= bytes.size() - begin && ", "", GGUF),
    ("io/gguf.hpp", "check_overlaps(tensors_, path_);", "", GGUF),
    ("io/gguf_config.hpp", "RopePairs::interleaved : RopePairs::half_split",
     "RopePairs::half_split : RopePairs::interleaved", GGUF_CONFIG),
    ("io/gguf_config.hpp", "(std::size_t(pairs), factor)", "(std::size_t(pairs), 1 / factor)", GGUF_CONFIG),
    ("io/gguf_tokenizer.hpp", "{qwen2_pattern}", "{llama3_pattern}", GGUF_MODELS),
    ("io/gguf_tokenizer.hpp", "type == control || type == user_defined", "type == control", GGUF_MODELS),
    ("io/safetensors.hpp", "end - begin == size", "end - begin >= size", SAFETENSORS),
    ("io/safetensors.hpp", "data.subspan(begin, size)", "data.subspan(0, size)", SAFETENSORS),
    ("io/safetensors_folder.hpp", "name.find('/') == std::string::npos && ", "", FOLDERS),
    ("io/tensor_overlaps.hpp", "in_order[i - 1]->bytes.data() + in_order[i - 1]->bytes.size() <=",
     "in_order[i - 1]->bytes.data() <=", GGUF),
    ("io/tensor_overlaps.hpp", "return tensor->bytes.data();", "return tensor->name;", GGUF),
    ("io/read_weights.hpp", "if (bias) all.bias = detail::below(", "if (bias) detail::below(", FOLDERS),
    ("io/chat_template.hpp", "text.rfind(answer)", "text.find(\"?\")", CHAT),
    ("io/chat_template.hpp", "if (!system.empty()) messages", "messages", CHAT),
    ("io/jinja.hpp", '{"+", "-"}, &JinjaRun::joined', '{"+", "-", "~"}, &JinjaRun::product', CHAT),
    ("io/jinja.hpp", "if (!was_idle) signal_", "signal_", CHAT),
    ("io/jinja_parts.hpp", "else if (drops_line && at(at_)", "else if (false && at(at_)", CHAT),
    ("io/config_json.hpp", "const bool inside = scaling", "const bool inside = !json.has(\"rope_theta\") && scaling", FOLDERS),
    ("io/read_weights.hpp", "prefix.empty() || prefix.ends_with('.')", "prefix.empty() || prefix == \"model.\"", FOLDERS),
    ("io/gguf_config.hpp", "text && is_end_text(*text)", "text && false", GGUF_CONFIG),
    ("text/split_behaviour.hpp", "behaviour == SplitBehaviour::merged_with_next)", "false)", TOKENIZER),
    ("text/tokenizer.hpp", "(last_known || !fuse_unknown_)", "true", TOKENIZER),
    ("text/utf8_stream.hpp", "if (front.kind == Utf8Front::Kind::cut_off) break;", "", STREAM),
    ("text/utf8_stream.hpp", "waiting_.erase(0, at);", "waiting_.clear();", STREAM),
    ("core/byte_stream.hpp", "at_ += count;", "", BYTES),
    ("core/byte_stream.hpp", "count <= left() / each", "count * each <= left()", BYTES),
    ("io/session.hpp", "stored == computed,", "true,", SESSION),
    ("io/session.hpp", "version == session_version,", "true,", SESSION),
    ("io/session.hpp", "session_.fingerprint == fingerprint,", "true,", SESSION),
    ("io/session.hpp", "std::size_t(length) <= session_.tokens.size()) return", "true) return", SESSION),
    ("io/atomic_file.hpp", ".substr(0, 250) + \".part\"", "", SESSION),
    ("io/atomic_file.hpp", "::unlink(part_.c_str());  // locked", ";  // locked", ATOMIC),
    ("io/atomic_file.hpp", "::ftruncate(file_, 0) == 0", "true", ATOMIC),
    ("io/atomic_file.hpp", "::fchmod(file_, old.st_mode & 0777);", "", ATOMIC),
    ("io/atomic_file.hpp", "target_(detail::behind_links(path))", "target_(path)", ATOMIC),
    ("io/atomic_file.hpp", "path.parent_path() / target;", "target;", ATOMIC),
    ("io/atomic_file.hpp", "!S_ISREG(old.st_mode) || is_stream", "!S_ISREG(old.st_mode)", ATOMIC),
    ("io/atomic_file.hpp", "std::fflush(stdout);", "", ATOMIC),
    ("io/atomic_file.hpp", "::flock(file_, LOCK_EX | LOCK_NB) != 0", "false", ATOMIC),
    ("io/atomic_file.hpp", "O_NOFOLLOW | O_NONBLOCK", "O_NOFOLLOW | 0", ATOMIC),
    ("io/atomic_file.hpp", "!detail::is_named(file_, part_)) open_part();", "false) open_part();", ATOMIC),
    ("cache/saved_cache.hpp", "cache.clear();\n    throw;", "throw;", ["cache/make_cache_test.cpp"]),
    ("cache/saved_cache.hpp", "saved == kind,", "true,", SESSION),
    ("cache/evicting_cache.hpp", "random = Random(state);", "(void)state;", SESSION),
    ("cache/evicting_cache.hpp", "= from.number<double>();", "= 0 * from.number<double>();", SESSION),
    ("cache/rows/kivi_parts.hpp", "    packed_ = packed;", "", SESSION),
    ("cache/offloaded_cache.hpp", "(length + size - 1) / size - offload_.recent", "length / size - offload_.recent",
     SESSION),
    ("observe/traced_cache.hpp", "reasons_[e->position] = e->reason", "(void)e", TRACED_CACHE),
    ("observe/traced_cache.hpp", "copied += e->bytes;", "", TRACED_CACHE),
    ("observe/traced_cache.hpp", "heard().events.clear();\n    copy", "copy", TRACED_CACHE),
    ("observe/traced_cache.hpp", "const OnlyLooking here;", "", TRACED_CACHE),
    ("observe/traced_cache.hpp", "look_at_all();  // it is empty now", "", TRACED_CACHE),
    ("observe/traced_cache.hpp", "std::max(0, first_kept_ - first_position)", "0", TRACED_CACHE),
    ("observe/traced_decoding.hpp", "prompt_length_ + trace_.fork_at - 1", "prompt_length_ + trace_.fork_at", TRACED),
    ("observe/traced_decoding.hpp", "+ std::size_t(h * config_.head_dim);", ";", TRACED),
    ("observe/timeline.hpp", "std::min(step, steps() - 1); s > step_of(position)", "steps() - 1; s > step_of(position)",
     TRACED),
    ("observe/timeline.hpp", "first += heads * rows * dim;", "", TRACED),
    ("cache/paged_kivi_cache.hpp", "if (group == int(table_.size())) table_", "table_", PAGED_KIVI),
    ("cache/paged_kivi_cache.hpp", "pool_->share(page);", "", PAGED_KIVI),
    ("cache/paged_kivi_cache.hpp", "other.tails_ = tails_, ", "", PAGED_KIVI),
    ("cache/paged_kivi_cache.hpp", "(first / tail.ring() + 1) * tail.ring()", "end", PAGED_KIVI),
    ("cache/paged_kivi_cache.hpp", "least = std::max(least, packed(l))", "least = 0", PAGED_KIVI),
    ("cache/check_append.hpp", "length == 0 || length >= least", "true", PAGED_KIVI),
    ("cache/paged_kivi_cache.hpp", "if (missing > 0) pool_->require(missing);\n    for (int i = 0; i < missing", "for (int i = 0; i < 0", PAGED_KIVI),
    ("cache/per_layer_cache.hpp", "for (Part& part : parts_) part.prepare(tokens);", "", ["cache/per_layer_cache_test.cpp"]),
    ("cache/contiguous_cache.hpp", "make_room(l, length(l) + tokens);", "make_room(l, length(l));", ["cache/contiguous_cache_test.cpp"]),
    ("cache/contiguous_cache.hpp", "packed, rows.packed() - packed}", "packed, rows.packed()}", TRACED_CACHE),
    ("cache/paged_cache.hpp", "std::min(size, length(0) - first), page", "size, page", TRACED_CACHE),
    ("cache/paged_cache.hpp", "if (pool_->references(page) == 1) continue;", "continue;", ANYTHING),
    ("cache/paged_cache.hpp", "copy_page(shared, page);", "", PAGED),
    ("cache/paged_cache.hpp", "pool_->give_back(shared);", "", PAGED),
    ("cache/paged_cache.hpp", "pool_->require(missing);", "", PAGED),
    ("cache/paged_cache.hpp", "missing += pool_->references(table_[std::size_t(i)]) > 1;", "", PAGED),
    ("cache/page_pool.hpp", "if (--references_[std::size_t(page)] == 0) free_", "--references_[std::size_t(page)], free_",
     ANYTHING),
    ("cache/prefix_tree.hpp", "found + page_size() < int(prompt.size())", "found + page_size() <= int(prompt.size())",
     PREFIXES),
    ("cache/prefix_tree.hpp", "page.children == 0 && ", "", PREFIXES),
    ("cache/prefix_tree.hpp", "page.last_used < oldest->last_used", "page.last_used > oldest->last_used", PREFIXES),
    ("cache/prefix_tree.hpp", "pool_->references(page.page) == 1 && ", "", PREFIXES),
    ("cache/evicting_cache.hpp", "layer.attention[std::size_t(slot + t)] = 0;", "", EVICTING),
    ("cache/evicting_cache.hpp", "+= double(weights.col(slot).sum())", "= double(weights.col(slot).sum())", EVICTING),
    ("cache/evicting_cache.hpp", "layer.length = 0, layer.choice = Choice(l);", "layer.length = 0;", EVICTING),
    ("cache/sliding_window_cache.hpp", "shifts_positions() ? forgotten : 0", "0", WINDOW),
    ("cache/sliding_window_cache.hpp", "oldest + window_.recent - forgotten % window_.recent",
     "oldest + window_.recent - forgotten", WINDOW),
    ("cache/sliding_window_cache.hpp", "std::max(1, slots(layer) - length(layer))", "unlimited", WINDOW),
    ("cache/offloaded_cache.hpp", "if (block >= layer.in_file) continue;", "continue;", ANYTHING),
    ("cache/offloaded_cache.hpp", "if (oldest >= first_in_memory(layer)) write_out(layer, oldest);", "", OFFLOADED),
    ("cache/rows/kivi_parts.hpp", "if (first_slot == 0) packed_ = 0;", "", ANYTHING),
    ("cache/rows/kivi_parts.hpp", "slot - packed_ == o_.residual + o_.group",
     "slot - packed_ == o_.residual + o_.group - 1", KIVI),
    ("cache/rows/kivi_rows.hpp", "std::min(tail_.packed(), keep) / group()", "0", ANYTHING),
    ("cache/rows/row_side.hpp", "std::size_t(slots) * row_size_, row(head, to)", "row_size_, row(head, to)", PAGED),
    ("cache/rows/row_side.hpp", "std::size_t(keep) * row_size_", "std::size_t(keep - 1) * row_size_", ANYTHING),
    ("cache/per_layer_cache.hpp", "reach = std::max(reach, part.reach())", "reach = part.reach()",
     ["cache/per_layer_cache_test.cpp"]),
    ("cache/per_layer_cache.hpp", "for (Part& part : parts_) part.clear();", "parts_[0].clear();", ANYTHING),
    ("cache/rows/row_format.hpp", "to.scales.push_back(scale), to.minima", "to.scales.push_back(2 * scale), to.minima", CODES),
    ("cache/rows/number_codes.hpp", "-8 * scale", "0", CODES),
    ("cache/rows/number_codes.hpp", "(i < 16 ? 0 : 4)", "(i < 16 ? 4 : 0)", CODES),
    ("cache/rows/codes.hpp", "to_integer<int>(bytes[k % n])", "to_integer<int>(bytes[k * bits / 8])", CODES),
    ("cache/rows/kivi_block.hpp", "float(minima[head_dim + d])", "float(minima[d])", CODES),
    ("cache/rows/kivi_block.hpp", "const int slot = first + row;", "const int slot = row;", CODES),
    ("cache/rows/packed_rows.hpp", "    to.clear();\n", "", CODES),
    ("cache/any_block.hpp", "one.value_codes(row, to)", "one.key_codes(row, to)", CODES),
    ("observe/read_codes.hpp", "row.key.clear(), row.value.clear();", "(void)row;", CODES),
    ("observe/step_codes.hpp", ", ranges_before += rows * ranges;", ";", CODES),
    ("observe/step_codes.hpp", "before += format.has_codes() ? rows : 0", "before += rows", CODES),
    ("observe/step_codes.hpp", "runs.back().first_position + runs.back().rows == position", "true", CODES),
    ("observe/traced_decoding.hpp", "if (trace_.codes) codes_.read(rows_to_read(model_, cache_), event", "if (false) codes_.read(cache_, event", CODES),
    ("observe/timeline.hpp", "std::min(step, steps() - 1); s >= step_of(position)", "steps() - 1; s >= step_of(position)",
     CODES),
    ("observe/timeline_tensors.hpp", "(step.codes.*side).scales", "(step.codes.*side).minima", FILE),
    ("observe/timeline_checks.hpp", "code == std::floor(code),", "true,", FILE),
    ("core/statistics.hpp", "std::sort(numbers.begin(), numbers.end());", "", ["core/statistics_test.cpp"]),
]


def run(command, folder, seconds):
    environment = dict(os.environ, OMP_NUM_THREADS="2")
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
        flags = ["-std=c++20", "-O1", f"-I{include}", f"-I{TESTS}", f"-I{ROOT}", f"-I{ROOT}/cuda/shim", "-isystem", "/usr/include/eigen3",
                 f'-DKVCACHE_GOLDENS="{TESTS}/goldens"', f'-DKVCACHE_MODELS="{ROOT}/models"', "-pthread"]
        # Helpers are compiled anew only where the fault is in them; else those of the sound headers serve.
        own = [str(TESTS / t) for t in tests]
        helpers = dict(objects)
        anew = ["../common/instances.cpp"] if header == "math/products.hpp" else []
        if not any(words in (TESTS / t).read_text() for t in tests for words in CHOOSE_BY_NAME):
            helpers.pop(CACHES)
        elif header.startswith("cache/"):
            anew.append(CACHES)
        for source in anew:
            helpers.pop(source)
            own.append(str(TESTS / source))
        build = run([compiler, *flags, *own, *helpers.values(), "-lpcre2-8", "-o", "tests"], folder, 600)
        if build.returncode:
            return "does not compile: " + build.stderr.split("error:")[-1].strip().splitlines()[0]
        try:
            return "caught" if run(["./tests"], folder, 120).returncode else "SURVIVED"
        except subprocess.TimeoutExpired:
            return "caught (it hangs)"


def compile_helpers(compiler, folder):
    """The test program's main and what all tests share, from the sound headers."""
    objects = {}
    for source in ["main.cpp", *COMMON, CACHES]:
        target = Path(folder) / (Path(source).name + ".o")
        build = run([compiler, "-std=c++20", "-O1", f"-I{ROOT}/include", f"-I{TESTS}", f"-I{ROOT}",
                     "-isystem", "/usr/include/eigen3", "-c", str(TESTS / source), "-o", str(target)], folder, 600)
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
