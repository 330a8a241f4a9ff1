// An interpreter for the PTX of simple kernels: whole numbers, float, conversions of halves, shared memory, barriers,
// and the exchanges within a warp. It knows neither the kernels' source nor the shim. "PTX ISA" names the manual's
// chapters. Approximate instructions (ex2.approx, rcp.approx) are computed exactly and rounded: a device may differ
// in the last bits.
#include "ptx_interpreter.hpp"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cfenv>
#include <cmath>
#include <cstring>
#include <string_view>

namespace ptx {
namespace {

using std::string;
using std::vector;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s64 = std::int64_t;

[[noreturn]] void fail(const string& what) { throw Error("PTX: " + what); }

// ------------------------------------------------------------------ types
enum class Type { none, u8, u16, u32, u64, s8, s16, s32, s64, b8, b16, b32, b64, f16, f32, predicate };
const std::map<string, Type> types = {
    {"u8", Type::u8},   {"u16", Type::u16}, {"u32", Type::u32}, {"u64", Type::u64}, {"s8", Type::s8},
    {"s16", Type::s16}, {"s32", Type::s32}, {"s64", Type::s64}, {"b8", Type::b8},   {"b16", Type::b16},
    {"b32", Type::b32}, {"b64", Type::b64}, {"f16", Type::f16}, {"f32", Type::f32}, {"pred", Type::predicate}};

int bytes(Type type) {
  switch (type) {
    case Type::u8:
    case Type::s8:
    case Type::b8:
    case Type::predicate:
      return 1;
    case Type::u16:
    case Type::s16:
    case Type::b16:
    case Type::f16:
      return 2;
    case Type::u32:
    case Type::s32:
    case Type::b32:
    case Type::f32:
      return 4;
    case Type::u64:
    case Type::s64:
    case Type::b64:
      return 8;
    case Type::none:
      break;
  }
  fail("an instruction without the type it needs");
}
int bits(Type type) { return 8 * bytes(type); }
bool is_signed(Type type) { return type >= Type::s8 && type <= Type::s64; }
bool is_float(Type type) { return type == Type::f16 || type == Type::f32; }
u64 low_bits(u64 number, int count) { return count >= 64 ? number : number & ((u64(1) << count) - 1); }
/// The number that the bits mean as `type`.
s64 whole(u64 number, Type type) {
  number = low_bits(number, bits(type));
  if (!is_signed(type) || bits(type) == 64) return s64(number);
  const u64 sign = u64(1) << (bits(type) - 1);
  return s64(number ^ sign) - s64(sign);
}

float to_float(u16 half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  float number = exponent == 0    ? std::ldexp(float(fraction), -24)
                 : exponent == 31 ? (fraction ? NAN : INFINITY)
                                  : std::ldexp(float(fraction + 1024), exponent - 25);
  return half & 0x8000 ? -number : number;
}
u16 to_half(float from) {  // to the nearest, to even if two are near
  const u16 sign = std::signbit(from) ? 0x8000 : 0;
  const double number = std::fabs(double(from));
  if (std::isnan(from)) return 0x7fff;
  if (number >= 65520.0) return sign | 0x7c00;
  if (number < 0x1p-14) return u16(sign | u16(std::nearbyint(number * 0x1p24)));
  const int exponent = std::ilogb(number);
  const u32 fraction = u32(std::nearbyint(std::ldexp(number, 10 - exponent)));  // 1024 to 2048
  return u16(sign | ((u32(exponent + 15) << 10) + (fraction - 1024)));
}
float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }

// ------------------------------------------------------------------ instructions
struct Known {
  std::string_view name, modifiers;
};
/// What is known of each instruction: its modifiers, beside types. One that is not named here is an error.
constexpr Known instructions[] = {{"mov", ""},
                                  {"add", "rn"},
                                  {"sub", "rn"},
                                  {"mul", "rn lo hi wide"},
                                  {"mad", "lo hi wide"},
                                  {"fma", "rn rm"},
                                  {"div", "rn"},
                                  {"rem", ""},
                                  {"min", ""},
                                  {"max", ""},
                                  {"neg", ""},
                                  {"abs", ""},
                                  {"copysign", ""},
                                  {"and", ""},
                                  {"or", ""},
                                  {"xor", ""},
                                  {"not", ""},
                                  {"shl", ""},
                                  {"shr", ""},
                                  {"selp", ""},
                                  {"setp", "eq ne lt le gt ge lo ls hi hs equ neu ltu leu gtu geu num nan and or xor"},
                                  {"cvt", "rn rni rzi rmi rpi sat"},
                                  {"cvta", "to global"},
                                  {"ld", "param global shared nc v2 v4"},
                                  {"st", "global shared v2 v4"},
                                  {"bra", "uni"},
                                  {"bar", "sync warp"},
                                  {"barrier", "sync"},
                                  {"shfl", "sync bfly up down idx"},
                                  {"ex2", "approx ftz"},
                                  {"rcp", "rn approx ftz"},
                                  {"sqrt", "rn"},
                                  {"prmt", ""},
                                  {"bfe", ""},
                                  {"ret", ""},
                                  {"exit", ""}};
constexpr std::string_view modifiers[] = {"rn",  "rm",   "lo",   "hi",    "wide",   "eq",     "ne",  "lt",     "le",
                                          "gt",  "ge",   "ls",   "hs",    "equ",    "neu",    "ltu", "leu",    "gtu",
                                          "geu", "num",  "nan",  "and",   "or",     "xor",    "rni", "rzi",    "rmi",
                                          "rpi", "sat",  "to",   "param", "global", "shared", "nc",  "v2",     "v4",
                                          "uni", "sync", "warp", "bfly",  "up",     "down",   "idx", "approx", "ftz"};

/// Its place in the table, found while this file is compiled: a misspelt one does not compile.
consteval int op(std::string_view name) {
  int place = 0;
  while (instructions[place].name != name) ++place;
  return place;
}
/// As a bit, so that asking for it while running is cheap.
consteval u64 bit_of(std::string_view name) {
  int place = 0;
  while (modifiers[place] != name) ++place;
  return u64(1) << place;
}
struct Modifiers {
  u64 asked_for;
  template <class... Names>
  consteval Modifiers(Names... names) : asked_for((bit_of(names) | ...)) {}
};

struct Operand {
  enum Kind { in_register, immediate, special, shared_address, parameter, several, memory, ignored } kind = immediate;
  u64 value = 0;          // a register's place, a number, an address
  s64 offset = 0;         // of memory
  vector<Operand> inner;  // of several, and the base of memory
};
struct Instruction {
  string text;
  int op;                                     // a place in `instructions`
  Type type = Type::none, from = Type::none;  // the second is cvt's
  u64 modifiers = 0;
  int guard = -1;  // the predicate register that must be set, or not set, for it to run
  bool guard_negated = false, has_two_results = false, last_negated = false;
  vector<Operand> operands;
  int target = -1;  // of a branch

