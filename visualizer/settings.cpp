// The window in which another run is chosen, and the one that tells what went wrong.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "app.hpp"
#include "kvcache/cache/cache_names.hpp"
#include "theme.hpp"
#include "widgets.hpp"

namespace kvcache::visualizer {
namespace {

bool text_field(View& view, const char* id, const char* label, std::string& text, ImVec2 lines = {}) {
  ImGui::AlignTextToFramePadding();
  muted(label);
  ImGui::SameLine(em() * 7);
  ImGui::SetNextItemWidth(-1);
  const auto resize = [](ImGuiInputTextCallbackData* data) {
    if (data->EventFlag == ImGuiInputTextFlags_CallbackResize) {
      auto& string = *static_cast<std::string*>(data->UserData);
      string.resize(std::size_t(data->BufTextLen));
      data->Buf = string.data();
    }
    return 0;
  };
  const std::string name = "##" + std::string(id);
  const bool changed = lines.y > 0
                           ? ImGui::InputTextMultiline(name.c_str(), text.data(), text.capacity() + 1, {-1, lines.y},
                                                       ImGuiInputTextFlags_CallbackResize, resize, &text)
                           : ImGui::InputText(name.c_str(), text.data(), text.capacity() + 1,
                                              ImGuiInputTextFlags_CallbackResize, resize, &text);
  mark(view, id);
  return changed;
}

/// Goes on in the line if so much still fits; else in a new one, under what stands beside the label.
void next_in_row(float width, bool is_first) {
  if (is_first) return;
  const float right = ImGui::GetCursorScreenPos().x + ImGui::GetContentRegionAvail().x;
  if (ImGui::GetItemRectMax().x + ImGui::GetStyle().ItemSpacing.x + width <= right)
    ImGui::SameLine();
  else
    ImGui::SetCursorPosX(em() * 7);
}

void labelled(const char* label) {
  ImGui::AlignTextToFramePadding();
  muted(label);
  ImGui::SameLine(em() * 7);
}

/// A button in a row of them; it begins a new line, below the first one, where it would be cut off.
bool button_in_row(View& view, const char* id, const char* label, const char* tip, bool selected, bool is_first) {
  const float width = ImGui::CalcTextSize(label).x + 2 * ImGui::GetStyle().FramePadding.x;
  next_in_row(width, is_first);
  return button(view, id, label, tip, selected);
}

void muted_and_wrapped(const std::string& text) {
  ImGui::PushStyleColor(ImGuiCol_Text, theme().muted);
  wrapped(text);
  ImGui::PopStyleColor();
}

void choose_model(View& view) {
  text_field(view, "model", "Model", view.draft.model);
  ImGui::SetCursorPosX(em() * 7);
  bool is_first = true;
  for (const char* name : {"tiny", "tiny-mha", "tiny-mqa", "smollm2", "shape:gpt2-medium"})
    if (button_in_row(view, name, name, "Use this one", view.draft.model == name, std::exchange(is_first, false)))
      view.draft.model = name;
  ImGui::SetCursorPosX(em() * 7);
  muted_and_wrapped("A name, or the path of a Hugging Face folder or a GGUF file; shape:NAME has random weights.");
}

void choose_prompt(const Session& session, View& view) {
  text_field(view, "prompt", "Prompt", view.draft.prompt, {0, em() * 4});
  ImGui::SetCursorPosX(em() * 7);
  try {
    const std::vector<TokenPiece> pieces = session.tokenise(view.draft.prompt);
    std::string shown = fmt::format("{} tokens:", pieces.size());
    for (std::size_t i = 0; i < std::min<std::size_t>(12, pieces.size()); ++i) shown += "  " + visible(pieces[i].bytes);
    muted_and_wrapped(pieces.empty()       ? "no tokenizer: the prompt is made of random ids"
                      : pieces.size() > 12 ? shown + " ..."
                                           : shown);
  } catch (const std::exception& error) {
    muted_and_wrapped(error.what());
  }
}

void choose_cache(View& view) {
  labelled("Cache");
  ImGui::BeginDisabled(!view.draft.use_cache);
  bool is_first = true;
  for (const CacheName& cache : cache_names)
    if (button_in_row(view, cache.name, cache.name, cache.what, view.draft.cache == cache.name,
                      std::exchange(is_first, false)))
      view.draft.cache = cache.name;
  ImGui::EndDisabled();
  next_in_row(ImGui::CalcTextSize("use it").x + ImGui::GetFrameHeight() + ImGui::GetStyle().ItemInnerSpacing.x, false);
  ImGui::Checkbox("use it", &view.draft.use_cache);
  mark(view, "use-cache");
  ImGui::SetItemTooltip("Without: the cache is cleared before each step, and every token is computed again.");
  text_field(view, "cache-spec", "", view.draft.cache);
  ImGui::SetItemTooltip("With options: window:sinks=4,recent=60,format=int8; kvcache caches lists them all.");
  if (!view.draft.cache.starts_with("paged")) view.draft.fork = false;
  if (!view.draft.cache.starts_with("paged")) return;
  ImGui::SetCursorPosX(em() * 7);
  ImGui::Checkbox("another text shares the prompt's pages", &view.draft.fork);
  mark(view, "fork");
}

void choose_device(View& view) {
  labelled("Device");
  for (const auto& [name, what] :
       {std::pair{"cpu", "This processor"}, {"cuda", "An NVIDIA GPU: its cache is copied back"}}) {
    if (button(view, name, name, what, view.draft.device == name)) view.draft.device = name;
    ImGui::SameLine();
  }
  ImGui::NewLine();
}

void choose_sampling(View& view) {
  SamplingOptions& sampling = view.draft.sampling;
  float temperature = float(sampling.temperature), top_p = float(sampling.top_p);
  labelled("Tokens");
  int_slider(view, "tokens", "to write", view.draft.tokens, 1, 500, 9);
  ImGui::SameLine(0, em());
  int_slider(view, "repeats", "timed", view.draft.repeats, 0, 10, 4);
  ImGui::SetItemTooltip("How often the run is timed with and without the cache.");
  labelled("Sampling");
  if (float_slider(view, "temperature", "temperature", temperature, 0, 2, 5, "%.2f"))
    sampling.temperature = double(int(temperature * 20 + 0.5f)) / 20;
  ImGui::SameLine(0, em());
  int_slider(view, "top-k", "top-k", sampling.top_k, 0, 100, 4);
  ImGui::SetCursorPosX(em() * 7);
  if (float_slider(view, "top-p", "top-p", top_p, 0.05f, 1, 5, "%.2f"))
    sampling.top_p = double(int(top_p * 20 + 0.5f)) / 20;
  ImGui::SameLine(0, em());
  int seed = int(sampling.seed);
  if (int_slider(view, "seed", "seed", seed, 0, 99, 4)) sampling.seed = std::uint64_t(seed);
  ImGui::SetCursorPosX(em() * 7);
  muted("Temperature 0 is greedy: always the likeliest token.");
}

}  // namespace

void draw_settings(const Session& session, View& view) {
  if (!view.show_settings || view.hides_dialogs) return;
  const ImGuiViewport& viewport = *ImGui::GetMainViewport();
  ImGui::SetNextWindowPos(viewport.GetCenter(), ImGuiCond_Appearing, {0.5f, 0.5f});
  const float width = std::min(em() * 40, viewport.WorkSize.x);
  ImGui::SetNextWindowSize({width, 0}, ImGuiCond_Always);
  ImGui::SetNextWindowSizeConstraints({width, 0}, {width, viewport.WorkSize.y});  // it scrolls where it is too high
  if (ImGui::Begin("Another run", &view.show_settings,
                   ImGuiWindowFlags_NoDocking | ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoResize)) {
    choose_model(view);
    choose_prompt(session, view);
    choose_cache(view);
    choose_device(view);
    choose_sampling(view);
    ImGui::Separator();
    if (button(view, "run", "Run", "Decode with these", true)) view.start = view.draft, view.show_settings = false;
    ImGui::SameLine();
    if (button(view, "cancel", "Cancel")) view.draft = session.choice(), view.show_settings = false;
    ImGui::SameLine(0, em() * 2);
    ImGui::AlignTextToFramePadding();
    muted("Look:");
    ImGui::SameLine();
    if (button(view, "theme", view.dark ? "light" : "dark", "Dark or light (T)")) choose_theme(view, !view.dark);
    ImGui::SameLine();
    if (button(view, "reset-layout", "Reset layout", "Panels back to their places (Ctrl + 0)"))
      view.reset_layout = true;
    ImGui::SameLine();
    if (float_slider(view, "ui-scale", "size", view.ui_scale, 0.5f, 3, 4, "%.2f")) choose_scale(view, view.ui_scale);
    ImGui::AlignTextToFramePadding();
    muted("Save this run:");
    for (const char* kind : {"png", "csv", "json", "safetensors"}) {
      ImGui::SameLine();
      const std::string tip =
          fmt::format("Write kvcache-{}.{} to the working folder, under another name where there is one already",
                      kind == std::string_view("png") ? "step-N" : "run", kind);
      if (button(view, (std::string("save-") + kind).c_str(), kind, tip.c_str())) view.save = kind;
    }
  }
  ImGui::End();
}

namespace {

/// A sentence over the panels. True: it was closed.
bool draw_sentence(View& view, const char* window, const char* id, const std::string& sentence, float y) {
  const ImGuiViewport& viewport = *ImGui::GetMainViewport();
  ImGui::SetNextWindowPos({viewport.GetCenter().x, viewport.WorkPos.y + y}, ImGuiCond_Always, {0.5f, 0});
  ImGui::SetNextWindowSize({std::min(em() * 45, viewport.WorkSize.x - em() * 2), 0});
  ImGui::PushStyleColor(ImGuiCol_Border, theme().error);
  bool closed = false;
  if (ImGui::Begin(window, nullptr,
                   ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoDocking | ImGuiWindowFlags_NoSavedSettings |
                       ImGuiWindowFlags_NoFocusOnAppearing)) {
    ImGui::PushStyleColor(ImGuiCol_Text, theme().error);
    wrapped(sentence);
    ImGui::PopStyleColor();
    closed = button(view, id, "Close");
  }
  ImGui::End();
  ImGui::PopStyleColor();
  return closed;
}

}  // namespace

void draw_error(Session& session, View& view) {
  if (view.hides_dialogs) return;
  if (!session.error().empty() && draw_sentence(view, "##error", "dismiss", session.error(), em()))
    session.dismiss_error();
  if (!view.notice.empty() && draw_sentence(view, "##notice", "dismiss-notice", view.notice, em() * 8))
    view.notice.clear();
}

}  // namespace kvcache::visualizer
