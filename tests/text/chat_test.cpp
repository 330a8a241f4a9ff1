#include "kvcache/text/chat.hpp"

#include <doctest/doctest.h>

using namespace kvcache;

TEST_CASE("a chat format is recognised by the special tokens of its template") {
  CHECK(chat_format_of("{{'<|im_start|>' + message['role'] + '\n'}}") == ChatFormat::chatml);
  CHECK(chat_format_of("{{ '<|start_header_id|>' + message['role'] }}") == ChatFormat::llama3);
  CHECK(chat_format_of("[INST] {{ message }} [/INST]") == ChatFormat::none);
  CHECK(chat_format_of("") == ChatFormat::none);
}

TEST_CASE("a question is put as the model expects it, up to where its answer begins") {
  CHECK(chat_prompt(ChatFormat::chatml, "", "Why?") == "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(chat_prompt(ChatFormat::chatml, "Be brief.", "Why?") ==
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(chat_prompt(ChatFormat::llama3, "Be brief.", "Why?") ==
        "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nWhy?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n");
  CHECK(chat_prompt(ChatFormat::none, "Be brief.", "Why?") == "Why?");
}

TEST_CASE("the next question follows an answer that ended, and ends one that was broken off") {
  const auto next = [](ChatFormat format, bool ended) { return next_chat_prompt(format, ended, "Why?"); };
  CHECK(next(ChatFormat::chatml, true) == "\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(next(ChatFormat::chatml, false) == "<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(next(ChatFormat::llama3, true) == chat_prompt(ChatFormat::llama3, "", "Why?"));
  CHECK(next(ChatFormat::llama3, false) == "<|eot_id|>" + chat_prompt(ChatFormat::llama3, "", "Why?"));
  CHECK(next(ChatFormat::none, false) == "Why?");
}