  /// One of these at least.
  bool has(Modifiers any) const { return (modifiers & any.asked_for) != 0; }
};
struct Parameter {
  string name;
  int offset, size;
};
const vector<string> specials = {"%tid.x",   "%tid.y",   "%tid.z",    "%ntid.x",   "%ntid.y",   "%ntid.z", "%ctaid.x",
                                 "%ctaid.y", "%ctaid.z", "%nctaid.x", "%nctaid.y", "%nctaid.z", "%laneid"};
}  // namespace

struct Kernel {
  vector<Parameter> parameters;
  int parameter_bytes = 0;
  vector<Instruction> code;
  vector<Type> registers;
  std::map<string, int> register_places, labels;
  std::map<string, u64> shared;  // where each array of shared memory begins
  u64 shared_bytes = 0;          // without the dynamic ones
  vector<string> dynamic_shared;
};

namespace {
// ------------------------------------------------------------------ reading
bool starts_with(const string& text, const char* with) { return text.rfind(with, 0) == 0; }
string trimmed(const string& text) {
  const auto first = text.find_first_not_of(" \t\r\n"), last = text.find_last_not_of(" \t\r\n");
  return first == string::npos ? "" : text.substr(first, last - first + 1);
}
vector<string> words(const string& text) {
  vector<string> found(1);
  for (const char c : text + " ")
    if (!std::isspace(static_cast<unsigned char>(c)))
      found.back() += c;
    else if (!found.back().empty())
      found.emplace_back();
  found.pop_back();
  return found;
}
/// Splits where brackets are closed.
vector<string> split(const string& text, char separator) {
  vector<string> parts(1);
  int depth = 0;
  for (const char c : text) {
    depth += c == '{' || c == '[' || c == '(' ? 1 : c == '}' || c == ']' || c == ')' ? -1 : 0;
    if (c == separator && depth == 0)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  for (string& part : parts) part = trimmed(part);
  if (parts.back().empty()) parts.pop_back();
  return parts;
}

Operand read_operand(const Kernel& kernel, const string& text) {
  Operand operand;
  if (text == "_") {
    operand.kind = Operand::ignored;
  } else if (text[0] == '{') {
    operand.kind = Operand::several;
    for (const string& part : split(text.substr(1, text.size() - 2), ','))
      operand.inner.push_back(read_operand(kernel, part));
  } else if (text[0] == '[') {
    operand.kind = Operand::memory;
    string base = text.substr(1, text.size() - 2);
    if (const auto plus = base.find('+', 1); plus != string::npos) {
      operand.offset = std::stoll(base.substr(plus + 1), nullptr, 0);
      base = base.substr(0, plus);
    }
    operand.inner.push_back(read_operand(kernel, trimmed(base)));
  } else if (const auto s = std::find(specials.begin(), specials.end(), text); s != specials.end()) {
    operand.kind = Operand::special, operand.value = u64(s - specials.begin());
  } else if (const auto r = kernel.register_places.find(text); r != kernel.register_places.end()) {
    operand.kind = Operand::in_register, operand.value = u64(r->second);
  } else if (const auto a = kernel.shared.find(text); a != kernel.shared.end()) {
    operand.kind = Operand::shared_address, operand.value = a->second;
  } else if (starts_with(text, "0f") || starts_with(text, "0F")) {
    operand.value = std::stoull(text.substr(2), nullptr, 16);
  } else if (std::isdigit(static_cast<unsigned char>(text[0])) || text[0] == '-') {
    operand.value = text[0] == '-' ? u64(std::stoll(text, nullptr, 0)) : std::stoull(text, nullptr, 0);
  } else {
    for (const Parameter& p : kernel.parameters)
      if (p.name == text) {
        operand.kind = Operand::parameter, operand.value = u64(p.offset);
        return operand;
      }
    fail("unknown operand " + text);
  }
  return operand;
}

/// ".reg .f32 %f<12>" or ".shared .align 4 .b8 name[128]".
void read_declaration(Kernel& kernel, const string& text) {
  const vector<string> w = words(text);
  bool is_extern = false;
  string space, rest;
  u64 align = 1;
  Type type = Type::none;
  std::size_t i = 0;
  for (; i < w.size() && w[i][0] == '.'; ++i)
    if (w[i] == ".extern")
      is_extern = true;
    else if (w[i] == ".reg" || w[i] == ".shared")
      space = w[i];
    else if (w[i] == ".align")
      align = std::stoull(w[++i]);
    else if (const auto t = types.find(w[i].substr(1)); t != types.end())
      type = t->second;
    else
      fail("unknown declaration " + text);
  for (; i < w.size(); ++i) rest += w[i];
  if (space == ".reg") {
    for (const string& names : split(rest, ',')) {
      const auto many = names.find('<');
      const int count = many == string::npos ? 1 : std::stoi(names.substr(many + 1));
      for (int n = 0; n < count; ++n) {
        kernel.register_places[many == string::npos ? names : names.substr(0, many) + std::to_string(n)] =
            int(kernel.registers.size());
        kernel.registers.push_back(type);
      }
    }
  } else if (space == ".shared") {
    const auto bracket = rest.find('[');
    const string name = rest.substr(0, bracket);
    if (is_extern) return kernel.dynamic_shared.push_back(name);
    kernel.shared_bytes = (kernel.shared_bytes + align - 1) / align * align;
    kernel.shared[name] = kernel.shared_bytes;
    kernel.shared_bytes += u64(bytes(type)) * (bracket == string::npos ? 1 : std::stoull(rest.substr(bracket + 1)));
  } else {
    fail("unknown declaration " + text);
  }
}

Instruction read_instruction(const Kernel& kernel, string text) {
  Instruction in;
  in.text = text;
  if (text[0] == '@') {
    const auto end = text.find_first_of(" \t");
    in.guard_negated = text[1] == '!';
    const auto guard = kernel.register_places.find(text.substr(in.guard_negated ? 2 : 1, end - 1 - in.guard_negated));
    if (guard == kernel.register_places.end()) fail("unknown predicate in " + text);
    in.guard = guard->second;
    text = trimmed(text.substr(end));
  }
  const auto end = text.find_first_of(" \t");
  const vector<string> parts = split(text.substr(0, end), '.');
  const auto known = std::find_if(std::begin(instructions), std::end(instructions),
                                  [&](const Known& instruction) { return instruction.name == parts[0]; });
  if (known == std::end(instructions)) fail("unknown instruction " + text);
  in.op = int(known - std::begin(instructions));
  const vector<string> allowed = words(string(known->modifiers));
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (const auto type = types.find(parts[i]); type != types.end()) {
      (in.type == Type::none ? in.type : in.from) = type->second;
      continue;
    }
    if (std::find(allowed.begin(), allowed.end(), parts[i]) == allowed.end())
      fail("unknown ." + parts[i] + " in " + text);
    in.modifiers |= u64(1) << (std::find(std::begin(modifiers), std::end(modifiers), parts[i]) - std::begin(modifiers));
  }
  if (end == string::npos) return in;
  if (in.op == op("bra")) {
    const auto label = kernel.labels.find(trimmed(text.substr(end)));
    if (label == kernel.labels.end()) fail("no such label: " + text);
    in.target = label->second;
    return in;
  }
  for (const string& operand : split(text.substr(end), ',')) {
    const auto bar = operand.find('|');
    in.has_two_results |= bar != string::npos;
    in.last_negated |= operand[0] == '!';
    in.operands.push_back(read_operand(kernel, operand.substr(operand[0] == '!', bar)));
    if (bar != string::npos) in.operands.push_back(read_operand(kernel, operand.substr(bar + 1)));
  }
  return in;
}

void read_body(Kernel& kernel, const string& text) {
  vector<string> statements;  // a label ends with ':'
  string now;
  for (const char c : text)
    if ((c == '{' || c == '}') && trimmed(now).empty())
      now.clear();  // a scope; the braces of several operands come later in a statement
    else if (c == ';')
      statements.push_back(trimmed(now)), now.clear();
    else if (c == ':' && trimmed(now).find_first_of(" \t%") == string::npos)
      statements.push_back(trimmed(now) + ":"), now.clear();
    else
      now += c;
  vector<string> code;
  for (const string& s : statements)
    if (starts_with(s, ".reg") || starts_with(s, ".shared"))
      read_declaration(kernel, s);
    else if (s.back() == ':')
      kernel.labels[s.substr(0, s.size() - 1)] = int(code.size());
    else if (!starts_with(s, ".pragma") && !starts_with(s, ".loc"))
      code.push_back(s);
  if (!kernel.dynamic_shared.empty()) kernel.shared_bytes = (kernel.shared_bytes + 127) / 128 * 128;
  for (const string& name : kernel.dynamic_shared) kernel.shared[name] = kernel.shared_bytes;
  for (const string& s : code) kernel.code.push_back(read_instruction(kernel, s));
}

void read_parameters(Kernel& kernel, const string& text) {
  for (const string& parameter : split(text, ',')) {
    const vector<string> w = words(parameter);
    int align = 0, count = 1;
    Type type = Type::none;
    for (std::size_t i = 0; i + 1 < w.size(); ++i)
      if (w[i] == ".align")
        align = std::stoi(w[i + 1]);
      else if (const auto t = types.find(w[i].substr(w[i][0] == '.')); t != types.end())
        type = t->second;
    string name = w.back();
    if (const auto bracket = name.find('['); bracket != string::npos)
      count = std::stoi(name.substr(bracket + 1)), name = name.substr(0, bracket);
    align = std::max(align, bytes(type));
    kernel.parameter_bytes = (kernel.parameter_bytes + align - 1) / align * align;
    kernel.parameters.push_back({name, kernel.parameter_bytes, bytes(type) * count});
    kernel.parameter_bytes += bytes(type) * count;
  }
}

string without_comments(const string& text) {
  string kept;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "//") == 0) i = std::min(text.find('\n', i), text.size() - 1);
    kept += text[i];
  }
  return kept;
}

