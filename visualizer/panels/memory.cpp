// What the cache takes: the formula with its numbers beside what was measured, over time, and for other models.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "common/readable.hpp"
#include "kvcache/model/shapes.hpp"
#include "panels.hpp"
#include "plots.hpp"
#include "theme.hpp"

namespace kvcache::visualizer {
namespace {

constexpr const char* computed_what =
    "From the sizes alone: 2 x layers x kv heads x numbers per head x bytes x tokens.";
constexpr const char* measured_what = "Asked of the cache itself after the step: bytes in use, reserved and copied.";

double bytes_per_token(const ModelConfig& c, int kv_heads, double number_bytes) {
  return double(CacheShape{c.layers, kv_heads, c.head_dim}.bytes_per_token(1)) * number_bytes;
}

// ---- now ----

std::string equation(const Scene& scene, bool with_words) {
  const ModelConfig& c = scene.config();
  return fmt::format("2 {}× {} layers × {} kv heads × {} numbers × {} bytes × {} tokens",
                     with_words ? "(K and V) " : "", c.layers, c.kv_heads, c.head_dim,
                     scene.timeline.about().number_bytes, scene.length());
}

void draw_equation(const Scene& scene, View& view) {
  const ImVec2 room = ImGui::GetContentRegionAvail(), top = ImGui::GetCursorScreenPos();
  const std::string result =
      fmt::format(" = {} bytes", with_commas(std::int64_t(scene.timeline.formula_bytes(scene.step_index))));
  const std::string whole = equation(scene, true) + result;
  wrapped(ImGui::CalcTextSize(whole.c_str()).x > 2 * room.x ? equation(scene, false) + result : whole);
  if (view.record_marks) view.marks["memory-equation"] = {top, ImGui::GetItemRectMax()};
}

/// The formula is of a cache that keeps every token in full. One that forgets or rounds takes less: that is what it is
/// for.
struct Equality {
  Verdict found = Verdict::good;
  std::string words, why;
};
Equality equality_of(const Scene& scene) {
  const auto formula = std::int64_t(scene.timeline.formula_bytes(scene.step_index));
  const auto used = std::int64_t(scene.step().memory.used_bytes);
  if (used == formula) return {Verdict::good, "equal", ""};
  const int layers = scene.config().layers;
  const std::int64_t rows = scene.rows_kept(scene.step_index), all = std::int64_t(layers) * scene.length();
  const double kept = double(formula) * double(rows) / double(all);
  std::string why;
  if (rows < all)
    why = scene.step().layouts.size() == 1
              ? fmt::format("it keeps {} of {} tokens", with_commas(rows / layers), with_commas(scene.length()))
              : fmt::format("it keeps {} of {} rows of all layers", with_commas(rows), with_commas(all));
  if (scene.is_rounding() && double(used) < kept)
    why += fmt::format("{}{:.3g} bits a number, instead of {}", why.empty() ? "" : "; ",
                       8 * double(scene.timeline.about().number_bytes) * double(used) / kept,
                       8 * scene.timeline.about().number_bytes);
  const std::string words =
      fmt::format("{} {}", with_commas(std::abs(used - formula)), used > formula ? "more" : "less");
  const bool is_explained = !why.empty() && (scene.is_rounding() ? double(used) <= kept : double(used) == kept);
  return {is_explained ? Verdict::expected : Verdict::bad, words, why};
}

void draw_equality(const Scene& scene, View& view) {
  const Equality equality = equality_of(scene);
  ImGui::AlignTextToFramePadding();
  ImGui::TextUnformatted(
      fmt::format("in use: {} bytes", with_commas(std::int64_t(scene.step().memory.used_bytes))).c_str());
  ImGui::SameLine();
  verdict(equality.found, equality.words);
  if (view.record_marks) view.marks[equality.found == Verdict::bad ? "memory-unexplained" : "memory-explained"] = {};
  badge_at_end(Source::measured, measured_what);
  if (!equality.why.empty()) muted(fitting({equality.why + ": less is expected", equality.why}));
}

struct Row {
  std::string name;
  std::vector<BarPiece> pieces;
  double bytes = 0;
  std::string value;
};

Row row(const std::string& name, double bytes, ImU32 colour, const std::string& note = "") {
  const std::string value = readable_bytes(bytes) + note;
  return {name, {{bytes, colour, name + ": " + with_commas(std::int64_t(bytes)) + " bytes"}}, bytes, value};
}

Row used_row(const Scene& scene) {
  const double used = double(scene.step().memory.used_bytes);
  std::int64_t of_prompt = 0, rows = 0;  // in all layers
  for (int layer = 0; layer < scene.config().layers; ++layer)
    for (const SlotRun& run : scene.step().layout(layer).runs) {
      rows += run.rows;
      of_prompt += std::clamp(scene.timeline.prompt_length() - run.first_position, 0, run.rows);
    }
  const double prompt = rows > 0 ? used * double(of_prompt) / double(rows) : 0;
  Row result = row("in use", used, theme().decoded);
  // Rows of different layers, or packed at different times, may take different bytes: what is counted is rows.
  const auto tip = [&](const char* what, std::int64_t part) {
    return fmt::format("{}: {} of {} rows in all layers", what, with_commas(part), with_commas(rows));
  };
  result.pieces = {{prompt, theme().prompt, tip("prompt", of_prompt)},
                   {used - prompt, theme().decoded, tip("decoded", rows - of_prompt)}};
  return result;
}

std::vector<Row> measured_rows(const Scene& scene) {
  const MemoryUse& memory = scene.step().memory;
  std::vector<Row> rows{used_row(scene)};
  rows.push_back(row("reserved", double(memory.reserved_bytes), theme().reserved));
  if (memory.slow_bytes > 0) {
    const double slow = double(memory.slow_bytes), here = double(memory.reserved_bytes) - slow;
    const auto bytes = [](double number) { return with_commas(std::int64_t(number)) + " bytes"; };
    rows.back().value = readable_bytes(here) + " here";
    rows.back().pieces = {{here, theme().reserved, "in memory: " + bytes(here)},
                          {slow, faded(theme().without_cache, 0.6f), "in slower memory: " + bytes(slow)}};
  }
  if (memory.bookkeeping_bytes > 0) rows.push_back(row("bookkeeping", double(memory.bookkeeping_bytes), theme().muted));
  return rows;
}

/// The same model with as many kv heads as query heads, and with one.
std::vector<Row> other_heads_rows(const Scene& scene) {
  const ModelConfig& c = scene.config();
  const double now = double(scene.timeline.formula_bytes(scene.step_index));
  const ImU32 colour = faded(theme().accent, 0.75f);
  std::vector<Row> rows;
  if (c.kv_heads != c.q_heads)
    rows.push_back(row(fmt::format("MHA: {} kv heads", c.q_heads), now * c.q_heads / c.kv_heads, colour,
                       fmt::format(", {} times", c.q_heads / c.kv_heads)));
  if (c.kv_heads != 1)
    rows.push_back(row("MQA: 1 kv head", now / c.kv_heads, colour, fmt::format(", 1/{}", c.kv_heads)));
  return rows;
}

void draw_rows(const std::vector<Row>& rows, double full, float height) {
  BarLook look;
  look.full = full;
  look.name_width = ImGui::CalcTextSize("MHA: 00 kv heads").x;
  look.value_width = ImGui::CalcTextSize("1023.0 KiB, 4 times").x;
  look.height = height;
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, {0, 0});
  for (const Row& row : rows) draw_bar(row.name.c_str(), row.pieces, row.value, look);
  ImGui::PopStyleVar();
}

std::string heads_in_words(const ModelConfig& c) {
  const char* kind = c.kv_heads == c.q_heads ? "MHA" : c.kv_heads == 1 ? "MQA" : "GQA";
  return fmt::format("{}: {} query heads share {}. By the formula:", kind, c.q_heads,
                     c.kv_heads == 1 ? "1 kv head" : fmt::format("{} kv heads", c.kv_heads));
}

/// What was copied has no bar: it is traffic, and would press all others flat.
void draw_without_bars(const Scene& scene) {
  const MemoryUse& memory = scene.step().memory;
  const double copied = double(memory.copied_bytes);
  const std::string words = "copied so far: " + readable_bytes(copied);
  const std::string traffic = words + (copied > 0 ? " (traffic, not space)" : "");
  if (memory.bookkeeping_bytes > 0)
    muted(fitting({traffic, words}));
  else
    muted(fitting({traffic + "; bookkeeping: 0 B", words + "; bookkeeping: 0 B", words}));
}

double longest(const std::vector<Row>& rows) {
  double bytes = 1;
  for (const Row& row : rows) bytes = std::max(bytes, row.bytes);
  return bytes;
}

void draw_bars(const Scene& scene) {
  const SmallText small(ImGui::GetContentRegionAvail().y > 18 * em());
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, {em() * 0.4f, em() * 0.12f});
  const std::vector<Row> measured = measured_rows(scene);
  std::vector<Row> others = other_heads_rows(scene);
  const float room = ImGui::GetContentRegionAvail().y, texts = 2 * em() + 4 * ImGui::GetStyle().ItemSpacing.y;
  if (room - texts < em() * 1.05f * float(measured.size() + others.size())) others.clear();
  const float height = std::clamp((room - texts) / float(measured.size() + others.size()), em() * 1.05f, em() * 3.2f);
  const double full = std::max(longest(measured), longest(others));
  draw_rows(measured, full, height);
  draw_without_bars(scene);
  if (!others.empty()) {
    muted(heads_in_words(scene.config()));
    ImGui::SetItemTooltip("%s", computed_what);
    draw_rows(others, full, height);
  }
  ImGui::PopStyleVar();
}

