// Lines of text beside pictures, drawn by OpenCV's vector font.
#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "gigacat/core/error.h"
#include "gigacat/io/image.h"
#include "image_internal.h"

namespace gigacat::io {
namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
constexpr double kScale = 0.36;
constexpr int64_t kLine = 13, kMargin = 4;  // pixels from line to line; beside a line
constexpr size_t kWidest = 28;              // characters of a line

// The font has ASCII alone: another character shows as one "?".
std::string drawable(const std::string& caption) {
  std::string out;
  for (const char c : caption) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 32 && byte < 127)
      out += c;
    else if (byte < 128 || byte >= 0xC0)  // not the second byte of a character and on
      out += byte < 128 ? ' ' : '?';
  }
  return out;
}

// The caption in lines of at most kWidest characters, broken at spaces where there are some; at most `most` of them.
std::vector<std::string> lines_of(const std::string& caption, size_t most) {
  std::vector<std::string> lines;
  std::string rest = drawable(caption);
  while (!rest.empty()) {
    size_t end = rest.size();
    if (end > kWidest) {
      end = rest.rfind(' ', kWidest);
      if (end == std::string::npos || end == 0) end = kWidest;
    }
    if (lines.size() + 1 == most && end < rest.size()) {
      lines.push_back(rest.substr(0, std::min(end, kWidest - 3)) + "...");
      return lines;
    }
    lines.push_back(rest.substr(0, end));
    rest.erase(0, std::min(rest.find_first_not_of(' ', end), rest.size()));
  }
  return lines;
}

int64_t width_of(const std::string& line) {
  int below = 0;
  return cv::getTextSize(line, kFont, kScale, 1, &below).width;
}

}  // namespace

Image caption_rows(const Image& grid, const std::vector<std::string>& captions, int64_t gap) {
  const auto rows = static_cast<int64_t>(captions.size());
  GIGACAT_CHECK(rows > 0 && (grid.height + gap) % rows == 0, rows, " captions for ", grid.height, " pixels");
  GIGACAT_CHECK(grid.channels == 1 || grid.channels == 3, grid.channels, " channels");
  set_up_opencv();
  const int64_t step = (grid.height + gap) / rows, height = step - gap;
  std::vector<std::vector<std::string>> texts;
  int64_t width = 0;
  for (const std::string& caption : captions) {
    texts.push_back(lines_of(caption, static_cast<size_t>(std::max<int64_t>(1, height / kLine))));
    for (const std::string& line : texts.back()) width = std::max(width, width_of(line));
  }
  const int64_t left = width + 2 * kMargin, bytes = grid.width * grid.channels;
  Image out = Image::filled(grid.height, left + grid.width, grid.channels);
  for (int64_t y = 0; y < grid.height; ++y) std::copy_n(grid.row(y), bytes, out.row(y) + left * grid.channels);
  cv::Mat canvas(static_cast<int>(out.height), static_cast<int>(out.width), CV_8UC(static_cast<int>(out.channels)),
                 out.pixels.data());
  for (int64_t row = 0; row < rows; ++row) {
    const auto& lines = texts[static_cast<size_t>(row)];
    const int64_t block = static_cast<int64_t>(lines.size()) * kLine;
    for (size_t i = 0; i < lines.size(); ++i) {
      const int64_t base = row * step + (height - block) / 2 + static_cast<int64_t>(i + 1) * kLine - kLine / 4;
      cv::putText(canvas, lines[i], cv::Point(static_cast<int>(kMargin), static_cast<int>(base)), kFont, kScale,
                  cv::Scalar::all(0), 1, cv::LINE_AA);
    }
  }
  return out;
}

}  // namespace gigacat::io