// ------------------------------------------------------------------ running
struct Thread {
  vector<u64> registers;
  int at = 0;
  enum { running, at_barrier, in_exchange, done } state = running;
  u32 mask = 0;  // of the exchange it waits in
};

/// A block of threads at work.
class Block {
 public:
  Block(const Kernel& kernel, const Launch& launch, const vector<char>& parameters, std::array<unsigned, 3> place)
      : kernel_(kernel),
        launch_(launch),
        parameters_(parameters),
        place_(place),
        shared_(kernel.shared_bytes + launch.shared_bytes, char(0xff)),  // NaN: nobody may read what nobody wrote
        threads_(std::size_t(launch.block[0]) * launch.block[1] * launch.block[2]) {
    for (Thread& thread : threads_) thread.registers.assign(kernel.registers.size(), 0xdeadbeefdeadbeef);
  }

  /// Counts each instruction that a thread carries out.
  void run(vector<u64>& counts, u64& executed) {
    for (std::size_t live = threads_.size(), warps = (live + 31) / 32; live > 0;) {
      bool progress = false;
      for (std::size_t turn = 0; turn < warps; ++turn)
        while (run_warp(launch_.backwards ? warps - 1 - turn : turn, counts, executed)) progress = true;
      std::size_t waiting = 0;
      live = 0;
      for (const Thread& thread : threads_)
        waiting += thread.state == Thread::at_barrier, live += thread.state != Thread::done;
      if (waiting > 0 && waiting == live) {
        progress = true;
        for (Thread& thread : threads_)
          if (thread.state == Thread::at_barrier) thread.state = Thread::running;
      }
      if (!progress && live > 0) fail("threads wait for each other");
    }
  }

