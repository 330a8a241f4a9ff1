// Runs a template in the Jinja language, as far as chat templates use it. What it does not know is an error that names
// it; nothing is guessed. Language: https://jinja.palletsprojects.com/en/stable/templates/
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kvcache/io/jinja_functions.hpp"
#include "kvcache/io/jinja_parts.hpp"
#include "kvcache/io/jinja_values.hpp"

namespace kvcache {

namespace detail {

/// One run over the parts of a template. Parts that are not to count (the other branch of an if, the right side of a
/// decided `and`) are read over with `idle_` above 0: the same walk, in which nothing is evaluated.
class JinjaRun {
 public:
  JinjaRun(const std::vector<JinjaPart>& parts, JinjaValue variables) : parts_(parts) {
    scopes_.emplace_back();
    for (const auto& [name, value] : variables.items()) scopes_[0][name] = value;
  }

  std::string text() {
    const std::size_t end = block(0);
    if (end < parts_.size()) fail("has '", word(end), "' where nothing is open");
    return std::move(out_);
  }

 private:
  using Kind = JinjaToken::Kind;
  enum class Signal { none, next, leave };  // what a loop is told: continue, break

  /// A place in the tokens of one tag.
  struct Cursor {
    const std::vector<JinjaToken>* tokens;
    std::size_t at = 0;
    bool done() const { return at >= tokens->size(); }
    bool is(std::string_view text, std::size_t ahead = 0) const {
      return at + ahead < tokens->size() && (*tokens)[at + ahead].kind != Kind::text &&
             (*tokens)[at + ahead].text == text;
    }
    bool take(std::string_view text) { return is(text) && ++at; }
    void need(std::string_view text) {
      check(take(text), "lacks '", text, "' before '", done() ? "the end of a tag" : (*tokens)[at].text, "'");
    }
    std::string name() {
      check(!done() && (*tokens)[at].kind == Kind::name, "lacks a name before '",
            done() ? "the end of a tag" : (*tokens)[at].text, "'");
      return (*tokens)[at++].text;
    }
    void end() const { check(done(), "has '", done() ? "" : (*tokens)[at].text, "' where a tag should end"); }
  };
  struct Macro {
    std::size_t part;
    Cursor parameters;
  };
  /// Counts how deep one goes while it lives. Errors: too deep.
  struct Deeper {
    int& depth;
    explicit Deeper(int& d) : depth(d) { check(++depth <= 200, "nests more than 200 deep"); }
    ~Deeper() { --depth; }
    Deeper(const Deeper&) = delete;
  };

  // ---- statements

  std::string word(std::size_t part) const {
    return part < parts_.size() && !parts_[part].tokens.empty() ? parts_[part].tokens[0].text : "";
  }
  bool idle() const { return idle_ > 0; }

