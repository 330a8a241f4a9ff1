#include <gif_lib.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "export.hpp"
#include "kvcache/core/check.hpp"
#include "kvcache/io/atomic_file.hpp"

namespace kvcache::visualizer {
namespace {

constexpr std::size_t most_colours = 256;

/// The colours that occur most, the most frequent first. A drawn window has few: most pixels are met exactly.
std::vector<std::uint32_t> palette_of(const std::vector<Image>& frames) {
  std::map<std::uint32_t, std::size_t> count;
  for (const Image& frame : frames)
    for (const std::uint32_t pixel : frame.pixels) ++count[pixel & 0xFFFFFF];
  std::vector<std::pair<std::size_t, std::uint32_t>> ordered;
  for (const auto& [colour, times] : count) ordered.emplace_back(times, colour);
  std::sort(ordered.rbegin(), ordered.rend());
  // Colours close to one that is there already are left out in the first round, so that rare ones find a place too.
  std::vector<std::uint32_t> palette;
  const auto far_enough = [&](std::uint32_t colour, int apart) {
    return std::none_of(palette.begin(), palette.end(), [&](std::uint32_t other) {
      int sum = 0;
      for (int c = 0; c < 24; c += 8) sum += std::abs(int((colour >> c) & 255) - int((other >> c) & 255));
      return sum < apart;
    });
  };
  for (const int apart : {24, 1})
    for (const auto& [times, colour] : ordered)
      if (palette.size() < most_colours && far_enough(colour, apart)) palette.push_back(colour);
  return palette;
}

class Nearest {
 public:
  explicit Nearest(const std::vector<std::uint32_t>& palette) : palette_(palette) {}
  GifByteType operator()(std::uint32_t colour) {
    const auto [known, is_new] = known_.try_emplace(colour & 0xFFFFFF, GifByteType(0));
    if (is_new) {
      int best = 1 << 30;
      for (std::size_t i = 0; i < palette_.size(); ++i) {
        int distance = 0;
        for (int c = 0; c < 24; c += 8) {
          const int d = int((colour >> c) & 255) - int((palette_[i] >> c) & 255);
          distance += d * d;
        }
        if (distance < best) best = distance, known->second = GifByteType(i);
      }
    }
    return known->second;
  }

 private:
  const std::vector<std::uint32_t>& palette_;
  std::map<std::uint32_t, GifByteType> known_;
};

}  // namespace

void write_gif(const std::string& path, const std::vector<Image>& frames, float seconds_per_frame) {
  check(!frames.empty(), path, ": no frames to write");
  std::vector<std::uint32_t> palette = palette_of(frames);
  const int width = frames[0].width, height = frames[0].height;
  int bits = 1;
  while ((std::size_t(1) << bits) < palette.size()) ++bits;
  palette.resize(std::size_t(1) << bits);
  std::vector<GifColorType> colours;
  for (const std::uint32_t c : palette)
    colours.push_back({GifByteType(c & 255), GifByteType((c >> 8) & 255), GifByteType((c >> 16) & 255)});

  int error = 0;
  const auto explain = [&](int code) {
    fail(path, ": the GIF cannot be written: ", GifErrorString(code) ? GifErrorString(code) : "unknown error");
  };
  std::string file;
  const auto add = [](GifFileType* to, const GifByteType* bytes, int count) {
    static_cast<std::string*>(to->UserData)->append(reinterpret_cast<const char*>(bytes), std::size_t(count));
    return count;
  };
  GifFileType* gif = EGifOpen(&file, add, &error);
  if (!gif) explain(error);
  const auto must = [&](int result) {
    if (result == GIF_ERROR) {
      const int code = gif->Error;
      EGifCloseFile(gif, nullptr);
      explain(code);
    }
  };
  const std::unique_ptr<ColorMapObject, void (*)(ColorMapObject*)> map(
      GifMakeMapObject(int(colours.size()), colours.data()), GifFreeMapObject);
  EGifSetGifVersion(gif, /*89*/ true);
  must(EGifPutScreenDesc(gif, width, height, 8, 0, map.get()));
  const GifByteType loop[] = {1, 0, 0};  // for ever: the Netscape extension
  must(EGifPutExtensionLeader(gif, APPLICATION_EXT_FUNC_CODE));
  must(EGifPutExtensionBlock(gif, 11, "NETSCAPE2.0"));
  must(EGifPutExtensionBlock(gif, 3, loop));
  must(EGifPutExtensionTrailer(gif));

  Nearest nearest(palette);
  std::vector<GifByteType> line(std::size_t(width), GifByteType(0));
  for (const Image& frame : frames) {
    check(frame.width == width && frame.height == height, path, ": frames of different sizes");
    const int hundredths = std::max(2, int(std::lround(seconds_per_frame * 100)));
    const GifByteType control[] = {4, GifByteType(hundredths & 255), GifByteType(hundredths >> 8), 0};
    must(EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, 4, control));
    must(EGifPutImageDesc(gif, 0, 0, width, height, false, nullptr));
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) line[std::size_t(x)] = nearest(frame.at(x, y));
      must(EGifPutLine(gif, line.data(), width));
    }
  }
  if (EGifCloseFile(gif, &error) == GIF_ERROR) explain(error);
  write_atomically(path, std::string_view(file));
}

}  // namespace kvcache::visualizer