 private:
  /// Runs each thread of the warp until it waits or is done. False: none could run.
  bool run_warp(std::size_t warp, vector<u64>& counts, u64& executed) {
    const std::size_t first = warp * 32, lanes = std::min<std::size_t>(32, threads_.size() - first);
    bool progress = false;
    for (std::size_t turn = 0; turn < lanes; ++turn) {
      me_ = first + (launch_.backwards ? lanes - 1 - turn : turn), thread_ = &threads_[me_];
      progress |= thread_->state == Thread::running;
      while (thread_->state == Thread::running) {
        if (++executed > launch_.instructions_at_most) fail("more instructions than allowed: it does not end");
        go_on(counts);
      }
    }
    return progress;
  }
  void go_on(vector<u64>& counts) {
    if (std::size_t(thread_->at) >= kernel_.code.size()) fail("a thread ran past the end");
    const Instruction& in = kernel_.code[std::size_t(thread_->at)];
    if (in.guard >= 0 && bool(thread_->registers[std::size_t(in.guard)] & 1) == in.guard_negated) {
      ++thread_->at;
    } else if (in.op == op("shfl") || (in.op == op("bar") && in.has("warp"))) {
      ++counts[std::size_t(thread_->at)];
      exchange(in);
    } else {
      ++counts[std::size_t(thread_->at)];
      execute(in);
      ++thread_->at;
    }
  }