  /// From a part on up to a statement that ends or divides the block it stands in: its place, or that behind the last.
  std::size_t block(std::size_t at) {
    const Deeper deeper(depth_);
    while (at < parts_.size()) {
      check(++steps_ <= 100'000 && out_.size() <= 1u << 26, "runs too long");
      const JinjaPart& part = parts_[at];
      if (part.kind == JinjaPart::Kind::text) {
        if (!idle()) out_ += part.text;
        ++at;
      } else if (part.kind == JinjaPart::Kind::output) {
        Cursor c{&part.tokens};
        const JinjaValue value = expression(c);
        c.end();
        if (!idle()) out_ += jinja_text(value);
        ++at;
      } else {
        const std::string what = word(at);
        if (what.starts_with("end") && what != "endgeneration") return at;
        if (what == "else" || what == "elif") return at;
        at = statement(what, at);
      }
    }
    return at;
  }

  std::size_t statement(const std::string& what, std::size_t at) {
    if (what == "if") return if_statement(at);
    if (what == "for") return for_statement(at);
    if (what == "set") return set_statement(at);
    if (what == "macro") return macro_statement(at);
    if (what == "generation" || what == "endgeneration") return at + 1;  // marks answers for training
    check(what == "break" || what == "continue", "has the statement '", what, "', which is not supported");
    if (!idle()) {
      check(loops_ > 0, "has a '", what, "' outside of a loop");
      signal_ = what == "break" ? Signal::leave : Signal::next;
      ++idle_;  // until the loop takes notice
    }
    return at + 1;
  }
  std::size_t behind(std::size_t at, const char* wanted) const {
    check(word(at) == wanted, "lacks '", wanted, "'");
    return at + 1;
  }

  std::size_t if_statement(std::size_t at) {
    bool decided = false;
    while (true) {
      Cursor c{&parts_[at].tokens, 1};
      bool goes = !decided;
      if (word(at) != "else") {
        idle_ += decided;
        goes = is_true(expression(c)) && !decided;
        idle_ -= decided;
      }
      c.end();
      idle_ += !goes;
      at = block(at + 1);
      idle_ -= !goes;
      decided = decided || goes;
      if (word(at) == "endif") return at + 1;
      check(word(at) == "elif" || word(at) == "else", "lacks 'endif'");
    }
  }

  std::size_t for_statement(std::size_t at) {
    Cursor c{&parts_[at].tokens, 1};
    std::vector<std::string> names{c.name()};
    while (c.take(",")) names.push_back(c.name());
    c.need("in");
    const JinjaValue all = or_expression(c);
    const Cursor condition = c;
    std::vector<JinjaValue> items;
    if (!idle()) items = jinja_items(all);
    if (c.take("if")) {
      std::erase_if(items, [&](const JinjaValue& item) {
        scopes_.emplace_back();
        bind(names, item);
        Cursor again = condition;
        again.take("if");
        const bool goes = is_true(or_expression(again));
        scopes_.pop_back();
        return !goes;
      });
      ++idle_;
      or_expression(c);
      --idle_;
    }
    c.end();

    std::size_t end = at + 1;
    const bool was_idle = idle();  // then what an outer loop is told is not this one's business
    ++loops_;
    for (std::size_t i = 0; i < items.size() && signal_ != Signal::leave; ++i) {
      scopes_.emplace_back();
      bind(names, items[i]);
      ++steps_;
      scopes_.back()["loop"] = loop_variable(items, i);
      end = block(at + 1);
      scopes_.pop_back();
      if (signal_ != Signal::none) --idle_;
      if (signal_ == Signal::next) signal_ = Signal::none;
    }
    if (!was_idle) signal_ = Signal::none;
    --loops_;
    idle_ += items.empty();
    if (items.empty()) end = block(at + 1);
    idle_ -= items.empty();
    if (word(end) == "else") {
      idle_ += !items.empty();
      end = block(end + 1);
      idle_ -= !items.empty();
    }
    return behind(end, "endfor");
  }
  void bind(const std::vector<std::string>& names, const JinjaValue& item) {
    auto& scope = scopes_.back();
    if (names.size() == 1) {
      scope[names[0]] = item;
      return;
    }
    check(item.is_array() && item.size() == names.size(), "gives ", names.size(), " names to '", jinja_text(item), "'");
    for (std::size_t i = 0; i < names.size(); ++i) scope[names[i]] = item[i];
  }
  static JinjaValue loop_variable(const std::vector<JinjaValue>& items, std::size_t i) {
    JinjaValue loop{{"index", i + 1},
                    {"index0", i},
                    {"revindex", items.size() - i},
                    {"revindex0", items.size() - i - 1},
                    {"first", i == 0},
                    {"last", i + 1 == items.size()},
                    {"length", items.size()}};
    if (i > 0) loop["previtem"] = items[i - 1];
    if (i + 1 < items.size()) loop["nextitem"] = items[i + 1];
    return loop;
  }

  std::size_t set_statement(std::size_t at) {
    Cursor c{&parts_[at].tokens, 1};
    const std::string name = c.name(), field = c.take(".") ? c.name() : "";
    JinjaValue value;
    std::size_t next = at + 1;
    if (c.take("=")) {
      value = expression(c);
    } else {
      std::string kept = std::exchange(out_, "");
      next = behind(block(next), "endset");
      value = std::exchange(out_, std::move(kept));
    }
    c.end();
    if (idle()) return next;
    const std::size_t size = jinja_size(value);
    check(size <= most_bytes, "sets '", name, "' to something too large");
    steps_ += int(size / 64);  // copies take time too
    if (field.empty()) {
      scopes_.back()[name] = value;
    } else {
      JinjaValue* object = find(name);
      check(object && object->is_object(), "sets '", field, "' of '", name, "', which is no namespace");
      (*object)[field] = value;
    }
    return next;
  }

  std::size_t macro_statement(std::size_t at) {
    Cursor c{&parts_[at].tokens, 1};
    const std::string name = c.name();
    c.need("(");
    if (!idle()) macros_.insert_or_assign(name, Macro{at, c});
    ++idle_;
    const std::size_t end = block(at + 1);
    --idle_;
    return behind(end, "endmacro");
  }
  JinjaValue call_macro(const Macro& macro, const JinjaArguments& given) {
    std::map<std::string, JinjaValue> scope;
    Cursor c = macro.parameters;
    for (std::size_t place = 0; !c.take(")"); ++place) {
      const std::string name = c.name();
      const JinjaValue otherwise = c.take("=") ? expression(c) : jinja_undefined();
      scope[name] = given.get(place, name.c_str(), otherwise);
      if (!c.is(")")) c.need(",");
    }
    scopes_.push_back(std::move(scope));
    std::string kept = std::exchange(out_, "");
    behind(block(macro.part + 1), "endmacro");
    scopes_.pop_back();
    return std::exchange(out_, std::move(kept));
  }

  // ---- expressions, the loosest binding first

  JinjaValue* find(const std::string& name) {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope)
      if (const auto found = scope->find(name); found != scope->end()) return &found->second;
    return nullptr;
  }

