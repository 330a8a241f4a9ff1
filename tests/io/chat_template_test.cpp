// Chat templates against what Jinja makes of them (tests/goldens/make_chat.py).
#include "kvcache/io/chat_template.hpp"

#include <doctest/doctest.h>

#include "temporary_folder.hpp"

using namespace kvcache;
using json = nlohmann::ordered_json;

namespace {

ChatTemplate chat_of(const std::string& text, const json& variables = json::object()) {
  return ChatTemplate(text, variables, "m: the chat template");
}
std::string rendered(const std::string& text) { return chat_of(text).render({ChatMessage{"user", "Who?"}}, true); }
void refused(const std::string& text, const std::string& sentence) {
  CAPTURE(text);
  CHECK_THROWS_WITH_AS(rendered(text), doctest::Contains(sentence.c_str()), Error);
}

const char* const plain_chatml =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

}  // namespace

TEST_CASE("templates give what Jinja gives, and are refused where Jinja refuses them") {
  const json golden = json::parse(kvcache_test::read_file(std::filesystem::path(KVCACHE_GOLDENS) / "chat.json"));
  int texts = 0, refusals = 0;
  for (const json& each : golden["templates"])
    for (std::size_t i = 0; i < each["texts"].size(); ++i) {
      CAPTURE(each["name"].get<std::string>());
      CAPTURE(i);
      const json& run = golden["runs"][i];
      std::vector<ChatMessage> messages;
      for (const json& message : run["messages"]) messages.push_back({message["role"], message["content"]});
      const auto render = [&] {
        return chat_of(each["template"], golden["variables"]).render(messages, run["answers"].get<bool>());
      };
      if (each["texts"][i].is_null()) {
        CHECK_THROWS_AS(render(), Error);
        ++refusals;
      } else {
        std::string text;
        CHECK_NOTHROW(text = render());
        CHECK(text == each["texts"][i].get<std::string>());
        ++texts;
      }
    }
  CHECK(texts > 90);
  CHECK(refusals > 10);
}

TEST_CASE("what a template uses and is not known here is named, and nothing is guessed") {
  refused("{{ 'a' | rot13 }}", "m: the chat template: uses the filter 'rot13', which is not supported");
  refused("{{ 'a' is palindrome }}", "uses the test 'palindrome'");
  refused("{{ 'a'.zfill(3) }}", "calls 'zfill' of string, which is not supported");
  refused("{{ lipsum() }}", "calls 'lipsum', which is not supported");
  refused("{% include 'x' %}", "has the statement 'include', which is not supported");
  refused("{{ raise_exception('No system role.') }}", "refuses this conversation: No system role.");
  refused("{{ bos_token + 'a' }}", "calculates what is undefined + 'a'");
  refused("{% for m in messages %}", "lacks 'endfor'");
  CHECK(rendered("{% if false %}{{ 'a' | rot13 }}{% endif %}b") == "b");  // what never runs need not be known
}

TEST_CASE("a template from anybody ends, and takes little memory") {
  refused("{% for i in range(9000) %}{% for j in range(9000) %}{% endfor %}{% endfor %}", "runs too long");
  refused("{% set n = namespace(a='x') %}{% for i in range(99) %}{% set n.a = n.a ~ n.a %}{% endfor %}", "runs too long");
  refused("{% set n = namespace(a=[1]) %}{% for i in range(99) %}{% set n.a = [n.a, n.a] %}{% endfor %}", "runs too long");
  refused("{% set n = namespace(a=1) %}{% for i in range(9999) %}{% set n.a = [n.a] %}{% endfor %}", "100 deep");
  refused("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nests more than 200 deep");
  refused("{{ " + std::string(100000, '(') + " }}", "nests more than 200 deep");
  refused("{{ " + std::string(100000, '-') + "1 }}", "nests more than 200 deep");
  refused("{{ range(1000000000) }}", "makes a range of more than");
  std::string nested;
  for (int i = 0; i < 10000; ++i) nested += "{% if true %}";
  refused(nested, "nests more than 200 deep");
}

TEST_CASE("a template cut anywhere, or with any letter changed, is rendered or refused") {
  const json golden = json::parse(kvcache_test::read_file(std::filesystem::path(KVCACHE_GOLDENS) / "chat.json"));
  int left = 0;
  for (const json& each : golden["templates"]) {
    const std::string whole = each["template"];
    for (std::size_t i = 0; i < whole.size(); i += 3) {
      std::string changed = whole;
      changed[i] = "{}%#'(|-"[i / 3 % 8];
      for (const std::string& text : {whole.substr(0, i), changed}) try {
          rendered(text);
          ++left;
        } catch (const Error&) {
        }
    }
  }
  CHECK(left > 0);
}

TEST_CASE("a conversation goes on as the template writes it") {
  const ChatTemplate chat = chat_of(plain_chatml);
  CHECK(chat.first("", "Who?") == "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(chat.first("Be brief.", "Who?") ==
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(chat.next("And when?") == "<|im_end|>\n<|im_start|>user\nAnd when?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(chat.end_of_answer() == "<|im_end|>\n");
  CHECK(chat.name() == "ChatML");
  CHECK(chat_of("{% for m in messages %}[{{ m.content }}]{% endfor %}").name() == "of its own");
  CHECK_THROWS_WITH_AS(chat_of("{{ messages[0].content }}").next("x"), doctest::Contains("leaves answers out"), Error);
}
