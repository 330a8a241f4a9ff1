// Files: pictures, animations, tables, and a run that is opened again.
#include "export/export.hpp"

#include <gif_lib.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "export/tables.hpp"
#include "kvcache/core/check.hpp"
#include "user.hpp"

using namespace kvcache;
using namespace kvcache::visualizer;

namespace {

class Folder {
 public:
  Folder() { std::filesystem::create_directories(path_); }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_ = std::filesystem::temp_directory_path() / "kvcache-export-test";
};

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void export_to(const std::string& path, ExportChoice choice = {}, const Choice& run = short_run()) {
  Session session;
  View view;
  session.start(run);
  choice.path = path;
  export_file(session, view, choice);
}

std::string complaint(const auto& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("a PNG has the size that was asked for") {
  const Folder folder;
  export_to(folder.file("a.png"), {.width = 640, .height = 400, .panel = "work"});
  const std::string png = content(folder.file("a.png"));
  REQUIRE(png.size() > 1000);
  CHECK(png.substr(1, 3) == "PNG");
  const auto number = [&](std::size_t at) {
    return int(static_cast<unsigned char>(png[at + 2])) * 256 + static_cast<unsigned char>(png[at + 3]);
  };
  CHECK(number(16) == 640);
  CHECK(number(20) == 400);
}

TEST_CASE("a GIF has a frame for each step, and its colours are close to those drawn") {
  const Folder folder;
  export_to(folder.file("a.gif"), {.width = 480, .height = 300, .first_token = 5, .last_token = 9});
  int error = 0;
  GifFileType* gif = DGifOpenFileName(folder.file("a.gif").c_str(), &error);
  REQUIRE(gif != nullptr);
  REQUIRE(DGifSlurp(gif) == GIF_OK);
  CHECK(gif->ImageCount == 5);
  CHECK(gif->SWidth == 480);
  CHECK(gif->SHeight == 300);
  DGifCloseFile(gif, &error);

  Image ramp{16, 16, {}};  // more colours than a GIF has
  for (int i = 0; i < 256; ++i) ramp.pixels.push_back(IM_COL32(i, 255 - i, i / 2, 255));
  Image other = ramp;
  for (std::uint32_t& pixel : other.pixels) pixel ^= 0x00FF00;
  write_gif(folder.file("b.gif"), {ramp, other}, 0.1f);
  gif = DGifOpenFileName(folder.file("b.gif").c_str(), &error);
  REQUIRE(gif != nullptr);
  REQUIRE(DGifSlurp(gif) == GIF_OK);
  for (int i = 0; i < 256; ++i) {
    const GifColorType& colour = gif->SColorMap->Colors[gif->SavedImages[0].RasterBits[i]];
    CHECK(std::abs(int(colour.Red) - i) <= 12);
    CHECK(std::abs(int(colour.Green) - (255 - i)) <= 12);
  }
  DGifCloseFile(gif, &error);
}

TEST_CASE("times that were not measured are left out of the tables") {
  Choice untimed = short_run();
  untimed.repeats = 0;
  User user(untimed);
  const auto json = nlohmann::json::parse(to_json(user.session.timeline(), user.session.comparison()));
  CHECK(json["steps"][3]["with_cache_ms"].is_null());
  CHECK(to_csv(user.session.timeline(), user.session.comparison()).find(",,") != std::string::npos);
}

TEST_CASE("the tables hold the library's own figures") {
  User user;
  const auto json = nlohmann::json::parse(to_json(user.session.timeline(), user.session.comparison()));
  CHECK(json["model"] == "tiny");
  REQUIRE(json["steps"].size() == 12);
  const StepRecord& step = user.session.timeline().step(3);
  CHECK(json["steps"][3]["used_bytes"] == step.memory.used_bytes);
  CHECK(json["steps"][3]["used_bytes"] == json["steps"][3]["formula_bytes"]);
  CHECK(json["steps"][3]["keys_computed"] == step.work.keys_computed);
  CHECK(json["steps"][3]["with_cache_ms"].get<double>() > 0);
  std::istringstream csv(to_csv(user.session.timeline(), user.session.comparison()));
  std::string line;
  std::getline(csv, line);
  CHECK(line.starts_with("step,tokens_read,chosen_id,"));
  const auto commas = std::count(line.begin(), line.end(), ',');
  int lines = 0;
  while (std::getline(csv, line)) {
    ++lines;
    CHECK(std::count(line.begin(), line.end(), ',') == commas);
  }
  CHECK(lines == 12);
}

TEST_CASE("a run that was saved looks the same when it is opened again") {
  const Folder folder;
  User user;
  write_run(user.session, folder.file("run.safetensors"));
  const Image before = user.look();
  user.view.open = folder.file("run.safetensors");
  user.window.settle();
  CHECK(user.session.error() == "");
  CHECK(user.look().pixels == before.pixels);
  user.press(ImGuiKey_End);
  CHECK(user.view.step == 11);
}

TEST_CASE("every kind of file is written whole or not at all, through links, and nothing is left beside it") {
  const Folder folder;
  User user;
  const Image picture = user.look();
  for (const char* kind : {".png", ".gif", ".csv", ".json", ".safetensors"}) {
    const auto write = [&](const std::string& path) {
      if (std::string_view(kind) == ".png")
        write_png(path, picture);
      else if (std::string_view(kind) == ".gif")
        write_gif(path, {picture, picture}, 0.1f);
      else
        write_run(user.session, path);
    };
    const std::string real = folder.file("real"), link = folder.file("link") + kind, full = folder.file("full") + kind;
    std::ofstream(real) << "old";
    std::filesystem::create_symlink("real", link);
    std::filesystem::create_symlink("/dev/full", full);
    write(link);
    CHECK(std::filesystem::is_symlink(link));
    CHECK(content(real).size() > 100);
    CHECK(complaint([&] { write(full); }).find("could not be written whole: No space left on device") !=
          std::string::npos);
    CHECK(complaint([&] { write(folder.file("no/x") + kind); }).find("there is no folder") != std::string::npos);
    CHECK(std::filesystem::is_character_file(full));
    std::filesystem::remove(link), std::filesystem::remove(full);
    CHECK(std::distance(std::filesystem::directory_iterator(folder.file("")), {}) == 1);
  }
}

TEST_CASE("what cannot be exported is refused with a sentence, before anybody waits for the run") {
  const Folder folder;
  CHECK(complaint([&] { check_export({.path = folder.file("a.bmp")}); }).find("files of kind \".bmp\"") !=
        std::string::npos);
  CHECK(complaint([&] { check_export({.path = folder.file("a.png"), .panel = "clock"}); }).find("\"clock\" is") !=
        std::string::npos);
  CHECK(complaint([&] { check_export({.path = folder.file("no/a.png")}); }).find("there is no folder") !=
        std::string::npos);
  CHECK(std::filesystem::is_empty(folder.file("")));
  CHECK(complaint([&] { export_to(folder.file("a.bmp")); }).find("files of kind \".bmp\" cannot be written") !=
        std::string::npos);
  CHECK(complaint([&] { export_to(folder.file("no/such/folder.png")); }).find("cannot be written") !=
        std::string::npos);
  CHECK(complaint([&] { export_to(folder.file("a.png"), {.panel = "clock"}); }).find("\"clock\" is unknown") !=
        std::string::npos);
  CHECK(complaint([&] { export_to(folder.file("a.png"), {.first_token = 99}); }).find("--step 99") !=
        std::string::npos);
  Choice wrong = short_run();
  wrong.model = "nothing";
  CHECK(complaint([&] { export_to(folder.file("a.png"), {}, wrong); }).find("nothing") != std::string::npos);
}