  /// value, or value if condition else value.
  JinjaValue expression(Cursor& c) {
    const Deeper deeper(depth_);
    Cursor value = c;
    if (const std::size_t at = place_of_if(c); at < c.tokens->size()) {
      c.at = at + 1;
      const bool goes = is_true(or_expression(c));
      idle_ += goes;
      JinjaValue otherwise = c.take("else") ? expression(c) : jinja_undefined();
      idle_ -= goes;
      idle_ += !goes;
      JinjaValue chosen = or_expression(value);
      idle_ -= !goes;
      check(value.at == at, "has something before 'if' that is no value");
      return goes ? chosen : otherwise;
    }
    return or_expression(c);
  }
  /// Of the `if` that belongs to the expression that begins here.
  static std::size_t place_of_if(const Cursor& c) {
    int brackets = 0;
    for (std::size_t at = c.at; at < c.tokens->size(); ++at) {
      const JinjaToken& token = (*c.tokens)[at];
      if (token.kind == Kind::name && brackets == 0 && token.text == "if") return at;
      if (token.kind == Kind::name && brackets == 0 && token.text == "else") break;
      if (token.kind != Kind::sign) continue;
      if (brackets == 0 && (token.text == "," || token.text == ":")) break;
      if (token.text == "(" || token.text == "[" || token.text == "{") ++brackets;
      if ((token.text == ")" || token.text == "]" || token.text == "}") && --brackets < 0) break;
    }
    return c.tokens->size();
  }

