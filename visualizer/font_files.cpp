#include "font_files.hpp"

#include <cstdint>
#include <cstdlib>
#include <exception>
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

/// A number of so many bytes, the highest first; beyond the end: the largest there is.
std::uint64_t number_at(std::span<const std::byte> file, std::uint64_t at, std::size_t bytes) {
  if (at > file.size() || file.size() - at < bytes) return UINT32_MAX;
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < bytes; ++i) number = number << 8 | std::to_integer<std::uint64_t>(file[at + i]);
  return number;
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

bool is_whole_font(std::span<const std::byte> file) {
  const bool is_collection = number_at(file, 0, 4) == 0x74746366;  // "ttcf": the first font of several
  const std::uint64_t font = is_collection ? number_at(file, 12, 4) : 0, tables = number_at(file, font + 4, 2);
  int needed = 0;
  for (std::uint64_t i = 0; i < tables; ++i) {
    const std::uint64_t entry = font + 12 + 16 * i, name = number_at(file, entry, 4);
    if (number_at(file, entry + 8, 4) + number_at(file, entry + 12, 4) > file.size()) return false;
    constexpr std::uint64_t cmap = 0x636D6170, head = 0x68656164, hhea = 0x68686561, hmtx = 0x686D7478,
                            maxp = 0x6D617870;  // their names, as numbers
    for (const std::uint64_t wanted : {cmap, head, hhea, hmtx, maxp}) needed += name == wanted;
  }
  return needed == 5;
}

/// A font stays mapped as long as the program runs: atlases read it glyph by glyph.
ImFont* add_font(ImFontAtlas& atlas, const fs::path& path, bool merged) {
  static std::map<fs::path, MappedFile> mapped;
  auto found = mapped.find(path);
  try {
    if (found == mapped.end()) found = mapped.emplace(path, MappedFile(path)).first;
  } catch (const std::exception&) {
    return nullptr;
  }
  const std::span<const std::byte> bytes = found->second.bytes();
  if (!is_whole_font(bytes)) return nullptr;
  ImFontConfig config;
  config.MergeMode = merged;
  config.FontDataOwnedByAtlas = false;
  // What ImGui cannot read it refuses with an assertion, unless it is told to go on.
  ImGuiIO& io = ImGui::GetIO();
  const bool asserts = std::exchange(io.ConfigErrorRecoveryEnableAssert, false);
  ImFont* font = atlas.AddFontFromMemoryTTF(const_cast<std::byte*>(bytes.data()), int(bytes.size()), 0, &config);
  io.ConfigErrorRecoveryEnableAssert = asserts;
  return font;
}

void merge_fallback_fonts(ImFontAtlas& atlas) {
  static const std::vector<fs::path> fonts = find_fallback_fonts(usual_folders());
  for (const fs::path& font : fonts) add_font(atlas, font, /*merged*/ true);
}

}  // namespace kvcache::visualizer
