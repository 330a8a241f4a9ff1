// Which token lies in which slot of each layer, or of each head of one layer.
#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "common/readable.hpp"
#include "panels.hpp"
#include "panels/heat.hpp"
#include "theme.hpp"
#include "widgets.hpp"

namespace kvcache::visualizer {
namespace {

// What a cell holds is one number, so that cells that share a pixel can show their largest. Below zero are slots
// without a value; from zero on, a Held, or the value that the map is coloured by.
constexpr float no_room = -5, free_page = -4, unused = -3, of_other_text = -2, unknown = -1;
enum class Held { prompt, decoded, newest };

/// The map, and where its cells lie.
struct Map {
  const Scene& scene;
  const View& view;
  bool shows_heads = view.map_heads;
  int rows = shows_heads ? scene.config().kv_heads : scene.config().layers;
  int slots = 1;  // of the layer that has most
  ImVec2 at = {};
  Lane down = {}, across = {};

  Map(const Scene& scene_, const View& view_) : scene(scene_), view(view_) {
    for (const LayerLayout& layout : scene.step().layouts) slots = std::max(slots, layout.slots);
  }
  int layer_of(int row) const { return shows_heads ? view.layer : row; }
  const LayerLayout& layout_of(int row) const { return scene.step().layout(layer_of(row)); }
  int chosen_row() const { return shows_heads ? view.kv_head : view.layer; }
};

/// Slots of a pool of pages belong to this text, to another one, or to nobody. Other caches have no pages.
struct Pages {
  bool any = false;
  int own = 0;                       // slots in this text's block table
  std::vector<StoragePiece> others;  // pages in the block table of another text alone