void draw_now(const Scene& scene, View& view) {
  const SmallControls small;
  draw_equation(scene, view);
  draw_equality(scene, view);
  if (!scene.timeline.about().use_cache)
    caption("Without the cache: it is cleared before each step, and this is the step's work space.",
            "cleared before each step: this is work space");
  draw_bars(scene);
}

// ---- over time ----

ImU32 formula_colour() { return faded(theme().newest, 0.8f); }
ImU32 reserved_colour() { return faded(theme().muted, 0.9f); }

void over_time_tooltip(const Scene& scene, const Curves& curves, int step, bool copied) {
  const std::size_t s = std::size_t(step);
  if (!ImGui::BeginTooltip()) return;
  const auto line = [](const char* name, double bytes) {
    ImGui::TextUnformatted(
        fmt::format("{}  {} ({} bytes)", name, readable_bytes(bytes), with_commas(std::int64_t(bytes))).c_str());
  };
  ImGui::TextUnformatted(step_in_words(scene, step).c_str());
  line("formula", curves.formula[s]);
  line("in use", curves.used[s]);
  line("reserved", curves.reserved[s]);
  if (copied) line("copied so far", curves.copied[s]);
  ImGui::EndTooltip();
}

/// What each cache would reserve, or would have copied, for the same text. [COMPUTED]
void draw_all_caches(const Curves& curves, const Axes& axes, bool copied) {
  const ImU32 colours[] = {theme().accent, theme().prompt, theme().moved};
  for (std::size_t i = 0; i < curves.caches.size(); ++i) {
    const Curves::OfCache& cache = curves.caches[i];
    if (cache.tokens.empty()) continue;
    const ImU32 colour = colours[i % std::size(colours)];
    const std::vector<double>& bytes = copied ? cache.copied : cache.reserved;
    plot_stairs(cache.name, cache.tokens, bytes, colour, 1.5f);
    const std::string words = fmt::format("{} {}, COMPUTED", cache.name, copied ? "copied" : "reserved");
    const double place = i == 0 ? 1 : i % 2 == 1 ? 0.35 : 0.7;  // apart from each other, each on its own curve
    const std::size_t step = std::size_t(place * double(bytes.size() - 1));
    plot_note(words.c_str(), place == 1 ? axes.x_most : cache.tokens[step], bytes[step], colour);
  }
}

