#!/usr/bin/env python3
"""Stores a GGUF file's matrices in another format: store_as.py IN.gguf F32|F16|BF16|Q8_0|Q4_0|Q4_1 OUT.gguf"""

import sys

import numpy
from gguf import GGUFReader, GGUFValueType, GGUFWriter, GGMLQuantizationType
from gguf.quants import dequantize, quantize

source, name, target = sys.argv[1:]
reader = GGUFReader(source)
kind = GGMLQuantizationType[name]
writer = GGUFWriter(target, "llama")
for field in reader.fields.values():
    if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
        continue
    value_type = field.types[0]
    writer.add_key_value(field.name, field.contents(), value_type,
                         field.types[-1] if value_type == GGUFValueType.ARRAY else None)
for tensor in reader.tensors:
    numbers = dequantize(tensor.data, tensor.tensor_type).reshape([int(n) for n in tensor.shape[::-1]])
    as_it_is = numbers.ndim == 1 or kind == GGMLQuantizationType.F32
    stored = numbers.astype(numpy.float32) if as_it_is else quantize(numbers.astype(numpy.float32), kind)
    writer.add_tensor(tensor.name, stored, raw_dtype=None if as_it_is else kind)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
