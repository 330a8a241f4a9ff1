// Numbers and curves for a person at a terminal.
#pragma once

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "common/printable.hpp"
#include "common/readable.hpp"

namespace kvcache::cli {

/// On standard error, at once. Nothing depends on it, so it may get lost.
inline void draw(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

/// A bar on standard error for what takes longer than a second, if that is a terminal; else nothing.
class Progress {
 public:
  Progress(std::string what, std::int64_t total) : what_(std::move(what)), total_(std::max<std::int64_t>(1, total)) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (shown_) draw("\r\033[K");
  }
  void advance(std::int64_t by = 1) {
    done_ += by;
    const auto now = Clock::now();
    if (!terminal_ || now - start_ < std::chrono::seconds(1) || now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now, shown_ = true;
    const double part = std::min(1.0, double(done_) / double(total_));
    const int width = 30, filled = int(part * width);
    draw(fmt::format("\r{} [{:#>{}}{:.>{}}] {:3.0f} %\033[K", what_, "", filled, "", width - filled, 100 * part));
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  std::int64_t total_, done_ = 0;
  Clock::time_point start_ = Clock::now(), last_ = start_;
  bool terminal_ = ::isatty(STDERR_FILENO) != 0, shown_ = false;
};

/// A line on standard error while something of unknown length goes on, if that is a terminal.
class Notice {
 public:
  explicit Notice(const std::string& what) {
    if (terminal_) draw(printable(what) + " ...");
  }
  Notice(const Notice&) = delete;
  Notice& operator=(const Notice&) = delete;
  ~Notice() {
    if (terminal_) draw("\r\033[K");
  }

 private:
  bool terminal_ = ::isatty(STDERR_FILENO) != 0;
};

struct Curve {
  char mark;
  std::string name;
  std::vector<double> values;  // one per position
};

/// Curves over one axis, from 0 to the largest value that is no outlier; where curves meet, the later one is drawn.
inline std::string plot(const std::vector<Curve>& curves, const std::string& unit, int width = 72, int height = 12) {
  std::size_t length = 0;
  double top = 0;
  for (const Curve& curve : curves) {
    length = std::max(length, curve.values.size());
    std::vector<double> sorted = curve.values;
    std::sort(sorted.begin(), sorted.end());
    if (!sorted.empty()) top = std::max(top, sorted[sorted.size() * 98 / 100]);
  }
  if (length == 0 || top <= 0) return "";
  width = int(std::min<std::size_t>(std::size_t(width), length));
  std::vector<std::string> lines(std::size_t(height), std::string(std::size_t(width), ' '));
  for (const Curve& curve : curves)
    for (int x = 0; x < width; ++x) {
      const std::size_t first = std::size_t(x) * length / std::size_t(width),
                        end = std::min(curve.values.size(),
                                       std::max(first + 1, std::size_t(x + 1) * length / std::size_t(width)));
      if (first >= end) continue;
      std::vector<double> column(curve.values.begin() + std::ptrdiff_t(first),
                                 curve.values.begin() + std::ptrdiff_t(end));
      std::nth_element(column.begin(), column.begin() + std::ptrdiff_t(column.size() / 2), column.end());
      const int y = std::clamp(int(column[column.size() / 2] / top * height), 0, height - 1);
      lines[std::size_t(height - 1 - y)][std::size_t(x)] = curve.mark;
    }
  std::string text;
  for (int y = 0; y < height; ++y) {
    const bool labelled = y % 4 == 0 || y == height - 1;
    const std::string label = labelled ? fmt::format("{:.3g}", top * (height - y) / height) : "";
    std::string& line = lines[std::size_t(y)];
    line.erase(line.find_last_not_of(' ') + 1);
    text += fmt::format("{:>9} |{}\n", y == height - 1 ? "0" : label, line);
  }
  text += fmt::format("{:>9} +{:->{}}\n{:>9}  1{:>{}}\n", unit, "", width, "", length, width - 1);
  for (const Curve& curve : curves) text += fmt::format("{:>11} {}  {}\n", "", curve.mark, curve.name);
  return text;
}

}  // namespace kvcache::cli