  // ---- operands
  u64 special(u64 which) const {
    const auto& n = launch_.block;
    const unsigned me = unsigned(me_), of_thread[] = {me % n[0], me / n[0] % n[1], me / n[0] / n[1]};
    return which < 3    ? of_thread[which]
           : which < 6  ? n[which - 3]
           : which < 9  ? place_[which - 6]
           : which < 12 ? launch_.grid[which - 9]
                        : me % 32;
  }
  u64 get(const Operand& operand) const {
    switch (operand.kind) {
      case Operand::in_register:
        return thread_->registers[operand.value];
      case Operand::immediate:
      case Operand::shared_address:
        return operand.value;
      case Operand::special:
        return special(operand.value);
      default:
        fail("an operand that is no number");
    }
  }
  void set(const Operand& operand, u64 value) {
    if (operand.kind == Operand::ignored) return;
    if (operand.kind != Operand::in_register) fail("a result that goes to no register");
    const Type type = kernel_.registers[operand.value];
    thread_->registers[operand.value] = low_bits(value, type == Type::predicate ? 1 : bits(type));
  }
  float get_float(const Operand& operand) const { return std::bit_cast<float>(u32(get(operand))); }
  void set_float(const Operand& operand, float value) { set(operand, std::bit_cast<u32>(value)); }

  char* address(const Instruction& in, const Operand& operand, std::size_t size) {
    const Operand& base = operand.inner[0];
    if (in.has("param")) {
      const s64 at = s64(base.value) + operand.offset;
      if (base.kind != Operand::parameter || at < 0 || at + s64(size) > s64(parameters_.size()))
        fail("beside the parameters: " + in.text);
      return const_cast<char*>(parameters_.data()) + at;
    }
    u64 at = get(base) + u64(operand.offset);
    if (at % size != 0) fail("not at a multiple of its size: " + in.text);
    if (in.has("shared")) {
      at = low_bits(at, 32);
      if (at + size > shared_.size())
        fail("beside shared memory: " + in.text + " at " + std::to_string(at) + " of " +
             std::to_string(shared_.size()));
      return shared_.data() + at;
    }
    if (!in.has("global")) fail("memory of a kind that is not known: " + in.text);
    for (const Bytes& piece : launch_.memory)
      if (const u64 first = reinterpret_cast<u64>(piece.data); at >= first && at + size <= first + piece.size)
        return reinterpret_cast<char*>(at);
    fail("beside the memory of this launch: " + in.text);
  }