void draw_over_time(const Scene& scene, View& view) {
  const Curves& curves = view.curves;
  {
    const SmallText small;
    const SmallControls controls;
    ImGui::AlignTextToFramePadding();
    legend("in use", theme().decoded);
    legend("formula", formula_colour());
    legend("reserved", reserved_colour());
    if (ImGui::GetContentRegionAvail().x < em() * 5) ImGui::NewLine();
    ImGui::Checkbox("copied##memory-copied", &view.show_copied);
    mark(view, "memory-copied");
    ImGui::SameLine();
    ImGui::Checkbox("all caches##memory-all-caches", &view.show_all_caches);
    mark(view, "memory-all-caches");
    badge_at_end(Source::measured,
                 "Bytes in use, reserved and copied, asked of the cache after each step. The formula "
                 "is computed from the sizes alone.");
  }
  if (view.show_all_caches) {
    follow_caches(view.curves, scene);
    for (const Curves::OfCache& cache : curves.caches)
      if (!cache.error.empty())
        caption(fmt::format("{}: {}", cache.name, cache.error), fmt::format("no {}", cache.name));
  }
  if (!scene.timeline.about().use_cache)
    caption("Without the cache: what is in use is the work space of a step, cleared before the next.",
            "cleared before each step: work space");
  const auto top = [](const std::vector<double>& all) { return *std::max_element(all.begin(), all.end()); };
  Axes axes = axes_over_tokens(scene);
  axes.y_is_bytes = true;
  axes.y_most = 1.15 * std::max({top(curves.formula), top(curves.used), top(curves.reserved),
                                 view.show_copied ? top(curves.copied) : 0., 1.});
  if (view.show_all_caches)
    for (const Curves::OfCache& cache : curves.caches)
      if (!cache.tokens.empty())
        axes.y_most = std::max(axes.y_most, 1.15 * top(view.show_copied ? cache.copied : cache.reserved));
  if (!begin_plot("##memory", axes)) return;
  plot_stairs("##reserved", curves.tokens, curves.reserved, reserved_colour(), 2);
  plot_stairs("##formula", curves.tokens, curves.formula, formula_colour(), 6);
  plot_stairs("##in use", curves.tokens, curves.used, theme().decoded);
  if (view.show_all_caches) draw_all_caches(curves, axes, view.show_copied);
  if (view.show_copied) plot_stairs("copied so far", curves.tokens, curves.copied, theme().moved);
  vertical_line(scene.length());
  const double used = curves.used[std::size_t(scene.step_index)];
  callout(scene.length(), used, theme().decoded, readable_bytes(used));
  if (const auto step = step_under_mouse(scene, view, scene.timeline.steps()))
    over_time_tooltip(scene, curves, *step, view.show_copied);
  end_plot(view, "memory-plot");
}

