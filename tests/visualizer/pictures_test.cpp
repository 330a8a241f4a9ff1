// Every panel against its stored picture. The run that is drawn was recorded once, so its numbers are the same on every
// machine, times included. After a change that is meant to be seen, store the pictures anew and look at each:
//   KVCACHE_STORE_PICTURES=1 build/dev/bin/kvcache_visualizer_tests -tc='*stored picture*'
#define STB_IMAGE_IMPLEMENTATION
#include <stb_image.h>

#include <cstdlib>
#include <filesystem>

#include "export/export.hpp"
#include "panels/panels.hpp"
#include "user.hpp"

using namespace kvcache;
using namespace kvcache::visualizer;

namespace {

const std::filesystem::path folder = KVCACHE_PICTURES;

Image read_png(const std::string& path) {
  int width = 0, height = 0, channels = 0;
  unsigned char* bytes = stbi_load(path.c_str(), &width, &height, &channels, 4);
  if (!bytes) return {};
  Image image{width, height, {}};
  for (int i = 0; i < width * height; ++i)
    image.pixels.push_back(IM_COL32(bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]));
  stbi_image_free(bytes);
  return image;
}

/// The part of the pixels that differ by more than 3 % in a colour; 1 if the sizes differ.
double difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height) return 1;
  std::size_t other = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) {
    bool differs = false;
    for (int shift = 0; shift < 24; shift += 8)
      differs = differs || std::abs(int((a.pixels[i] >> shift) & 255) - int((b.pixels[i] >> shift) & 255)) > 8;
    other += differs;
  }
  return double(other) / double(a.pixels.size());
}

void compare_with_stored(const Image& picture, const std::string& name) {
  const std::string path = (folder / (name + ".png")).string();
  if (std::getenv("KVCACHE_STORE_PICTURES")) return write_png(path, picture);
  const double off = difference(picture, read_png(path));
  CAPTURE(name);
  CHECK(off <= 0.005);
  if (off > 0.005) {
    const std::string drawn = (std::filesystem::temp_directory_path() / (name + ".png")).string();
    write_png(drawn, picture);
    MESSAGE("what was drawn is in " << drawn << ", what was expected in " << path);
  }
}

bool fonts_are_there() {
  const bool there = std::filesystem::exists("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf");
  if (!there) MESSAGE("skipped: the DejaVu fonts that the pictures were drawn with are missing");
  return there;
}

}  // namespace

TEST_CASE("every panel looks as its stored picture") {
  if (!fonts_are_there()) return;
  Session session;
  View view;
  Headless window(session, view, 960, 540);
  session.open((folder / "recorded.safetensors").string());
  window.settle();
  view.step = 9;
  const auto picture_of = [&](int panel) {
    view.presented = panel;
    window.settle();
    return window.picture();
  };
  for (int i = 0; i < int(panels.size()); ++i) compare_with_stored(picture_of(i), panels[std::size_t(i)].name);
  view.stage = 2;
  compare_with_stored(picture_of(0), "narration-stages");
  view.map_colour = MapColour::attention;
  compare_with_stored(picture_of(3), "cache-map-attention");
  view.timing = TimingCurve::parts;
  compare_with_stored(picture_of(6), "timing-parts");
}

TEST_CASE("the whole window looks as its stored picture, dark and light") {
  if (!fonts_are_there()) return;
  Session session;
  View view;
  Headless window(session, view, 1280, 720);
  session.open((folder / "recorded.safetensors").string());
  window.settle();
  window.settle();
  compare_with_stored(window.picture(), "window-dark");
  view.dark = false;
  window.settle();
  compare_with_stored(window.picture(), "window-light");
}

TEST_CASE("a picture that differs is noticed") {
  Image a{100, 100, std::vector<std::uint32_t>(10000, IM_COL32(10, 20, 30, 255))}, b = a;
  CHECK(difference(a, b) == 0);
  for (int i = 0; i < 60; ++i) b.pixels[std::size_t(i)] = IM_COL32(10, 40, 30, 255);
  CHECK(difference(a, b) == doctest::Approx(0.006));
  for (int i = 0; i < 10000; ++i) b.pixels[std::size_t(i)] = IM_COL32(15, 25, 35, 255);  // 2 %: another rounding
  CHECK(difference(a, b) == 0);
  CHECK(difference(a, Image{10, 10, {}}) == 1);
}