  int other_slots() const {
    int slots = 0;
    for (const StoragePiece& page : others) slots += page.slots;
    return slots;
  }
};

/// A page that was shared, and is not in this text's table any more (it was copied before a write), is the other
/// text's.
Pages pages_of(const Scene& scene, int layer) {
  const LayerLayout& now = scene.step().layout(layer);
  Pages pages;
  for (const StoragePiece& piece : now.pieces)
    if (piece.kind == StoragePiece::Kind::page) pages.any = true, pages.own += piece.slots;
  if (!pages.any) return pages;
  const auto has = [](const std::vector<StoragePiece>& all, int page) {
    return std::ranges::any_of(all, [&](const StoragePiece& piece) { return piece.page == page; });
  };
  for (int step = 1; step <= scene.step_index; ++step)
    for (const CacheEvent& event : scene.timeline.step(step).events) {
      if (event.kind != CacheEvent::Kind::shared) continue;
      const LayerLayout& before = scene.timeline.step(step - 1).layout(layer);
      const StoragePiece* page = before.piece_of(before.slot_of(event.first_position));
      if (page && !has(now.pieces, page->page) && !has(pages.others, page->page)) pages.others.push_back(*page);
    }
  return pages;
}

Held held(const Scene& scene, int position) {
  const StepRecord& step = scene.step();
  const int first_new = step.index == 0 ? scene.newest_position() : step.first_position;
  return position >= first_new ? Held::newest : scene.is_prompt(position) ? Held::prompt : Held::decoded;
}

const char* name(Held held) {
  constexpr const char* names[] = {"prompt", "decoded", "newest"};
  return names[int(held)];
}

/// What the newest query gave to a position: the sum over the query heads that read these rows.
float attention_received(const Scene& scene, int layer, int first_head, int heads, int position) {
  float sum = 0;
  for (int head = first_head; head < first_head + heads; ++head) {
    const std::span<const float> weights = scene.timeline.attention(layer, head, scene.newest_position());
    if (weights.empty()) return unknown;
    sum += std::max(0.f, weights[std::size_t(position)]);
  }
  return sum;
}

float norm_of_key(const Scene& scene, int layer, int kv_head, int position) {
  const std::span<const float> key = scene.timeline.key(layer, kv_head, position, scene.step_index);
  if (key.empty()) return unknown;
  float squares = 0;
  for (const float number : key) squares += number * number;
  return std::sqrt(squares);
}

/// What a row's cell is coloured by, if a position lies in it.
float value_of(const Map& map, int row, int position) {
  const Scene& scene = map.scene;
  const int layer = map.layer_of(row), kv_heads = scene.config().kv_heads;
  switch (map.view.map_colour) {
    case MapColour::state:
      return float(held(scene, position));
    case MapColour::age:
      return float(scene.step_index - scene.timeline.step_of(position));
    case MapColour::attention: {
      const int group = scene.config().q_heads / kv_heads;
      return map.shows_heads ? attention_received(scene, layer, row * group, group, position)
                             : attention_received(scene, layer, 0, scene.config().q_heads, position);
    }
    case MapColour::key_norm:
      break;
  }
  if (map.shows_heads) return norm_of_key(scene, layer, row, position);
  float sum = 0;
  for (int head = 0; head < kv_heads; ++head) sum += norm_of_key(scene, layer, head, position);
  return sum < 0 ? unknown : sum / float(kv_heads);
}

/// [rows, slots]
std::vector<float> values_of(const Map& map) {
  std::vector<float> values(std::size_t(map.rows) * std::size_t(map.slots), no_room);
  for (int row = 0; row < map.rows; ++row) {
    float* line = values.data() + std::size_t(row) * std::size_t(map.slots);
    const LayerLayout& layout = map.layout_of(row);
    std::fill_n(line, layout.slots, unused);
    if (const Pages pages = pages_of(map.scene, map.layer_of(row)); pages.any) {
      std::fill_n(line, layout.slots, free_page);
      for (const StoragePiece& page : pages.others) std::fill_n(line + page.first_slot, page.slots, of_other_text);
      for (const StoragePiece& page : layout.pieces) std::fill_n(line + page.first_slot, page.slots, unused);
    }
    for (const SlotRun& run : layout.runs)
      for (int i = 0; i < run.rows; ++i) line[run.first_slot + i] = value_of(map, row, run.first_position + i);
  }
  return values;
}

/// The values that get the first and the last colour. Attention has a few very large ones: its last colour is for the
/// largest of all but 2 %.
std::pair<float, float> range_of(std::vector<float> values, MapColour by) {
  std::erase_if(values, [](float value) { return value < 0; });
  if (values.empty()) return {0.f, 1.f};
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  if (by == MapColour::key_norm) return {*least, *most};
  if (by == MapColour::age) return {0.f, *most};
  const auto robust = values.begin() + std::ptrdiff_t(float(values.size() - 1) * 0.98f);
  std::nth_element(values.begin(), robust, values.end());
  return {0.f, *robust};
}

ImU32 colour_of(Held held) {
  const ImU32 colours[] = {theme().prompt, theme().decoded, theme().newest};
  return colours[int(held)];
}
ImU32 colour_of_unknown() { return faded(theme().muted, 0.5f); }
ImU32 colour_of_other_text() { return faded(theme().without_cache, 0.75f); }

ImU32 colour_of(float value, MapColour by, float least, float most) {
  if (value == no_room) return 0;
  if (value == unused) return theme().reserved;
  if (value == free_page) return theme().empty;
  if (value == of_other_text) return colour_of_other_text();
  if (value == unknown) return colour_of_unknown();
  if (by == MapColour::state) return colour_of(Held(int(value)));
  return viridis(most > least ? (value - least) / (most - least) : 0.5f);
}

/// Rows whose attention in this step is recorded. More of them may arrive at any time.
int traced_rows(const Map& map) {
  int count = 0;
  for (int row = 0; row < map.rows; ++row)
    count += map.scene.timeline.trace(map.layer_of(row), map.scene.step_index) != nullptr;
  return count;
}

void draw_cells(const Map& map, View& view) {
  const auto bits = [](float number) { return std::bit_cast<std::uint32_t>(number); };
  const Scene& scene = map.scene;
  const int traced = view.map_colour == MapColour::attention ? traced_rows(map) : 0;
  const std::uint64_t key =
      key_of(view.run_shown, scene.step_index, int(view.map_colour), map.shows_heads, map.shows_heads ? view.layer : -1,
             traced, map.slots, bits(view.map_zoom), bits(view.map_first_slot), ImGui::GetID("cells"));
  view.pictures["cache-map"].draw(
      map.at, {map.across.pixels, map.down.pixels}, key, [&](std::span<ImU32> pixels, int, int) {
        const std::vector<float> values = values_of(map);
        const auto [least, most] = range_of(values, view.map_colour);
        remember("least", least), remember("most", most);
        paint_cells(
            pixels, map.down, map.across,
            [&](int row) { return std::span(values).subspan(std::size_t(row * map.slots), std::size_t(map.slots)); },
            no_room,
            [&, least = least, most = most](float value) { return colour_of(value, view.map_colour, least, most); });
      });
}

/// The slots in which some positions lie now: calls see(slots) for each run of them.
void for_each_run(const LayerLayout& layout, int first_position, int rows, const auto& see) {
  for (const SlotRun& run : layout.runs) {
    const int begin = std::max(run.first_position, first_position);
    const int end = std::min(run.first_position + run.rows, first_position + rows);
    const int slot = run.first_slot + begin - run.first_position;
    if (begin < end) see(Lane::Range{slot, slot + end - begin});
  }
}

/// A bar along the top of cells of a row. Only shapes tell what happened to them, not hue alone.
void draw_bar(const Map& map, int row, Lane::Range slots, ImU32 colour) {
  const float left = std::max(0.f, map.across.edge(slots.begin));
  const float right = std::min(map.across.pixels, map.across.edge(slots.end) - (map.across.has_gaps() ? 1.f : 0.f));
  const float top = map.down.edge(row),
              high = std::max(em() * 0.15f, std::round(std::min(map.down.cell() * 0.22f, em() * 0.4f)));
  if (left < right)
    ImGui::GetWindowDrawList()->AddRectFilled({map.at.x + left, map.at.y + top},
                                              {map.at.x + right, map.at.y + top + high}, colour);
}

/// All rows were there before this step, were cleared, and have been computed and written once more.
bool is_written_again(const Scene& scene) {
  return scene.step_index > 0 && scene.step().tokens_fed > scene.step().rows;
}

void draw_marks(const Map& map) {
  if (map.scene.step_index > 0 && is_written_again(map.scene)) {
    const int first = map.scene.length() - map.scene.step().tokens_fed;
    for (int row = 0; row < map.rows; ++row)
      for_each_run(map.layout_of(row), first, map.scene.step().tokens_fed - map.scene.step().rows,
                   [&](Lane::Range slots) { draw_bar(map, row, slots, theme().without_cache); });
  }
  for (const CacheEvent& event : map.scene.step().events) {
    if (event.kind != CacheEvent::Kind::moved) continue;
    for (int row = map.shows_heads ? 0 : event.layer; row < (map.shows_heads ? map.rows : event.layer + 1); ++row)
      if (map.layer_of(row) == event.layer)
        for_each_run(map.layout_of(row), event.first_position, event.rows,
                     [&](Lane::Range slots) { draw_bar(map, row, slots, theme().moved); });
  }
}

const char* name(StoragePiece::Kind kind) {
  constexpr const char* names[] = {"sinks", "page", "in the file", "packed", "in the host's memory"};
  return names[int(kind)];
}
ImU32 colour_of(const StoragePiece& piece) {
  const Theme& t = theme();
  if (piece.kind == StoragePiece::Kind::page) return piece.references > 1 ? t.newest : t.muted;
  return piece.kind == StoragePiece::Kind::in_file || piece.kind == StoragePiece::Kind::in_host ? t.without_cache
                                                                                                : t.accent;
}
/// The longest that fits; empty: none.
std::string label_of(const StoragePiece& piece, float width) {
  std::vector<std::string> labels{name(piece.kind)};
  if (piece.kind == StoragePiece::Kind::page) {
    const std::string times = piece.references > 1 ? fmt::format(" ×{}", piece.references) : "";
    labels = {fmt::format("page {}{}", piece.page, times), fmt::format("p{}{}", piece.page, times)};
  }
  for (const std::string& label : labels)
    if (small_width(label) + em() * 0.3f <= width) return label;
  return "";
}

/// A line along the bottom of the cells of each piece that the cache names, and the name where there is room.
void draw_pieces(const Map& map) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const float thick = std::max(2.f, em() * 0.15f);
  for (int row = 0; row < map.rows; ++row)
    for (const StoragePiece& piece : map.layout_of(row).pieces) {
      const float left = std::max(0.f, map.across.edge(piece.first_slot)) + 1;
      const float right = std::min(map.across.pixels, map.across.edge(piece.first_slot + piece.slots)) - 2;
      if (left >= right) continue;
      const float bottom = map.at.y + map.down.edge(row + 1) - 1;
      draw->AddRectFilled({map.at.x + left, bottom - thick}, {map.at.x + right, bottom}, colour_of(piece));
      const std::string label = label_of(piece, right - left);
      if (map.down.cell() < small_em() * 2.6f || label.empty()) continue;
      const float top = bottom - thick - small_em() * 1.15f;
      draw->AddRectFilled({map.at.x + left, top}, {map.at.x + left + small_width(label) + em() * 0.3f, bottom - thick},
                          faded(theme().panel, 0.85f));
      small_text({map.at.x + left + em() * 0.15f, top}, label, theme().text);
    }
}

/// Outlines a position wherever it lies: one outline for neighbouring rows that keep it in the same slot.
void outline_position(const Map& map, int position, ImU32 colour) {
  if (position < 0) return;
  for (int row = 0, end; row < map.rows; row = end) {
    const int slot = map.layout_of(row).slot_of(position);
    for (end = row + 1; end < map.rows && map.layout_of(end).slot_of(position) == slot; ++end) {
    }
    if (slot >= 0) outline_cells(map.at, map.down, map.across, {row, end}, {slot, slot + 1}, colour, 2);
  }
}

/// The tokens, in cells large enough for them.
void draw_tokens_in_cells(const Map& map) {
  if (map.view.map_colour != MapColour::state) return;
  const float wide = map.across.cell() - 2, high = map.down.cell() - 1;
  if (wide < small_em() * 2 || high < small_em() * 1.6f) return;
  ImDrawList* draw = ImGui::GetWindowDrawList();
  for (int slot = map.across.index_at(0); slot <= map.across.index_at(map.across.pixels - 1); ++slot)
    for (int row = 0; row < map.rows; ++row) {
      const int position = map.layout_of(row).position_in(slot);
      if (position < 0) continue;
      const ImVec2 a{map.at.x + std::max(0.f, map.across.edge(slot)), map.at.y + map.down.edge(row)};
      const ImU32 ink = faded(ink_on(colour_of(held(map.scene, position))), 0.9f);
      draw->PushClipRect(a, {std::min(a.x + wide, map.at.x + map.across.pixels), a.y + high}, true);
      small_text({a.x + em() * 0.3f, a.y + (high - small_em()) / 2}, token_at(map.scene, position), ink, Align::left,
                 true);
      draw->PopClipRect();
    }
}

void draw_row_labels(const Map& map) {
  const int step = label_step(map.down.cell(), small_em() * 1.05f);
  for (int row = 0; row < map.rows; ++row) {
    const bool is_chosen = row == map.chosen_row();
    if (row % step != 0 && !is_chosen) continue;
    if (!is_chosen && step > 1 && std::abs(row - map.chosen_row()) < step) continue;  // its label needs the room
    const float middle = (map.down.edge(row) + map.down.edge(row + 1)) / 2;
    small_text({map.at.x - em() * 0.45f, map.at.y + middle - small_em() * 0.55f},
               fmt::format("{} {}", map.shows_heads ? "head" : "layer", row), is_chosen ? theme().text : theme().muted,
               Align::right);
  }
}

std::string value_in_words(const Map& map, int row, int position) {
  const float value = value_of(map, row, position);
  const ModelConfig& c = map.scene.config();
  const int kv_heads = map.shows_heads ? 1 : c.kv_heads, q_heads = kv_heads * c.q_heads / c.kv_heads;  // of the cell
  const auto of_heads = [](const char* how, int heads) {
    return heads > 1 ? fmt::format(", {} of {} heads", how, heads) : "";
  };
  switch (map.view.map_colour) {
    case MapColour::state:
      return {};
    case MapColour::age:
      return fmt::format("age: {} steps", int(value));
    case MapColour::attention:
      return value == unknown
                 ? "attention: not recorded for this layer"
                 : fmt::format("attention from the newest query: {:.4f}{}", value, of_heads("sum", q_heads));
    case MapColour::key_norm:
      break;
  }
  return value == unknown ? "norm of the key: not recorded"
                          : fmt::format("norm of the key: {}{}", short_number(value), of_heads("mean", kv_heads));
}

/// Its rows are not the numbers that it was given.
bool is_rounding(const Scene& scene) { return !scene.timeline.step(0).written_keys.empty(); }

/// What a slot without a token of this text is.
const char* what_is_free(const Scene& scene, int layer, int slot) {
  const LayerLayout& layout = scene.step().layout(layer);
  if (slot >= layout.slots) return "no room yet in this layer";
  if (layout.piece_of(slot)) return "reserved: room for a token, not used yet";
  const Pages pages = pages_of(scene, layer);
  for (const StoragePiece& page : pages.others)
    if (slot >= page.first_slot && slot < page.first_slot + page.slots) return "in a page of another text";
  return pages.any ? "in a page of the pool that no text uses" : "reserved: room for a token, not used yet";
}

void show_tooltip(const Map& map, int row, int slot) {
  const ModelConfig& c = map.scene.config();
  const LayerLayout& layout = map.layout_of(row);
  std::string place = fmt::format("layer {}, ", map.layer_of(row));
  if (map.shows_heads) place += fmt::format("kv head {}, ", row);
  place += fmt::format("slot {}", slot);
  if (!ImGui::BeginTooltip()) return;
  ImGui::TextUnformatted(place.c_str());
  const int position = layout.position_in(slot);
  const std::size_t bytes = 2 * std::size_t(map.shows_heads ? 1 : c.kv_heads) * std::size_t(c.head_dim) *
                            map.scene.timeline.about().number_bytes;
  if (position < 0) {
    muted(what_is_free(map.scene, map.layer_of(row), slot));
  } else {
    ImGui::Text("position %d in the text:", position);
    ImGui::SameLine(0, em() * 0.4f);
    ImGui::PushFont(fonts().mono, 0);
    ImGui::TextUnformatted(token_at(map.scene, position).c_str());
    ImGui::PopFont();
    const int gap = layout.run_of(position)->position_gap;
    muted(c.position == PositionKind::learned ? "learned position"
          : gap == 0                          ? fmt::format("rope position {}", position)
                     : fmt::format("rope position {}: read as if it stood at {}, right before the window", position,
                                   position + gap));
    muted(
        fmt::format("{}: computed in step {}", name(held(map.scene, position)), map.scene.timeline.step_of(position)));
    if (const std::string words = value_in_words(map, row, position); !words.empty()) muted(words);
  }
  if (const StoragePiece* piece = layout.piece_of(slot))
    muted(piece->kind == StoragePiece::Kind::page
              ? fmt::format("page {} of the pool, in the block table of {}", piece->page,
                            counted(piece->references, "text"))
              : std::string(name(piece->kind)) + (piece->kind == StoragePiece::Kind::sinks ? ": never forgotten" : ""));
  if (slot < layout.slots && !is_rounding(map.scene))
    muted(fmt::format("{} bytes for its key and value", with_commas(std::int64_t(bytes))));
  ImGui::EndTooltip();
}

void keep_in_range(View& view, int slots) {
  view.map_zoom = std::clamp(view.map_zoom, 1.f, std::max(1.f, float(slots) / 4));
  const float shown = float(slots) / view.map_zoom;
  view.map_first_slot = std::clamp(view.map_first_slot, 0.f, float(slots) - shown);
}

/// Wheel, drag and double click, over the map that is the last item.
void zoom_and_pan(View& view, int slots, ImVec2 at, float width) {
  const ImGuiIO& io = ImGui::GetIO();
  ImGui::SetItemKeyOwner(ImGuiKey_MouseWheelY);  // or the panel would scroll
  ImGui::SetItemKeyOwner(ImGuiKey_MouseWheelX);
  float shown = float(slots) / view.map_zoom;
  if (ImGui::IsItemHovered()) {
    const float part = (io.MousePos.x - at.x) / width, under_mouse = view.map_first_slot + part * shown;
    view.map_zoom = std::clamp(view.map_zoom * std::pow(1.25f, io.MouseWheel), 1.f, std::max(1.f, float(slots) / 4));
    if (ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) view.map_zoom = 1;
    shown = float(slots) / view.map_zoom;
    if (io.MouseWheel != 0) view.map_first_slot = under_mouse - part * shown;
    view.map_first_slot -= io.MouseWheelH * shown * 0.1f;
  }
  const bool is_dragged = ImGui::IsMouseDown(ImGuiMouseButton_Middle) || ImGui::IsMouseDown(ImGuiMouseButton_Right);
  if (ImGui::IsItemActive() && is_dragged) view.map_first_slot -= io.MouseDelta.x * shown / width;
  keep_in_range(view, slots);
}

void hover_and_select(const Map& map, View& view) {
  if (!ImGui::IsItemHovered()) return;
  const ImVec2 mouse = ImGui::GetIO().MousePos;
  const int row = map.down.index_at(mouse.y - map.at.y), slot = map.across.index_at(mouse.x - map.at.x);
  const int position = map.layout_of(row).position_in(slot);
  show_tooltip(map, row, slot);
  outline_cells(map.at, map.down, map.across, {row, row + 1}, {slot, slot + 1}, theme().text, 1);
  view.hovered_position = position;
  if (!ImGui::IsItemClicked(ImGuiMouseButton_Left)) return;
  view.selected_position = position;
  if (map.shows_heads)
    choose_kv_head(map.scene, view, row);
  else
    view.layer = row;
}

void draw_grid(Map& map, View& view, ImVec2 at, ImVec2 size) {
  const float left = small_width(map.shows_heads ? "head 00" : "layer 00") + em() * 0.5f;
  map.at = {std::round(at.x + left), std::round(at.y)};
  const ImVec2 inner{std::floor(size.x - left), std::floor(size.y)};
  ImGui::SetCursorScreenPos(map.at);
  ImGui::InvisibleButton(
      "cache-map-grid", inner,
      ImGuiButtonFlags_MouseButtonLeft | ImGuiButtonFlags_MouseButtonMiddle | ImGuiButtonFlags_MouseButtonRight);
  mark(view, "cache-map-grid");
  zoom_and_pan(view, map.slots, map.at, inner.x);
  map.across = {inner.x, float(map.slots) / view.map_zoom, view.map_first_slot, map.slots};
  map.down = {inner.y, float(map.rows), 0, map.rows};
  draw_row_labels(map);
  draw_cells(map, view);
  draw_marks(map);
  draw_tokens_in_cells(map);
  draw_pieces(map);
  outline_cells(map.at, map.down, map.across, {map.chosen_row(), map.chosen_row() + 1}, {0, map.slots}, theme().muted,
                1);
  outline_position(map, view.highlighted_position, faded(theme().text, 0.6f));
  outline_position(map, view.selected_position, theme().accent);
  hover_and_select(map, view);
}

void draw_buttons(View& view, float size) {
  ImGui::PushFont(fonts().sans, text_size * size);
  const auto choose = [&](const char* id, const char* label, MapColour by, const char* tip) {
    if (button(view, id, label, tip, view.map_colour == by)) view.map_colour = by;
    ImGui::SameLine(0, em() * 0.15f);
  };
  choose("map-state", "state", MapColour::state, "Colour: prompt, decoded, newest or reserved");
  choose("map-age", "age", MapColour::age, "Colour: steps since the token was computed");
  choose("map-attention", "attention", MapColour::attention,
         "Colour: the weight that the newest query gives to each token, summed over the heads of the cell");
  choose("map-norm", "norm", MapColour::key_norm,
         "Colour: the length (L2 norm) of each key; of several heads, their mean");
  ImGui::SameLine(0, em() * 0.6f);
  if (button(view, "map-heads", view.map_heads ? "heads" : "layers",
             "Rows are layers, or the kv heads of the layer that is looked at; click to change"))
    view.map_heads = !view.map_heads;
  ImGui::PopFont();
}

struct Chip {
  const char* name;
  ImU32 colour;
};

std::vector<Chip> chips(const Map& map) {
  const Theme& t = theme();
  std::vector<Chip> all;
  if (map.view.map_colour == MapColour::state)
    all = {{"prompt", t.prompt}, {"decoded", t.decoded}, {"newest", t.newest}};
  all.push_back({"reserved", t.reserved});
  if (const Pages pages = pages_of(map.scene, map.view.layer); pages.any) {
    if (!pages.others.empty()) all.push_back({"another text", colour_of_other_text()});
    if (pages.own + pages.other_slots() < map.layout_of(map.chosen_row()).slots) all.push_back({"free page", t.empty});
  }
  if (map.view.map_colour == MapColour::attention && traced_rows(map) < map.rows)
    all.push_back({map.shows_heads ? "not recorded for this layer" : "layer not recorded", colour_of_unknown()});
  return all;
}

/// What the colours mean, for the colourings by a value.
ColourScale scale_of(const Map& map) {
  const char* unit[] = {"", " steps", " and more", ""};
  const bool is_count = map.view.map_colour == MapColour::age;
  const auto number = [&](float value) { return is_count ? fmt::format("{:.0f}", value) : short_number(value); };
  return {number(remembered("least")), number(remembered("most")) + unit[int(map.view.map_colour)], viridis};
}

constexpr float chip_side = 0.75f, chip_gap = 0.35f, chips_apart = 0.85f;  // in em of their text

float width_of(const std::vector<Chip>& all, float size) {
  float width = 0;
  for (const Chip& chip : all)
    width += size * (chip_side + chip_gap + chips_apart) + fonts().sans->CalcTextSizeA(size, FLT_MAX, 0, chip.name).x;
  return width;
}

/// Squares and names side by side. (legend() of widgets.hpp makes lines of its own height.)
void draw_chips(const std::vector<Chip>& all, ImVec2 at, float size) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  for (const Chip& chip : all) {
    const float side = size * chip_side, top = at.y + size * (1 - chip_side) * 0.6f;
    draw->AddRectFilled({at.x, top}, {at.x + side, top + side}, chip.colour, 2);
    draw->AddText(fonts().sans, size, {at.x + side + size * chip_gap, at.y}, theme().muted, chip.name);
    at.x += width_of({chip}, size);
  }
}

