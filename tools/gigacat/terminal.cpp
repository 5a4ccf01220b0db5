#include "terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "gigacat/core/error.h"
#include "gigacat/core/text.h"
#include "gigacat/io/enlarge.h"
#include "gigacat/io/terminal_image.h"

namespace gigacat::cli {
namespace {

enum class Support { none, cube, all, sixel };

constexpr int64_t kWidest = 32;                      // columns of an image drawn in blocks
constexpr int64_t kSixelSide = 128;                  // px that small images are enlarged to, about
constexpr int64_t kCellWidth = 8, kCellHeight = 16;  // px, where the terminal does not say
constexpr int64_t kMostRows = 2, kOtherLines = 6;    // rows of images; lines left to what stands around them

std::string_view variable(const char* name) {
  const char* const value = std::getenv(name);
  return value ? value : "";
}

bool is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::string value(variable(name));
    if (value.empty()) continue;
    std::transform(value.begin(), value.end(), value.begin(), [](unsigned char c) { return std::tolower(c); });
    return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

// Terminals known for sixels. They are not asked (DA1): an answer that comes late, as over a slow line, would end up in
// the shell's input.
bool knows_sixel() {
  const std::string_view terminal = variable("TERM"), program = variable("TERM_PROGRAM");
  if (!variable("TMUX").empty() || terminal.starts_with("screen") || terminal.starts_with("tmux")) return false;
  return terminal.starts_with("foot") || terminal.starts_with("mlterm") || terminal.starts_with("contour") ||
         terminal.find("sixel") != std::string_view::npos || program == "WezTerm" || program == "iTerm.app";
}

Support block_support() {
  const std::string_view depth = variable("COLORTERM");
  return depth == "truecolor" || depth == "24bit" ? Support::all : Support::cube;
}

Support support() {
  if (isatty(STDOUT_FILENO) != 1) return Support::none;
  const std::string_view wanted = variable("GIGACAT_IMAGES"), terminal = variable("TERM");
  if (wanted == "none") return Support::none;
  if (wanted == "sixel") return Support::sixel;
  if (wanted == "blocks") return block_support();
  if (!wanted.empty()) fail<UsageError>("GIGACAT_IMAGES is ", wanted, ": give none, blocks or sixel");
  if (terminal.empty() || terminal == "dumb" || !variable("NO_COLOR").empty()) return Support::none;
  if (knows_sixel()) return Support::sixel;
  const bool many_colours = block_support() == Support::all || terminal.find("256color") != std::string_view::npos;
  return many_colours && is_utf8() ? block_support() : Support::none;
}

struct Screen {
  int64_t columns = 80, rows = 24, cell_width = kCellWidth, cell_height = kCellHeight;
};

Screen screen() {
  winsize size{};
  Screen found;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return found;
  if (size.ws_col > 0) found.columns = size.ws_col;
  if (size.ws_row > 0) found.rows = size.ws_row;
  if (size.ws_col > 0 && size.ws_xpixel >= size.ws_col) found.cell_width = size.ws_xpixel / size.ws_col;
  if (size.ws_row > 0 && size.ws_ypixel >= size.ws_row) found.cell_height = size.ws_ypixel / size.ws_row;
  return found;
}

// Rows of images of `lines` lines each that stand on the screen: one at least, two at most.
int64_t rows_on(const Screen& screen, int64_t lines) {
  return std::clamp<int64_t>((screen.rows - kOtherLines) / std::max<int64_t>(1, lines), 1, kMostRows);
}

std::string as_blocks(std::vector<io::Image> images, const Screen& screen, io::TerminalColours colours, size_t& shown) {
  const io::Image first = images.front();
  const int64_t width = std::min({first.width, kWidest, screen.columns});
  const int64_t height = std::max<int64_t>(1, first.height * width / first.width);
  const int64_t across = std::max<int64_t>(1, (screen.columns + 1) / (width + 1));
  const int64_t most = across * rows_on(screen, (height + 1) / 2 + 1);
  images.resize(std::min<size_t>(images.size(), static_cast<size_t>(most)));
  shown = images.size();
  std::string text;
  for (size_t begin = 0; begin < images.size(); begin += static_cast<size_t>(across)) {
    std::vector<io::Image> row;
    for (size_t i = begin; i < std::min(images.size(), begin + static_cast<size_t>(across)); ++i)
      row.push_back(width == first.width ? images[i] : io::resize_box(images[i], height, width));
    text += io::half_blocks(row, colours) + "\n";
  }
  return text;
}

std::string as_sixels(std::vector<io::Image> images, const Screen& screen, size_t& shown) {
  constexpr int64_t gap = 4;
  const int64_t room = screen.columns * screen.cell_width;
  for (io::Image& image : images) {
    if (image.width > room)
      image = io::resize_box(image, std::max<int64_t>(1, image.height * room / image.width), room);
    image = io::enlarge(image, std::max<int64_t>(1, std::min(kSixelSide, room) / image.width));
  }
  const io::Image first = images.front();
  const int64_t across = std::max<int64_t>(1, (room + gap) / (first.width + gap));
  const int64_t most = across * rows_on(screen, (first.height + gap) / screen.cell_height + 1);
  images.resize(std::min<size_t>(images.size(), static_cast<size_t>(most)));
  shown = images.size();
  return io::sixels(io::make_grid(images, across, gap)) + "\n";
}

}  // namespace

bool shows_images() { return support() != Support::none; }

void show_images(const std::vector<io::Image>& images, int64_t of) {
  const Support way = support();
  if (way == Support::none || images.empty()) return;
  size_t shown = 0;
  const auto colours = way == Support::all ? io::TerminalColours::all : io::TerminalColours::cube;
  const std::string text =
      way == Support::sixel ? as_sixels(images, screen(), shown) : as_blocks(images, screen(), colours, shown);
  std::printf("\n%s%zu of %lld samples\n", text.c_str(), shown, static_cast<long long>(of));
  std::fflush(stdout);
}

}  // namespace gigacat::cli
