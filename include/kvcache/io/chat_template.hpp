// How a model's makers write a conversation: the chat template that comes with it, a program in the Jinja language.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvcache/io/jinja.hpp"

namespace kvcache {

struct ChatMessage {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

/// The template is run, so that its own system message, its white space and its dates come out as in transformers. It
/// writes the token that begins a text too, so what it gives is read with Tokenizer::encode_more.
class ChatTemplate {
 public:
  /// `variables`: what a template may ask for beside the conversation, such as bos_token. `where` begins the sentences.
  /// Errors: what is no template.
  ChatTemplate(std::string_view text, nlohmann::ordered_json variables, std::string where)
      : where_(std::move(where)),
        variables_(std::move(variables)),
        template_(say_where(where_, [&] { return JinjaTemplate(text); })) {}

  /// The conversation as text; `answers`: up to where an answer begins. Errors: what the template uses and is not
  /// known here (by name), what it refuses.
  std::string render(const std::vector<ChatMessage>& messages, bool answers) const {
    nlohmann::ordered_json variables = variables_;
    variables["messages"] = nlohmann::ordered_json::array();
    for (const ChatMessage& message : messages)
      variables["messages"].push_back({{"role", message.role}, {"content", message.content}});
    variables["add_generation_prompt"] = answers;
    variables["tools"] = variables["documents"] = nullptr;
    return say_where(where_, [&] { return template_.render(variables); });
  }

  /// A conversation of one question, up to where the answer begins. Without a system message the template may put one.
  std::string first(const std::string& system, const std::string& question) const {
    std::vector<ChatMessage> messages;
    if (!system.empty()) messages.push_back({"system", system});
    messages.push_back({"user", question});
    return render(messages, true);
  }
  /// What stands between an answer and the next: the end of the first, a question, and where the next begins.
  std::string next(const std::string& question) const {
    return behind_answer(render({ChatMessage{"user", "?"}, {"assistant", answer}, {"user", question}}, true));
  }
  /// What is written behind an answer that ends the conversation; may be empty.
  std::string end_of_answer() const {
    return behind_answer(render({ChatMessage{"user", "?"}, {"assistant", answer}}, false));
  }

  /// Its name, where what it writes is known by one.
  std::string_view name() const {
    const std::string text = render({ChatMessage{"user", "?"}}, true);
    if (text.find("<|im_start|>user\n?<|im_end|>\n<|im_start|>assistant\n") != text.npos) return "ChatML";
    if (text.find("<|start_header_id|>user<|end_header_id|>\n\n?<|eot_id|>") != text.npos) return "Llama 3";
    return "of its own";
  }

 private:
  static constexpr const char* answer = "<answer-0>";  // stands for any: it is looked for in what the template writes
  std::string behind_answer(const std::string& text) const {
    const std::size_t at = text.rfind(answer);
    check(at != std::string::npos, where_, " leaves answers out, so a conversation cannot go on");
    return text.substr(at + std::string_view(answer).size());
  }

  std::string where_;
  nlohmann::ordered_json variables_;
  JinjaTemplate template_;
};

}  // namespace kvcache