/// Chips and the badge: on the line of the buttons if there is room, else the chips have a line of their own. Returns
/// where a scale can follow them.
ImVec2 draw_legend(const std::vector<Chip>& all, float scale_width, float size) {
  const float width = width_of(all, size) + scale_width, line = ImGui::GetItemRectSize().y;
  ImGui::SameLine(0, em() * 0.8f);
  const bool fits = ImGui::GetContentRegionAvail().x >= width + badge_width();
  ImVec2 at = ImGui::GetCursorScreenPos();
  badge_at_end(Source::measured, "Read from the cache after each step: which token lies in which slot.", line);
  if (fits) {
    at.y += std::round((line - size) / 2);
  } else {
    at = ImGui::GetCursorScreenPos();
    if (ImGui::GetContentRegionAvail().y < size + em() * 2) return at;  // the map is more important
    ImGui::Dummy({width, size});
  }
  draw_chips(all, at, size);
  return {at.x + width_of(all, size), at.y + (size - small_em()) / 2};
}

/// Events of one kind in words: "4 rows in each of 6 layers", and the bytes that were copied.
std::string events_in_words(const Scene& scene, CacheEvent::Kind kind) {
  std::map<int, int> rows;  // by layer
  std::set<std::string> reasons;
  std::size_t bytes = 0;
  const bool is_of_pages = kind == CacheEvent::Kind::shared || kind == CacheEvent::Kind::copied;
  const int layers = scene.config().layers;
  for (const CacheEvent& event : scene.step().events)
    if (event.kind == kind) {
      bytes += event.bytes;
      if (!event.reason.empty()) reasons.insert(event.reason);
      if (is_of_pages)  // a page has rows of every layer
        for (int layer = 0; layer < layers; ++layer) rows[layer] += event.rows;
      else
        rows[event.layer] += event.rows;
    }
  if (rows.empty()) return {};
  std::string words = rows_in_words(rows, layers);
  for (const std::string& reason : reasons) words += ", " + reason;
  if (bytes > 0) words += fmt::format(", {} bytes copied", with_commas(std::int64_t(bytes)));
  return words;
}

