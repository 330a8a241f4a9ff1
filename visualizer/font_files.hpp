// Font files of this machine: read without trusting them, and, for the characters that DejaVu lacks, found by their
// well-known names, without fontconfig.
#pragma once

#include <imgui.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

namespace kvcache::visualizer {

/// Are all tables that a TrueType or OpenType file names within it? ImGui reads them without asking.
bool is_whole_font(std::span<const std::byte> file);

/// Adds a font, or merges it into the font that was added last. Null: it is not there, or not whole.
ImFont* add_font(ImFontAtlas& atlas, const std::filesystem::path& path, bool merged = false);

/// The fonts that are there in these folders and those within them, one for each script, in the order in which they are
/// asked for a character. At most 14: so many fonts ImGui can merge into one.
std::vector<std::filesystem::path> find_fallback_fonts(std::span<const std::filesystem::path> folders);

/// Merges those of this machine into the font that was added last. Searched for once.
void merge_fallback_fonts(ImFontAtlas& atlas);

}  // namespace kvcache::visualizer
