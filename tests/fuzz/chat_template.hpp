// Fuzz target: a chat template, which is a program from anybody.
#pragma once

#include "fuzz/input_file.hpp"
#include "kvcache/io/chat_template.hpp"

namespace kvcache_test {

inline void fuzz_chat_template(std::string_view bytes) {
  attempt([&] {
    const kvcache::ChatTemplate chat(bytes, {{"bos_token", "<s>"}}, "the chat template");
    attempt([&] { chat.first("Be brief.", "  Who?\n"); });
    attempt([&] { chat.next("And when?"); });
    attempt([&] { chat.end_of_answer(); });
  });
}

}  // namespace kvcache_test
