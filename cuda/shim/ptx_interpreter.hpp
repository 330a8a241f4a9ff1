// Runs on the CPU the PTX that nvcc makes of a kernel: a check of what the compiler made, on a machine without a GPU.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace ptx {

/// PTX that the interpreter does not know, or that does what a kernel may not: it is never guessed at.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Some bytes of the host: an argument of a kernel, or a piece of what is the device's memory here.
struct Bytes {
  const void* data;
  std::size_t size;
};

struct Launch {
  std::array<unsigned, 3> grid, block;
  std::size_t shared_bytes;      // dynamic shared memory of each block
  std::vector<Bytes> arguments;  // in the order of the kernel's parameters
  std::vector<Bytes> memory;     // all that the kernel may read and write beside shared memory
  std::uint64_t instructions_at_most = UINT64_MAX;
  bool backwards = false;  // warps and their threads take turns from the last to the first
};

struct Kernel;

/// A text of PTX, read.
class Module {
 public:
  /// Errors: an instruction, modifier or declaration that is not known.
  explicit Module(const std::string& text);

  std::vector<std::string> kernels() const;  // as the compiler named them
  /// The instructions of a kernel, in their order.
  std::vector<std::string> code(const std::string& kernel) const;
  /// The same module, but one instruction of one kernel is another: a planted fault. Errors: as the constructor.
  Module changed(const std::string& kernel, std::size_t place, const std::string& instruction) const;

  /// Runs all blocks, one after another. Within a block each warp runs to its next barrier, then the next warp
  /// does. Returns how often each instruction was carried out, over all threads. Errors: a kernel that is not in
  /// the text; arguments of other sizes than its parameters; an access beside `memory` or shared memory; threads that
  /// wait for each other; more instructions than allowed.
  std::vector<std::uint64_t> run(const std::string& kernel, const Launch& launch) const;

 private:
  const Kernel& find(const std::string& kernel) const;
  std::map<std::string, std::shared_ptr<const Kernel>> kernels_;
};

}  // namespace ptx
