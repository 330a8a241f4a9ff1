// Do both ways say the same? Tokens and logits with the cache, beside those without it.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "panels.hpp"
#include "plots.hpp"
#include "theme.hpp"
#include "time_ratio.hpp"
#include "token_name.hpp"

namespace kvcache::visualizer {
namespace {

/// Logits that differ by more than this do not differ by rounding alone.
constexpr double most_rounding = 1e-3;
constexpr const char* measured_what =
    "Both ways read the same tokens; their logits are compared in the precision of the run.";

std::string in_digits(double difference) {
  return !std::isfinite(difference) ? "not a finite number" : difference == 0 ? "0" : fmt::format("{:.2g}", difference);
}

/// What is known up to the shown step, of the steps that were compared.
struct Finding {
  int steps = 0;        // looked at
  int other_token = 0;  // first step with another token; -1: none among them
  int worst_step = 0;
  double worst = 0;
  /// A cache that forgets or rounds says something else: that is its price. Before it forgot anything it must not.
  bool is_expected = false;
  std::string what_it_does = "";  // why that is expected

  bool is_same() const { return other_token < 0 && worst < most_rounding; }
  Verdict verdict() const { return is_same() ? Verdict::good : is_expected ? Verdict::expected : Verdict::bad; }
};

Finding find(const Scene& scene, const Curves& curves) {
  Finding found;
  found.steps = std::min(scene.step_index + 1, curves.compared());
  const int other = scene.comparison.first_other_token();
  found.other_token = other < found.steps ? other : -1;
  found.worst_step = curves.worst_step[std::size_t(found.steps - 1)];
  found.worst = scene.comparison.logit_differences()[std::size_t(found.worst_step)];
  if (found.is_same()) return found;
  int first_other = 0;  // by tokens or by logits
  while (first_other != found.other_token &&
         scene.comparison.logit_differences()[std::size_t(first_other)] < most_rounding)
    ++first_other;
  if (scene.is_rounding())
    found.what_it_does = "rounds its rows";
  else if (scene.has_forgotten(first_other))
    found.what_it_does = "forgets tokens";
  found.is_expected = scene.timeline.about().use_cache && !found.what_it_does.empty() && std::isfinite(found.worst);
  return found;
}

std::string other_tokens(const Scene& scene, int step) {
  const ComparedStep& compared = scene.comparison.first_repeat(step);
  return fmt::format("First other token in step {}: {} with the cache, {} without", step,
                     quoted_token(scene.timeline, compared.token_with),
                     quoted_token(scene.timeline, compared.token_without));
}

void draw_tokens_line(const Scene& scene, const Finding& found) {
  if (found.other_token >= 0) return verdict(found.verdict(), other_tokens(scene, found.other_token));
  verdict(Verdict::good,
          found.steps == 1 ? "Same token so far: yes" : fmt::format("Same tokens so far: yes, all {}", found.steps));
}

void draw_meaning(const Finding& found) {
  if (found.verdict() == Verdict::expected) {
    wrapped(
        fmt::format("This cache {}, so other logits, and in time other tokens, are expected: its price, not a fault. "
                    "What the price is: kvcache quality.",
                    found.what_it_does));
  } else if (!found.is_same()) {
    ImGui::PushStyleColor(ImGuiCol_Text, theme().error);
    wrapped(found.other_token >= 0
                ? "The cached run does not say what the recomputed one says: do not trust this cache."
                : "The logits differ by more than rounding: do not trust this cache.");
    ImGui::PopStyleColor();
  } else if (found.worst == 0) {
    wrapped("Cached and recomputed logits are the same to the last bit.");
  } else {
    wrapped("Cached and recomputed logits differ only by rounding.");
  }
}

void draw_findings(const Scene& scene, View& view, const Finding& found) {
  {
    const SmallControls small;
    draw_tokens_line(scene, found);
    constexpr const char* names[] = {"proof-same", "proof-expected", "proof-wrong"};
    if (view.record_marks) view.marks[names[int(found.verdict())]] = {};
    badge_at_end(Source::measured, measured_what);
  }
  comparing_progress(scene);
  const SmallText small(ImGui::GetContentRegionAvail().y > em() * 22);
  wrapped(
      fmt::format("Largest difference of any logit so far: {}, in step {}.", in_digits(found.worst), found.worst_step));
  draw_meaning(found);
}

void draw_plot(const Scene& scene, View& view) {
  const Curves& curves = view.curves;
  const std::vector<double>& all = scene.comparison.logit_differences();
  const double most = curves.floored_difference[std::size_t(curves.worst_step.back())];
  Axes axes = axes_over_tokens(scene);
  axes.log_y = true;
  axes.y_least = Curves::least_difference / 2, axes.y_most = std::max(1e-4, most * 300);
  if (!begin_plot("##proof", axes)) return;
  plot_line("##difference", curves.tokens, curves.floored_difference, 0, theme().with_cache);
  if (curves.compared() == 1) plot_ring(curves.tokens[0], most, theme().with_cache);
  vertical_line(scene.length());
  if (scene.step_index < curves.compared()) {
    const std::size_t s = std::size_t(scene.step_index);
    callout(scene.length(), curves.floored_difference[s], theme().with_cache, in_digits(all[s]), true);
  }
  if (const auto step = step_under_mouse(scene, view, curves.compared()))
    ImGui::SetTooltip("%s\nlargest difference: %s", step_in_words(scene, *step).c_str(),
                      in_digits(all[std::size_t(*step)]).c_str());
  end_plot(view, "proof-plot");
}

void draw_nothing_compared(const Scene& scene) {
  muted("Not compared");
  badge_at_end(Source::measured, measured_what);
  wrapped(why_not_compared(scene).sentence);
  ImGui::Spacing();
  ImGui::PushStyleColor(ImGuiCol_Text, theme().muted);
  wrapped(
      "What would be shown: whether the tokens with and without the cache are the same, and by how much the logits "
      "differ in each step.");
  ImGui::PopStyleColor();
}

}  // namespace

void draw_proof(const Scene& scene, View& view) {
  follow(view.curves, scene, view.run_shown);
  if (view.curves.compared() == 0) return draw_nothing_compared(scene);
  const Finding found = find(scene, view.curves);
  draw_findings(scene, view, found);
  if (ImGui::GetContentRegionAvail().y < em() * 4) return;
  plot_legend({{"largest |with - without| of any logit", theme().with_cache}});
  const std::string zero = fmt::format("0 is drawn at {:g}", Curves::least_difference);
  caption(found.verdict() == Verdict::good
              ? zero + ". Double precision brings it to 1e-12: kvcache race --proof double"
              : zero + fmt::format("; below {:g} it can be rounding in 32 bits", most_rounding),
          zero);
  draw_plot(scene, view);
}

}  // namespace kvcache::visualizer