// ---- for other models ----

constexpr const char* this_model = "this model";

ModelConfig calculator_config(const Scene& scene, const View& view) {
  for (const NamedShape& shape : named_shapes)
    if (view.calculator_shape == shape.name) return config_of_shape(shape.name);
  return scene.config();
}

void choose_shape(View& view) {
  ImGui::SetNextItemWidth(em() * 8.5f);
  const bool open = ImGui::BeginCombo("##calculator-shape", view.calculator_shape.c_str(), ImGuiComboFlags_HeightLarge);
  mark(view, "calculator-shape");
  if (!open) return;
  const auto entry = [&](const char* name) {
    if (ImGui::Selectable(name, view.calculator_shape == name)) view.calculator_shape = name;
    mark(view, std::string("calculator-shape-") + name);
  };
  entry(this_model);
  for (const NamedShape& shape : named_shapes) entry(shape.name);
  ImGui::EndCombo();
}

void choose_bytes(View& view) {
  ImGui::SetNextItemWidth(em() * 5.5f);
  const auto words = [](int bytes) { return fmt::format("{} byte{}", bytes, bytes == 1 ? "" : "s"); };
  const bool open = ImGui::BeginCombo("##calculator-bytes", words(view.calculator_bytes).c_str());
  mark(view, "calculator-bytes");
  if (!open) return;
  for (const int bytes : {4, 2, 1}) {
    if (ImGui::Selectable(words(bytes).c_str(), view.calculator_bytes == bytes)) view.calculator_bytes = bytes;
    mark(view, fmt::format("calculator-bytes-{}", bytes));
  }
  ImGui::EndCombo();
}

