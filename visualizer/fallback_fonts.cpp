#include "fallback_fonts.hpp"

#include <cstdlib>
#include <map>
#include <string>
#include <system_error>
#include <utility>

#include "kvcache/io/mapped_file.hpp"

namespace kvcache::visualizer {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_fonts = 14;

/// File names, for each script the preferred one first. Packages and systems that have them: Noto, Droid, WenQuanYi,
/// Nanum, IPA, TLWG, Lohit, Symbola, GNU FreeFont and Unifont, macOS.
const std::vector<std::vector<const char*>>& wanted() {
  static const std::vector<std::vector<const char*>> scripts{
      // Chinese, Japanese, Korean
      {"NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "NotoSansCJKjp-Regular.otf", "NotoSansSC-Regular.otf",
       "NotoSansSC-Regular.ttf", "SourceHanSansSC-Regular.otf", "DroidSansFallbackFull.ttf", "DroidSansFallback.ttf",
       "wqy-microhei.ttc", "wqy-zenhei.ttc", "uming.ttc", "PingFang.ttc", "Arial Unicode.ttf"},
      {"NotoSansJP-Regular.otf", "NotoSansJP-Regular.ttf", "ipag.ttf", "ipagp.ttf", "TakaoPGothic.ttf"},
      {"NotoSansKR-Regular.otf", "NotoSansKR-Regular.ttf", "NanumGothic.ttf", "UnDotum.ttf", "AppleSDGothicNeo.ttc"},
      // South and South-East Asia
      {"NotoSansThai-Regular.ttf", "Loma.ttf", "Garuda.ttf", "Thonburi.ttc"},
      {"NotoSansDevanagari-Regular.ttf", "Lohit-Devanagari.ttf", "lohit_hi.ttf", "DevanagariMT.ttc"},
      {"NotoSansBengali-Regular.ttf", "Lohit-Bengali.ttf"},
      {"NotoSansTamil-Regular.ttf", "Lohit-Tamil.ttf"},
      {"NotoSansTelugu-Regular.ttf", "Lohit-Telugu.ttf"},
      {"NotoSansEthiopic-Regular.ttf"},
      // Symbols, then whatever is left
      {"NotoSansSymbols2-Regular.ttf", "Symbola_hint.ttf", "Symbola.ttf", "NotoEmoji-Regular.ttf"},
      {"NotoSansSymbols-Regular.ttf", "Apple Symbols.ttf"},
      {"NotoSansMath-Regular.ttf"},
      {"FreeSans.ttf"},
      {"unifont.ttf", "unifont.otf"}};
  return scripts;
}

std::vector<fs::path> usual_folders() {
  std::vector<fs::path> folders;
  const auto add = [&](const char* variable, const char* below) {
    if (const char* value = std::getenv(variable); value && *value) folders.push_back(fs::path(value) / below);
  };
  add("XDG_DATA_HOME", "fonts"), add("HOME", ".local/share/fonts"), add("HOME", ".fonts"), add("HOME", "Library/Fonts");
  for (const char* folder : {"/usr/local/share/fonts", "/usr/share/fonts", "/usr/share/fonts-droid-fallback",
                             "/Library/Fonts", "/System/Library/Fonts"})
    folders.emplace_back(folder);
  return folders;
}

/// Files by name; of several with one name, the first found.
std::map<std::string, fs::path> files_in(std::span<const fs::path> folders) {
  std::map<std::string, fs::path> files;
  for (const fs::path& folder : folders) {
    std::error_code error;  // what cannot be read is passed over
    fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error);
    for (int seen = 0; !error && entry != fs::recursive_directory_iterator() && seen < 20'000; ++seen) {
      files.try_emplace(entry->path().filename().string(), entry->path());
      entry.increment(error);
    }
  }
  return files;
}

/// A font stays mapped as long as the program runs: atlases read it glyph by glyph.
void merge(ImFontAtlas& atlas, const fs::path& path) {
  static std::map<fs::path, MappedFile> mapped;
  auto found = mapped.find(path);
  if (found == mapped.end()) found = mapped.emplace(path, MappedFile(path)).first;
  const std::span<const std::byte> bytes = found->second.bytes();
  ImFontConfig config;
  config.MergeMode = true;
  config.FontDataOwnedByAtlas = false;
  atlas.AddFontFromMemoryTTF(const_cast<std::byte*>(bytes.data()), int(bytes.size()), 0, &config);
}

}  // namespace

std::vector<fs::path> find_fallback_fonts(std::span<const fs::path> folders) {
  const std::map<std::string, fs::path> files = files_in(folders);
  std::vector<fs::path> fonts;
  for (const std::vector<const char*>& names : wanted())
    for (const char* name : names)
      if (const auto file = files.find(name); file != files.end() && fonts.size() < most_fonts) {
        fonts.push_back(file->second);
        break;
      }
  return fonts;
}

void merge_fallback_fonts(ImFontAtlas& atlas) {
  static const std::vector<fs::path> fonts = find_fallback_fonts(usual_folders());
  // A file that is no font is refused by ImGui with an assertion, unless it is told to go on.
  ImGuiIO& io = ImGui::GetIO();
  const bool asserts = std::exchange(io.ConfigErrorRecoveryEnableAssert, false);
  for (const fs::path& font : fonts) try {
      merge(atlas, font);
    } catch (const std::exception&) {  // it cannot be read: another may have the characters
    }
  io.ConfigErrorRecoveryEnableAssert = asserts;
}

}  // namespace kvcache::visualizer
