// How many threads a scope uses. Most tests use one: two run at a time.
#pragma once

#include "kvcache/core/parallel.hpp"

class Threads {
 public:
  explicit Threads(int threads) { kvcache::set_thread_count(threads); }
  ~Threads() { kvcache::set_thread_count(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_ = kvcache::thread_count();
};