/// The block table, as far as it fits in a line: "0-15 in page 3 (2 texts)".
std::string table_in_words(const LayerLayout& layout) {
  std::string words;
  int first = 0, shown = 0;
  for (const StoragePiece& piece : layout.pieces) {
    if (piece.kind != StoragePiece::Kind::page) return "";
    if (++shown > 6) return words + ", ...";
    words += fmt::format("{}{}-{} in page {}", words.empty() ? "" : ", ", first, first + piece.slots - 1, piece.page);
    if (piece.references > 1) words += fmt::format(" ({} texts)", piece.references);
    first += piece.slots;
  }
  return words;
}

/// What attention brought back since the step before. Empty: nothing was read from slow memory.
std::string fetched_in_words(const Scene& scene) {
  int hits = 0, misses = 0;
  std::size_t bytes = 0;
  for (const CacheEvent& event : scene.step().events)
    if (event.kind == CacheEvent::Kind::fetched) hits += event.hits, misses += event.misses, bytes += event.bytes;
  if (misses == 0) return "";
  return fmt::format("read since the step before: {} from memory, {} from the file, {} bytes", counted(hits, "block"),
                     misses, with_commas(std::int64_t(bytes)));
}

struct Line {
  std::string text;
  ImU32 colour;
  bool is_about_marks = false;  // bars of its colour
};