  // ---- instructions
  void execute(const Instruction& in) {
    switch (in.op) {
      case op("mov"):
        return move(in);
      case op("setp"):
        return compare(in);
      case op("cvt"):
        return convert(in);
      case op("ld"):
      case op("st"):
        return load_or_store(in);
      case op("bra"):
        thread_->at = in.target - 1;
        return;  // one is added after every instruction
      case op("bar"):
      case op("barrier"):
        thread_->state = Thread::at_barrier;
        return;
      case op("ret"):
      case op("exit"):
        thread_->state = Thread::done;
        return;
      case op("selp"):
        return set(in.operands[0], get(in.operands[get(in.operands[3]) & 1 ? 1 : 2]));
      case op("cvta"):
        return set(in.operands[0], get(in.operands[1]));  // global addresses are generic ones
      default:
        is_float(in.type) ? compute_float(in) : compute_whole(in);
    }
  }
  void compute_float(const Instruction& in) {
    if (in.type != Type::f32) fail("arithmetic of this type is not known: " + in.text);
    const auto x = [&](std::size_t i) { return get_float(in.operands[i]); };
    const auto operand = [&](std::size_t i) { return in.has("ftz") ? flushed(x(i)) : x(i); };
    const auto result = [&](float number) { set_float(in.operands[0], in.has("ftz") ? flushed(number) : number); };
    switch (in.op) {
      case op("add"):
        return result(x(1) + x(2));
      case op("sub"):
        return result(x(1) - x(2));
      case op("mul"):
        return result(x(1) * x(2));
      case op("div"):
        return result(x(1) / x(2));
      case op("fma"):
        return result(in.has("rm") ? fma_down(x(1), x(2), x(3)) : std::fma(x(1), x(2), x(3)));
      case op("min"):
        return result(x(1) == x(2) && std::signbit(x(1)) ? x(1) : std::fmin(x(1), x(2)));
      case op("max"):
        return result(x(1) == x(2) && std::signbit(x(1)) ? x(2) : std::fmax(x(1), x(2)));
      case op("neg"):
        return result(-x(1));
      case op("abs"):
        return result(std::fabs(x(1)));
      case op("copysign"):
        return result(std::copysign(x(2), x(1)));  // the sign is the first operand's
      case op("sqrt"):
        return result(std::sqrt(x(1)));
      case op("ex2"):
        return result(std::exp2(operand(1)));
      case op("rcp"):
        return result(1 / operand(1));
      default:
        fail("unknown for float: " + in.text);
    }
  }
  static float fma_down(float x, float y, float z) {
    const int before = std::fegetround();
    std::fesetround(FE_DOWNWARD);
    const volatile float result = std::fma(x, y, z);
    std::fesetround(before);
    return result;
  }
  void compute_whole(const Instruction& in) {
    const Type type = in.type == Type::predicate ? Type::b8 : in.type;
    const auto bits_of = [&](std::size_t i) { return get(in.operands[i]); };
    const auto x = [&](std::size_t i) { return whole(get(in.operands[i]), type); };
    const auto result = [&](u64 number) { set(in.operands[0], number); };
    const bool with_sign = is_signed(type);
    switch (in.op) {
      case op("add"):
        return result(bits_of(1) + bits_of(2));
      case op("sub"):
        return result(bits_of(1) - bits_of(2));
      case op("mul"):
        return result(product(in));
      case op("mad"):
        return result(product(in) + bits_of(3));
      case op("div"):
      case op("rem"):
        if (x(2) == 0) fail("division by zero: " + in.text);
        if (with_sign) return result(u64(in.op == op("div") ? x(1) / x(2) : x(1) % x(2)));
        return result(in.op == op("div") ? u64(x(1)) / u64(x(2)) : u64(x(1)) % u64(x(2)));
      case op("min"):
      case op("max"): {
        const bool is_less = with_sign ? x(1) < x(2) : u64(x(1)) < u64(x(2));
        return result(u64(x(is_less == (in.op == op("min")) ? 1 : 2)));
      }
      case op("neg"):
        return result(0 - bits_of(1));
      case op("abs"):
        return result(u64(x(1) < 0 ? -x(1) : x(1)));
      case op("and"):
        return result(bits_of(1) & bits_of(2));
      case op("or"):
        return result(bits_of(1) | bits_of(2));
      case op("xor"):
        return result(bits_of(1) ^ bits_of(2));
      case op("not"):
        return result(~bits_of(1));
      case op("shl"): {
        const u64 by = low_bits(bits_of(2), 32);
        return result(by >= u64(bits(type)) ? 0 : bits_of(1) << by);
      }
      case op("shr"): {
        const u64 by = low_bits(bits_of(2), 32), most = u64(bits(type)) - 1;
        if (with_sign) return result(u64(x(1) >> std::min(by, most)));
        return result(by > most ? 0 : u64(x(1)) >> by);
      }
      case op("prmt"): {  // four bytes chosen of eight
        const u64 from = low_bits(bits_of(1), 32) | bits_of(2) << 32;
        u64 chosen = 0;
        for (int i = 0; i < 4; ++i) {
          const u64 choice = bits_of(3) >> (4 * i) & 15, byte = from >> (8 * (choice & 7)) & 255;
          chosen |= (choice & 8 ? (byte & 128 ? 255 : 0) : byte) << (8 * i);
        }
        return result(chosen);
      }
      case op("bfe"): {
        const u64 at = bits_of(2) & 255, count = bits_of(3) & 255;
        if (with_sign || at + count > u64(bits(type))) fail("not known: " + in.text);
        return result(low_bits(low_bits(bits_of(1), bits(type)) >> at, int(count)));
      }
      default:
        fail("unknown for whole numbers: " + in.text);
    }
  }
  u64 product(const Instruction& in) const {
    const s64 x = whole(get(in.operands[1]), in.type), y = whole(get(in.operands[2]), in.type);
    if (!in.has("hi")) return u64(x) * u64(y);  // lo, and wide: no type that is widened overflows 64 bits
    if (bits(in.type) < 64) return u64(x * y) >> bits(in.type);
    if (is_signed(in.type)) return u64((__int128(x) * y) >> 64);
    return u64((static_cast<unsigned __int128>(u64(x)) * u64(y)) >> 64);
  }