  JinjaValue or_expression(Cursor& c) {
    JinjaValue left = and_expression(c);
    while (c.take("or")) {
      const bool decided = is_true(left);
      idle_ += decided;
      JinjaValue right = and_expression(c);
      idle_ -= decided;
      if (!decided) left = right;
    }
    return left;
  }
  JinjaValue and_expression(Cursor& c) {
    JinjaValue left = not_expression(c);
    while (c.take("and")) {
      const bool decided = !is_true(left);
      idle_ += decided;
      JinjaValue right = not_expression(c);
      idle_ -= decided;
      if (!decided) left = right;
    }
    return left;
  }
  JinjaValue not_expression(Cursor& c) {
    const Deeper deeper(depth_);
    if (c.take("not")) return !is_true(not_expression(c));
    return comparison(c);
  }
  JinjaValue comparison(Cursor& c) {
    JinjaValue left = sum(c);
    while (true) {
      const bool negated = c.is("not") && c.is("in", 1);
      c.at += negated;
      std::string sign;
      for (const char* each : {"==", "!=", "<=", ">=", "<", ">", "in"})
        if (sign.empty() && c.take(each)) sign = each;
      if (sign.empty()) return left;
      const JinjaValue right = sum(c);
      if (!idle()) left = compare(sign, left, right) != negated;
    }
  }
  static bool compare(const std::string& sign, const JinjaValue& a, const JinjaValue& b) {
    if (sign == "==") return jinja_equal(a, b);
    if (sign == "!=") return !jinja_equal(a, b);
    if (sign == "in") return jinja_contains(b, a);
    check((a.is_number() && b.is_number()) || (a.is_string() && b.is_string()), "compares '", jinja_text(a), "' ", sign,
          " '", jinja_text(b), "', which has no meaning");
    return sign == "<" ? a < b : sign == ">" ? a > b : sign == "<=" ? a <= b : a >= b;
  }
  /// Signs of one strength, from left to right; `tighter` reads what binds tighter.
  JinjaValue chain(Cursor& c, std::initializer_list<const char*> signs, JinjaValue (JinjaRun::*tighter)(Cursor&)) {
    JinjaValue left = (this->*tighter)(c);
    while (true) {
      std::string sign;
      for (const char* each : signs)
        if (sign.empty() && c.take(each)) sign = each;
      if (sign.empty()) return left;
      const JinjaValue right = (this->*tighter)(c);
      if (!idle()) left = jinja_calculate(sign, left, right);
    }
  }
  JinjaValue sum(Cursor& c) { return chain(c, {"+", "-"}, &JinjaRun::joined); }
  JinjaValue joined(Cursor& c) { return chain(c, {"~"}, &JinjaRun::product); }
  JinjaValue product(Cursor& c) { return chain(c, {"*", "/", "//", "%"}, &JinjaRun::power); }
  JinjaValue power(Cursor& c) { return chain(c, {"**"}, &JinjaRun::signed_value); }
  JinjaValue signed_value(Cursor& c) {
    const Deeper deeper(depth_);
    if (c.take("-")) {
      const JinjaValue value = signed_value(c);
      return idle() ? JinjaValue() : jinja_calculate("-", 0, value);
    }
    if (c.take("+")) return signed_value(c);
    return filtered(c);
  }

  /// A value with what follows it directly: fields, places, calls, filters and tests.
  JinjaValue filtered(Cursor& c) {
    JinjaValue value = primary(c);
    while (!c.done()) {
      if (c.take(".")) {
        const bool is_place = !c.done() && (*c.tokens)[c.at].kind == Kind::number;
        const std::string name = is_place ? (*c.tokens)[c.at++].text : c.name();
        if (c.take("(")) {
          const JinjaArguments given = arguments(c);
          if (!idle()) value = jinja_method(value, name, given);
        } else if (!idle()) {
          value = jinja_item(value, is_place ? JinjaValue(std::strtoll(name.c_str(), nullptr, 10)) : JinjaValue(name));
        }
      } else if (c.take("[")) {
        value = item_or_slice(c, value);
      } else if (c.take("|")) {
        const std::string name = c.name();
        const JinjaArguments given = c.take("(") ? arguments(c) : JinjaArguments{};
        if (!idle()) value = jinja_filter(value, name, given);
      } else if (c.take("is")) {
        const bool negated = c.take("not");
        const std::string name = c.name();
        JinjaArguments given;
        if (c.take("("))
          given = arguments(c);
        else if (name == "in" || name == "equalto" || name == "eq" || name == "ne" || name == "sameas")
          given.places.push_back(primary(c));
        if (!idle()) value = jinja_test(value, name, given) != negated;
      } else {
        break;
      }
    }
    return value;
  }
  JinjaValue item_or_slice(Cursor& c, const JinjaValue& value) {
    JinjaValue bounds[3];
    int colons = 0;
    while (!c.take("]")) {
      if (c.take(":")) {
        check(++colons <= 2, "has too many ':' in brackets");
        continue;
      }
      bounds[colons] = expression(c);
    }
    if (idle()) return {};
    return colons > 0 ? jinja_slice(value, bounds[0], bounds[1], bounds[2]) : jinja_item(value, bounds[0]);
  }
  JinjaArguments arguments(Cursor& c) {
    JinjaArguments given;
    while (!c.take(")")) {
      if (!c.done() && (*c.tokens)[c.at].kind == Kind::name && c.is("=", 1)) {
        const std::string name = c.name();
        c.need("=");
        given.names[name] = expression(c);
      } else {
        given.places.push_back(expression(c));
      }
      if (!c.is(")")) c.need(",");
    }
    return given;
  }