/// A slider over several decades, for whole numbers.
void log_slider(View& view, const char* id, const char* label, int& value, int most, float label_em, float width_em) {
  const float start = ImGui::GetCursorPosX();
  ImGui::AlignTextToFramePadding();
  muted(label);
  ImGui::SameLine(start + em() * label_em);
  ImGui::SetNextItemWidth(em() * width_em);
  ImGui::SliderInt(("##" + std::string(id)).c_str(), &value, 1, most, "",
                   ImGuiSliderFlags_AlwaysClamp | ImGuiSliderFlags_Logarithmic);
  mark(view, id);
  ImGui::SameLine();
  ImGui::AlignTextToFramePadding();
  ImGui::TextUnformatted(with_commas(value).c_str());
}

/// A budget that can be said aloud: quarters below 4 GiB, whole ones above.
void choose_budget(View& view, float width_em) {
  if (float_slider(view, "calculator-budget", "memory", view.calculator_budget_gib, 0.25f, 1024, width_em,
                   view.calculator_budget_gib < 4 ? "%.2f GiB" : "%.0f GiB", true))
    view.calculator_budget_gib = view.calculator_budget_gib < 4 ? std::round(view.calculator_budget_gib * 4) / 4
                                                                : std::round(view.calculator_budget_gib);
}

void draw_calculator_controls(const ModelConfig& config, View& view) {
  choose_shape(view);
  ImGui::SameLine();
  choose_bytes(view);
  same_line_if_fits(ImGui::CalcTextSize("per number").x);
  ImGui::AlignTextToFramePadding();
  muted("per number");
  badge_at_end(Source::computed, computed_what);
  const float half = ImGui::GetContentRegionAvail().x / 2, width = std::clamp(half / em() - 8.5f, 3.f, 16.f);
  const float start = ImGui::GetCursorPosX();
  log_slider(view, "calculator-tokens", "tokens", view.calculator_tokens, std::max(131072, config.max_positions), 3.8f,
             width);
  if (half > em() * 12) ImGui::SameLine(start + half);
  log_slider(view, "calculator-batch", "batch", view.calculator_batch, 1024, 3.2f, width);
  choose_budget(view, width);
}

/// What is left of the budget beside the weights; beside its slider.
void draw_weights(const ModelConfig& c, double budget, double weights) {
  const std::string whole =
      fmt::format("weights: {} × 2 bytes = {}", with_commas(c.parameters()), readable_bytes(weights));
  const std::string left =
      weights < budget ? fmt::format("{} left", readable_bytes(budget - weights)) : "they do not fit";
  const std::string brief = "weights " + readable_bytes(weights);
  same_line_if_fits(ImGui::CalcTextSize((brief + "; " + left).c_str()).x, em());
  ImGui::AlignTextToFramePadding();
  const std::string shown = fitting({whole + "; " + left, brief + "; " + left, brief});
  if (weights < budget)
    ImGui::TextUnformatted(shown.c_str());
  else
    coloured(theme().error, shown);
  ImGui::SetItemTooltip("%s", (whole + "; " + left).c_str());
}

struct HeadsKind {
  std::string name;
  int kv_heads = 0;
  bool is_model = false;
};

std::vector<HeadsKind> kinds_of_heads(const ModelConfig& c) {
  std::vector<HeadsKind> kinds{{"MHA", c.q_heads, c.kv_heads == c.q_heads}};
  if (c.kv_heads != c.q_heads && c.kv_heads != 1)
    kinds.push_back({"GQA", c.kv_heads, true});
  else if (c.q_heads % 2 == 0 && c.q_heads > 2)
    kinds.push_back({"GQA", c.q_heads / 2, false});
  kinds.push_back({"MQA", 1, c.kv_heads == 1});
  return kinds;
}