  void move(const Instruction& in) {
    const Operand &target = in.operands[0], &source = in.operands[1];
    if (target.kind == Operand::several) {
      const int size = bits(in.type) / int(target.inner.size());
      for (std::size_t i = 0; i < target.inner.size(); ++i)
        set(target.inner[i], low_bits(get(source) >> (std::size_t(size) * i), size));
    } else if (source.kind == Operand::several) {
      const int size = bits(in.type) / int(source.inner.size());
      u64 together = 0;
      for (std::size_t i = 0; i < source.inner.size(); ++i)
        together |= low_bits(get(source.inner[i]), size) << (std::size_t(size) * i);
      set(target, together);
    } else {
      set(target, get(source));
    }
  }
  void load_or_store(const Instruction& in) {
    const bool loads = in.op == op("ld");
    const Operand &value = in.operands[loads ? 0 : 1], &memory = in.operands[loads ? 1 : 0];
    const std::size_t count = in.has("v4") ? 4 : in.has("v2") ? 2 : 1, size = std::size_t(bytes(in.type));
    char* at = address(in, memory, count * size);
    for (std::size_t i = 0; i < count; ++i) {
      const Operand& one = count == 1 ? value : value.inner.at(i);
      u64 number = loads ? 0 : get(one);
      if (loads) {
        std::memcpy(&number, at + i * size, size);
        set(one, is_float(in.type) ? number : u64(whole(number, in.type)));
      } else {
        std::memcpy(at + i * size, &number, size);
      }
    }
  }
  void convert(const Instruction& in) {
    const Type type = in.type, from = in.from;
    const u64 source = get(in.operands[1]);
    if (!is_float(from)) {
      const s64 number = whole(source, from);
      if (!is_float(type) && !in.has("sat")) return set(in.operands[0], u64(number));
      if (type != Type::f32 || !in.has("rn") || in.has("sat")) fail("not known: " + in.text);
      return set_float(in.operands[0], is_signed(from) ? float(number) : float(u64(number)));
    }
    float number = from == Type::f16 ? to_float(u16(source)) : std::bit_cast<float>(u32(source));
    if (is_float(type)) {
      if (bytes(type) < bytes(from) && !in.has("rn")) fail("not known: " + in.text);
      if (in.has({"rni", "rzi", "rmi", "rpi"})) number = rounded(in, number);
      if (in.has("sat")) number = std::isnan(number) ? 0 : std::clamp(number, 0.0f, 1.0f);
      return type == Type::f16 ? set(in.operands[0], to_half(number)) : set_float(in.operands[0], number);
    }
    if (type != Type::s32 || in.has("sat")) fail("not known: " + in.text);
    number = rounded(in, number);
    const s64 nearest = std::isnan(number)  ? 0
                        : number >= 0x1p31f ? INT32_MAX
                        : number < -0x1p31f ? INT32_MIN
                                            : s64(number);
    set(in.operands[0], u64(nearest));
  }
  static float rounded(const Instruction& in, float number) {
    if (in.has("rni")) return std::nearbyint(number);
    if (in.has("rzi")) return std::trunc(number);
    if (in.has("rmi")) return std::floor(number);
    if (in.has("rpi")) return std::ceil(number);
    fail("no rounding in " + in.text);
  }
  void compare(const Instruction& in) {
    const std::size_t first = in.has_two_results ? 2 : 1;
    bool holds = is_float(in.type) ? compare_float(in, get_float(in.operands[first]), get_float(in.operands[first + 1]))
                                   : compare_whole(in, get(in.operands[first]), get(in.operands[first + 1]));
    const bool other = bool(get(in.operands.back()) & 1) != in.last_negated;
    const bool also_not = in.has("and")   ? !holds && other
                          : in.has("or")  ? !holds || other
                          : in.has("xor") ? !holds != other
                                          : !holds;
    if (in.has("and")) holds = holds && other;
    if (in.has("or")) holds = holds || other;
    if (in.has("xor")) holds = holds != other;
    set(in.operands[0], holds);
    if (in.has_two_results) set(in.operands[1], also_not);
  }
  bool compare_float(const Instruction& in, float x, float y) const {
    if (in.type != Type::f32) fail("not known: " + in.text);
    const bool unordered = std::isnan(x) || std::isnan(y);
    if (in.has("num")) return !unordered;
    if (in.has("nan")) return unordered;
    if (unordered)
      return in.has("equ") || in.has("neu") || in.has("ltu") || in.has("leu") || in.has("gtu") || in.has("geu");
    if (in.has("eq") || in.has("equ")) return x == y;
    if (in.has("ne") || in.has("neu")) return x != y;
    if (in.has("lt") || in.has("ltu")) return x < y;
    if (in.has("le") || in.has("leu")) return x <= y;
    if (in.has("gt") || in.has("gtu")) return x > y;
    if (in.has("ge") || in.has("geu")) return x >= y;
    fail("not known: " + in.text);
  }
  bool compare_whole(const Instruction& in, u64 left, u64 right) const {
    const s64 x = whole(left, in.type), y = whole(right, in.type);
    const bool less = is_signed(in.type) ? x < y : u64(x) < u64(y);
    if (in.has("eq")) return x == y;
    if (in.has("ne")) return x != y;
    if (in.has("lt") || in.has("lo")) return less;
    if (in.has("le") || in.has("ls")) return less || x == y;
    if (in.has("gt") || in.has("hi")) return !less && x != y;
    if (in.has("ge") || in.has("hs")) return !less;
    fail("not known: " + in.text);
  }

