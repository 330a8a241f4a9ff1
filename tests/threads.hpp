// How many threads a scope uses. Most tests use one: on a busy machine OpenMP's barriers take longest.
#pragma once

#include "kvcache/core/parallel.hpp"

class Threads {
 public:
  /// As many as asked for, or one in a build without OpenMP.
  explicit Threads(int threads) { kvcache::set_thread_count(kvcache::has_threads() ? threads : 1); }
  ~Threads() { kvcache::set_thread_count(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_ = kvcache::thread_count();
};
