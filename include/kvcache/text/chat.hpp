// How a model expects a conversation to be written.
#pragma once

#include <string>
#include <string_view>

namespace kvcache {

enum class ChatFormat {
  none,    // no conversation: the text is continued as it stands
  chatml,  // <|im_start|>user ... <|im_end|>
  llama3,  // <|start_header_id|>user<|end_header_id|> ... <|eot_id|>
};

constexpr std::string_view name(ChatFormat format) {
  return format == ChatFormat::chatml ? "ChatML" : format == ChatFormat::llama3 ? "Llama 3" : "none";
}

/// The format of a model by its chat template, a program in the Jinja language: recognised by its special tokens, not
/// run. Other templates: none.
inline ChatFormat chat_format_of(std::string_view chat_template) {
  if (chat_template.find("<|im_start|>") != std::string_view::npos) return ChatFormat::chatml;
  if (chat_template.find("<|start_header_id|>") != std::string_view::npos) return ChatFormat::llama3;
  return ChatFormat::none;
}

/// The text that ends what somebody says.
constexpr std::string_view end_of_turn(ChatFormat format) {
  return format == ChatFormat::chatml ? "<|im_end|>" : format == ChatFormat::llama3 ? "<|eot_id|>" : "";
}

/// A conversation of one question, up to where the answer begins. An empty system message is left out: templates that
/// put a message of their own there are not followed in that. A token that begins every text is the tokenizer's to add.
inline std::string chat_prompt(ChatFormat format, std::string_view system, std::string_view question) {
  std::string text;
  const auto say = [&](std::string_view role, std::string_view message) {
    if (format == ChatFormat::chatml)
      ((text += "<|im_start|>") += role) += "\n", (text += message) += "<|im_end|>\n";
    else
      ((text += "<|start_header_id|>") += role) += "<|end_header_id|>\n\n", (text += message) += "<|eot_id|>";
  };
  if (format == ChatFormat::none) return std::string(question);
  if (!system.empty()) say("system", system);
  say("user", question);
  return text +=
         format == ChatFormat::chatml ? "<|im_start|>assistant\n" : "<|start_header_id|>assistant<|end_header_id|>\n\n";
}

/// The next question, after an answer, up to where the next answer begins. `ended`: the answer's last token was
/// end_of_turn(); an answer that was broken off is ended here.
inline std::string next_chat_prompt(ChatFormat format, bool ended, std::string_view question) {
  std::string text;
  if (!ended) text += end_of_turn(format);
  if (format == ChatFormat::chatml) text += "\n";
  return text + chat_prompt(format, "", question);
}

}  // namespace kvcache