/// Goes on in the same line if there is room. A square before it says which marks in the map it is about.
void draw_sentence(const Line& line, bool is_first) {
  const float square = line.is_about_marks ? em() : 0;
  if (!is_first) ImGui::SameLine(0, em());
  if (!is_first && ImGui::GetContentRegionAvail().x < square + ImGui::CalcTextSize(line.text.c_str()).x)
    ImGui::NewLine();
  if (line.is_about_marks) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    ImGui::GetWindowDrawList()->AddRectFilled({at.x, at.y + em() * 0.4f}, {at.x + em() * 0.75f, at.y + em() * 0.7f},
                                              line.colour);
    ImGui::Dummy({em() * 0.75f, em()});
    ImGui::SameLine(0, em() * 0.25f);
  }
  ImGui::PushStyleColor(ImGuiCol_Text, line.colour);
  wrapped(line.text);
  ImGui::PopStyleColor();
}

std::string slots_in_words(const LayerLayout& layout, const Pages& pages) {
  const int slots = pages.any ? pages.own : layout.slots, room = slots - layout.rows();
  std::string words = fmt::format("{} of {} slots used, {} reserved (slack {} %)", with_commas(layout.rows()),
                                  with_commas(slots), with_commas(room), slots > 0 ? 100 * room / slots : 0);
  if (!pages.others.empty()) words += fmt::format("; {} of another text", counted(pages.other_slots(), "slot"));
  if (const int free = layout.slots - pages.own - pages.other_slots(); pages.any && free > 0)
    words += fmt::format("; {} in free pages", with_commas(free));
  return words;
}