void table_line(const char* name, const std::vector<HeadsKind>& kinds, auto&& text) {
  ImGui::TableNextRow();
  ImGui::TableNextColumn();
  muted(name);
  for (const HeadsKind& kind : kinds) {
    ImGui::TableNextColumn();
    const std::string words = text(kind.kv_heads);
    if (kind.is_model)
      ImGui::TextUnformatted(words.c_str());
    else
      muted(words);
  }
}

void draw_prices(const ModelConfig& c, const View& view, double left) {
  const std::vector<HeadsKind> kinds = kinds_of_heads(c);
  const float room = ImGui::GetContentRegionAvail().y;
  ImGui::PushStyleVar(ImGuiStyleVar_CellPadding, {em() * 0.3f, std::clamp((room / 6 - em()) / 2, 1.f, em() * 0.35f)});
  if (!ImGui::BeginTable("prices", int(kinds.size()) + 1, ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingStretchProp))
    return ImGui::PopStyleVar();
  ImGui::TableNextRow();
  ImGui::TableNextColumn();
  for (const HeadsKind& kind : kinds) {
    ImGui::TableNextColumn();
    const std::string title =
        fitting({fmt::format("{}, {} kv", kind.name, kind.kv_heads), fmt::format("{} {}", kind.name, kind.kv_heads)});
    coloured(kind.is_model ? theme().accent : theme().muted, title);
    if (kind.is_model) ImGui::SetItemTooltip("the model as it is");
  }
  const auto token = [&](int kv_heads) { return bytes_per_token(c, kv_heads, view.calculator_bytes); };
  const double tokens = view.calculator_tokens, batch = view.calculator_batch;
  table_line("a token", kinds, [&](int heads) { return readable_bytes(token(heads)); });
  table_line("a sequence", kinds, [&](int heads) { return readable_bytes(token(heads) * tokens); });
  table_line(fmt::format("a batch of {}", view.calculator_batch).c_str(), kinds,
             [&](int heads) { return readable_bytes(token(heads) * tokens * batch); });
  table_line("sequences that fit", kinds, [&](int heads) {
    return left > 0 ? with_commas(std::int64_t(left / (token(heads) * tokens))) : std::string("none");
  });
  ImGui::EndTable();
  ImGui::PopStyleVar();
}

/// Weights and the batch's caches beside what there is.
void draw_budget(const ModelConfig& c, const View& view, double budget, double weights) {
  const std::vector<HeadsKind> kinds = kinds_of_heads(c);
  const float room = ImGui::GetContentRegionAvail().y - em() * 1.5f;
  if (room < em() * 1.2f * float(kinds.size())) return;
  const auto caches = [&](const HeadsKind& kind) {
    return bytes_per_token(c, kind.kv_heads, view.calculator_bytes) * view.calculator_tokens * view.calculator_batch;
  };
  legend("weights", theme().reserved);
  legend("caches of the batch", theme().decoded);
  muted(fmt::format("line: {}", readable_bytes(budget)));
  BarLook look;
  look.name_width = ImGui::CalcTextSize("GQA").x;
  look.value_width = ImGui::CalcTextSize("1023.0 GiB: too much").x;
  look.height = std::min(em() * 2, room / float(kinds.size()));
  look.full = look.limit = budget;
  for (const HeadsKind& kind : kinds) look.full = std::max(look.full, weights + caches(kind));
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, {0, 0});
  for (const HeadsKind& kind : kinds) {
    const double all = weights + caches(kind);
    const std::array<BarPiece, 2> pieces{{{weights, theme().reserved, "weights: " + readable_bytes(weights)},
                                          {caches(kind), theme().decoded, "caches: " + readable_bytes(caches(kind))}}};
    draw_bar(kind.name.c_str(), pieces, readable_bytes(all) + (all > budget ? ": too much" : ""), look);
  }
  ImGui::PopStyleVar();
}