  // ---- what a warp does together (PTX ISA: shfl.sync, bar.warp.sync)
  /// The thread waits until all lanes of its mask have come to this instruction; the last one finishes it for all.
  void exchange(const Instruction& in) {
    const std::size_t base = me_ / 32 * 32, lanes = std::min<std::size_t>(32, threads_.size() - base);
    const u32 present = lanes == 32 ? ~0u : (1u << lanes) - 1;
    const u32 mask = u32(get(in.operands[in.op == op("shfl") ? (in.has_two_results ? 5 : 4) : 0])) & present;
    const auto is_in_mask = [&](unsigned lane) { return mask >> lane & 1; };
    if (!is_in_mask(unsigned(me_ - base))) fail("a lane that is not in its own mask: " + in.text);
    thread_->mask = mask, thread_->state = Thread::in_exchange;
    for (unsigned lane = 0; lane < lanes; ++lane) {
      const Thread& other = threads_[base + lane];
      if (!is_in_mask(lane)) continue;
      if (other.state == Thread::done) fail("a lane of the mask has ended: " + in.text);
      if (other.state != Thread::in_exchange || other.at != thread_->at) return;
      if (other.mask != mask) fail("lanes disagree about the mask: " + in.text);
    }
    const std::size_t last = me_;
    std::array<u64, 32> given{}, taken{};
    std::array<bool, 32> is_in_range{};
    const auto for_lanes = [&](auto what) {
      for (unsigned lane = 0; lane < lanes; ++lane)
        if (is_in_mask(lane)) me_ = base + lane, thread_ = &threads_[me_], what(lane);
    };
    if (in.op == op("shfl")) {
      const std::size_t value = in.has_two_results ? 2 : 1;
      for_lanes([&](unsigned lane) { given[lane] = get(in.operands[value]); });
      for_lanes([&](unsigned lane) {
        const int from = source_lane(in, int(lane), u32(get(in.operands[value + 1])), u32(get(in.operands[value + 2])));
        is_in_range[lane] = from >= 0;
        const unsigned source = from >= 0 ? unsigned(from) : lane;
        if (!is_in_mask(source)) fail("reads a lane outside of the mask: " + in.text);
        taken[lane] = given[source];
      });
      for_lanes([&](unsigned lane) {
        set(in.operands[0], taken[lane]);
        if (in.has_two_results) set(in.operands[1], is_in_range[lane]);
      });
    }
    for_lanes([&](unsigned) { ++thread_->at, thread_->state = Thread::running; });
    me_ = last, thread_ = &threads_[me_];
  }
  /// Which lane a shuffle reads; -1: out of its segment.
  static int source_lane(const Instruction& in, int lane, u32 by, u32 limits) {
    const int distance = int(by & 31), segment = int(limits >> 8 & 31), clamp = int(limits & 31);
    const int most = (lane & segment) | (clamp & ~segment & 31);
    if (in.has("up")) return lane - distance >= most ? lane - distance : -1;
    const int from = in.has("bfly")   ? lane ^ distance
                     : in.has("down") ? lane + distance
                     : in.has("idx")  ? (lane & segment) | (distance & ~segment & 31)
                                      : -1;
    return from <= most ? from : -1;
  }

  const Kernel& kernel_;
  const Launch& launch_;
  const vector<char>& parameters_;
  const std::array<unsigned, 3> place_;
  vector<char> shared_;
  vector<Thread> threads_;
  Thread* thread_ = nullptr;  // the one that runs
  std::size_t me_ = 0;        // its number
};
}  // namespace

Module::Module(const string& with_comments) {
  const string text = without_comments(with_comments);
  Kernel common;  // what all kernels see
  for (std::size_t at = 0; (at = text.find(".extern .shared", at)) != string::npos; ++at)
    read_declaration(common, text.substr(at, text.find(';', at) - at));
  for (std::size_t at = 0; (at = text.find(".entry", at)) != string::npos;) {
    const std::size_t open = text.find('(', at), close = text.find(')', open), body = text.find('{', close) + 1;
    auto kernel = std::make_shared<Kernel>(common);
    read_parameters(*kernel, text.substr(open + 1, close - open - 1));
    std::size_t end = body;
    for (int depth = 1; depth > 0; ++end) depth += text[end] == '{' ? 1 : text[end] == '}' ? -1 : 0;
    read_body(*kernel, text.substr(body, end - body - 1));
    kernels_[trimmed(text.substr(at + 6, open - at - 6))] = std::move(kernel);
    at = end;
  }
}

vector<string> Module::kernels() const {
  vector<string> names;
  for (const auto& [name, kernel] : kernels_) names.push_back(name);
  return names;
}

const Kernel& Module::find(const string& name) const {
  const auto found = kernels_.find(name);
  if (found == kernels_.end()) fail("no kernel " + name);
  return *found->second;
}

vector<string> Module::code(const string& name) const {
  vector<string> code;
  for (const Instruction& in : find(name).code) code.push_back(in.text);
  return code;
}

Module Module::changed(const string& name, std::size_t place, const string& instruction) const {
  auto kernel = std::make_shared<Kernel>(find(name));
  kernel->code.at(place) = read_instruction(*kernel, instruction);
  Module other = *this;
  other.kernels_[name] = std::move(kernel);
  return other;
}

vector<u64> Module::run(const string& name, const Launch& launch) const {
  const Kernel& kernel = find(name);
  if (kernel.parameters.size() != launch.arguments.size())
    fail(name + " has " + std::to_string(kernel.parameters.size()) + " parameters, not " +
         std::to_string(launch.arguments.size()));
  vector<char> parameters(std::size_t(kernel.parameter_bytes));
  for (std::size_t i = 0; i < launch.arguments.size(); ++i) {
    const auto& [data, size] = launch.arguments[i];
    if (std::size_t(kernel.parameters[i].size) != size)
      fail(name + ": argument " + std::to_string(i) + " has another size");
    std::memcpy(parameters.data() + kernel.parameters[i].offset, data, size);
  }
  vector<u64> counts(kernel.code.size());
  u64 executed = 0;
  for (unsigned z = 0; z < launch.grid[2]; ++z)
    for (unsigned y = 0; y < launch.grid[1]; ++y)
      for (unsigned x = 0; x < launch.grid[0]; ++x) Block(kernel, launch, parameters, {x, y, z}).run(counts, executed);
  return counts;
}

}  // namespace ptx