std::vector<Line> sentences(const Map& map) {
  const Scene& scene = map.scene;
  const LayerLayout& layout = scene.step().layout(map.view.layer);
  std::string text = slots_in_words(layout, pages_of(scene, map.view.layer));
  if (scene.step().layouts.size() > 1) text = fmt::format("layer {}: ", map.view.layer) + text;
  std::vector<Line> lines{{text, theme().muted}};
  if (const std::string moved = events_in_words(scene, CacheEvent::Kind::moved); !moved.empty())
    lines.push_back({"moved to larger room: " + moved, theme().moved, true});
  if (const std::string gone = events_in_words(scene, CacheEvent::Kind::forgotten); !gone.empty())
    lines.push_back({"forgotten: " + gone, theme().moved});
  const auto tell = [&](CacheEvent::Kind kind, const char* what) {
    if (const std::string words = events_in_words(scene, kind); !words.empty())
      lines.push_back({what + words, theme().moved});
  };
  tell(CacheEvent::Kind::shared, "shared with another text: ");
  tell(CacheEvent::Kind::copied, "copied before writing, for another text reads them: ");
  tell(CacheEvent::Kind::packed, "packed for good: ");
  if (const std::string table = table_in_words(layout); !table.empty())
    lines.push_back({"block table: " + table, theme().muted});
  if (const std::string fetched = fetched_in_words(scene); !fetched.empty())
    lines.push_back({fetched, theme().without_cache});
  if (is_written_again(scene))
    lines.push_back({fmt::format("cleared, then all {} rows computed and written again", scene.step().tokens_fed),
                     theme().without_cache, true});
  if (map.view.map_zoom > 1) lines.push_back({"double click: show all slots", theme().muted});
  return lines;
}