  JinjaValue primary(Cursor& c) {
    check(!c.done(), "lacks a value at the end of a tag");
    const JinjaToken& token = (*c.tokens)[c.at++];
    if (token.kind == Kind::text) {
      std::string text = token.text;
      while (!c.done() && (*c.tokens)[c.at].kind == Kind::text) text += (*c.tokens)[c.at++].text;
      return text;
    }
    if (token.kind == Kind::number)
      return token.text.find('.') == std::string::npos ? JinjaValue(std::strtoll(token.text.c_str(), nullptr, 10))
                                                       : JinjaValue(std::strtod(token.text.c_str(), nullptr));
    if (token.kind == Kind::name) return named(c, token.text);
    if (token.text == "(") return in_brackets(c);
    if (token.text == "[") return list(c, "]");
    if (token.text == "{") return dictionary(c);
    fail("has '", token.text, "' where a value should stand");
  }
  JinjaValue named(Cursor& c, const std::string& name) {
    if (name == "true" || name == "True") return true;
    if (name == "false" || name == "False") return false;
    if (name == "none" || name == "None") return nullptr;
    if (!c.take("(")) {
      if (const JinjaValue* value = idle() ? nullptr : find(name)) return *value;
      return is_jinja_function(name) ? JinjaValue(name) : jinja_undefined();  // a function is defined, and true
    }
    const JinjaArguments given = arguments(c);
    if (idle()) return {};
    const auto macro = macros_.find(name);
    if (macro != macros_.end()) return call_macro(macro->second, given);
    JinjaValue value = jinja_function(name, given);
    steps_ += int(value.size());  // of a range
    return value;
  }
  JinjaValue in_brackets(Cursor& c) {
    if (c.take(")")) return JinjaValue::array();
    JinjaValue value = expression(c);
    if (c.take(")")) return value;
    c.need(",");
    JinjaValue all = JinjaValue::array({value});
    for (const JinjaValue& more : list(c, ")")) all.push_back(more);
    return all;
  }
  JinjaValue list(Cursor& c, const char* end) {
    JinjaValue all = JinjaValue::array();
    while (!c.take(end)) {
      all.push_back(expression(c));
      if (!c.is(end)) c.need(",");
    }
    return all;
  }
  JinjaValue dictionary(Cursor& c) {
    JinjaValue all = JinjaValue::object();
    while (!c.take("}")) {
      const JinjaValue key = expression(c);
      c.need(":");
      const JinjaValue value = expression(c);
      if (!idle()) all[jinja_text(key)] = value;
      if (!c.is("}")) c.need(",");
    }
    return all;
  }

  static constexpr std::size_t most_bytes = 1 << 24;  // of one value: templates come from anybody

  const std::vector<JinjaPart>& parts_;
  std::vector<std::map<std::string, JinjaValue>> scopes_;  // the innermost last
  std::map<std::string, Macro> macros_;
  std::string out_;
  Signal signal_ = Signal::none;
  int idle_ = 0, loops_ = 0, depth_ = 0, steps_ = 0;
};

}  // namespace detail

/// A template, read once. Errors, where it is made: what is no template; where it runs: what it uses and is not known
/// here, what has no meaning, and what the template itself refuses.
class JinjaTemplate {
 public:
  explicit JinjaTemplate(std::string_view text) : parts_(detail::JinjaCutter(text).cut()) {}

  /// The text that comes of it with these variables, an object.
  std::string render(const nlohmann::ordered_json& variables) const {
    return detail::JinjaRun(parts_, variables).text();
  }

 private:
  std::vector<detail::JinjaPart> parts_;
};

}  // namespace kvcache