void draw_calculator(const Scene& scene, View& view) {
  const ModelConfig config = calculator_config(scene, view);
  const SmallText small(ImGui::GetContentRegionAvail().y > 18 * em() && ImGui::GetContentRegionAvail().x > 36 * em());
  const SmallControls controls;
  draw_calculator_controls(config, view);
  const double budget = double(view.calculator_budget_gib) * 0x1p30, weights = 2 * double(config.parameters());
  draw_weights(config, budget, weights);
  draw_prices(config, view, budget - weights);
  if (view.calculator_tokens > config.max_positions)
    caption(fmt::format("{} tokens are more than the {} positions of this model.", with_commas(view.calculator_tokens),
                        with_commas(config.max_positions)),
            "more tokens than the model has positions");
  draw_budget(config, view, budget, weights);
}

// ---- which of them ----

/// Buttons for the parts that are not shown anyway.
void choose_part(View& view, bool now_is_shown) {
  struct Choice {
    MemoryPart part;
    const char *id, *label, *tip;
  };
  constexpr std::array<Choice, 3> choices{{
      {MemoryPart::now, "memory-now", "now", "The formula, and what the cache says it takes"},
      {MemoryPart::over_time, "memory-over-time", "over time", "From step to step"},
      {MemoryPart::calculator, "memory-calculator", "calculator", "Other models, lengths and batches"},
  }};
  const SmallControls small;
  const MemoryPart shown = now_is_shown && view.memory == MemoryPart::now ? MemoryPart::over_time : view.memory;
  bool first = true;
  for (const Choice& c : choices) {
    if (now_is_shown && c.part == MemoryPart::now) continue;
    if (!first) same_line_if_fits(ImGui::CalcTextSize(c.label).x + em() * 0.8f);
    if (button(view, c.id, c.label, c.tip, shown == c.part)) view.memory = c.part;
    first = false;
  }
  if (shown == MemoryPart::now) badge_at_end(Source::computed, computed_what);
}

void draw_part(MemoryPart part, const Scene& scene, View& view) {
  switch (part) {
    case MemoryPart::now:
      return draw_now(scene, view);
    case MemoryPart::over_time:
      return draw_over_time(scene, view);
    case MemoryPart::calculator:
      return draw_calculator(scene, view);
  }
}

void draw_in_child(const char* id, ImVec2 size, MemoryPart part, const Scene& scene, View& view) {
  if (ImGui::BeginChild(id, size)) {
    if (part == MemoryPart::now) {
      const SmallControls small;
      ImGui::AlignTextToFramePadding();
      muted("now");
      badge_at_end(Source::computed, computed_what);
    }
    draw_part(part, scene, view);
  }
  ImGui::EndChild();
}

/// Now at the left; at the right the two others, or one of them.
void draw_side_by_side(const Scene& scene, View& view, bool all) {
  const ImVec2 room = ImGui::GetContentRegionAvail();
  const float left = (room.x - em() * 1.5f) / 2;
  draw_in_child("now", {left, room.y}, MemoryPart::now, scene, view);
  ImGui::SameLine(0, em() * 1.5f);
  if (ImGui::BeginChild("others", {0, room.y})) {
    if (all) {
      draw_in_child("over time", {0, room.y - em() * 18}, MemoryPart::over_time, scene, view);
      draw_in_child("calculator", {0, 0}, MemoryPart::calculator, scene, view);
    } else {
      choose_part(view, true);
      draw_part(view.memory == MemoryPart::calculator ? MemoryPart::calculator : MemoryPart::over_time, scene, view);
    }
  }
  ImGui::EndChild();
}

}  // namespace

void draw_memory(const Scene& scene, View& view) {
  follow(view.curves, scene, view.run_shown);
  const ImVec2 room = ImGui::GetContentRegionAvail();
  if (room.x >= em() * 60) return draw_side_by_side(scene, view, room.y >= em() * 32);
  choose_part(view, false);
  draw_part(view.memory, scene, view);
}

}  // namespace kvcache::visualizer