/// How many lines the sentences take.
int lines_of(const std::vector<Line>& sentences, float width) {
  int lines = 1;
  float used = 0;
  for (const Line& line : sentences) {
    const float wide = ImGui::CalcTextSize(line.text.c_str()).x + (line.is_about_marks ? em() : 0);
    if (used > 0 && used + em() + wide > width) ++lines, used = 0;
    used += (used > 0 ? em() : 0) + wide;
    while (used > width) ++lines, used -= width;
  }
  return lines;
}

float bottom_height(const std::vector<Line>& below, float width, float size) {
  ImGui::PushFont(fonts().sans, text_size * size);
  const float height = ImGui::GetTextLineHeightWithSpacing() * float(lines_of(below, width));
  ImGui::PopFont();
  return height;
}

void draw_sentences(const std::vector<Line>& below, float size) {
  ImGui::PushFont(fonts().sans, text_size * size);
  for (std::size_t i = 0; i < below.size(); ++i) draw_sentence(below[i], i == 0);
  ImGui::PopFont();
}

}  // namespace

void draw_cache_map(const Scene& scene, View& view) {
  const PanelStyle style;
  const float size = style.is_small() ? 0.82f : 1;
  draw_buttons(view, size);
  Map map(scene, view);
  keep_in_range(view, map.slots);
  const bool by_value = view.map_colour != MapColour::state;
  const ImVec2 scale_at = draw_legend(chips(map), by_value ? scale_of(map).width() : 0, em() * size);

  std::vector<Line> below = sentences(map);
  if (style.is_small() && view.map_zoom > 1 && lines_of(below, ImGui::GetContentRegionAvail().x) > 1) below.pop_back();
  const ImVec2 at = ImGui::GetCursorScreenPos(), room = ImGui::GetContentRegionAvail();
  const float text = bottom_height(below, room.x, size), axis = small_em() * 1.4f, least = em() * 1.5f;
  const bool has_text = room.y - text >= least, has_axis = room.y - text - axis >= least;
  const float height = std::max(room.y - (has_text ? text : 0) - (has_axis ? axis : 0), 4.f);
  draw_grid(map, view, at, {std::max(room.x, em() * 8), height});
  if (by_value && scale_at.y < at.y) scale_of(map).draw(scale_at);
  if (has_axis) numbers_below({map.at.x, map.at.y + map.down.pixels + 1}, map.across);
  if (!has_text) return;
  ImGui::SetCursorScreenPos({at.x, at.y + height + (has_axis ? axis : 0) + ImGui::GetStyle().ItemSpacing.y * 0.5f});
  draw_sentences(below, size);
}

}  // namespace kvcache::visualizer
