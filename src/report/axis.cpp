#include "report/axis.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "gigacat/core/error.h"
#include "gigacat/report/chart.h"

namespace gigacat::report {
namespace {

constexpr double kPadding = 0.04;  // of the range, at each end

}  // namespace

std::vector<double> ticks(double low, double high, int most) {
  GIGACAT_CHECK(std::isfinite(low) && std::isfinite(high) && low <= high && most >= 2, low, "..", high);
  const double range = high - low;
  if (range <= std::abs(high) * 1e-12) return {low};
  double step = std::pow(10, std::floor(std::log10(range / most)));
  for (const double factor : {2.0, 2.5, 2.0})  // 1, 2, 5, 10 times the power of ten
    if (std::floor(high / step + 1e-9) - std::ceil(low / step - 1e-9) + 1 > most) step *= factor;
  std::vector<double> values;
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  for (double i = first; i <= last; ++i) values.push_back(i * step);
  return values;
}

std::vector<double> logarithmic_ticks(double low, double high) {
  GIGACAT_CHECK(low > 0 && low <= high, low, "..", high);
  const double decades = std::log10(high / low);
  const int every = std::max(1, static_cast<int>(std::ceil(decades / 6)));
  std::vector<double> values;
  for (int power = static_cast<int>(std::floor(std::log10(low))); std::pow(10, power) <= high * (1 + 1e-9); ++power)
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double value = factor * std::pow(10, power);
      const bool wanted = factor == 1 ? power % every == 0 : decades < 3;
      if (wanted && value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) values.push_back(value);
    }
  return values;
}

std::vector<std::string> tick_texts(const std::vector<double>& values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  const auto [scale, suffix] = largest >= 1e7   ? std::pair(1e6, "M")
                               : largest >= 1e4 ? std::pair(1e3, "k")
                                                : std::pair(1.0, "");
  std::vector<std::string> texts;
  for (size_t decimals = 0; decimals <= 6; ++decimals) {  // as many as tell all of them exactly
    texts.clear();
    bool exact = true;
    for (const double value : values) {
      char text[64];
      std::snprintf(text, sizeof text, "%.*f", static_cast<int>(decimals), value / scale);
      exact = exact && std::abs(std::stod(text) - value / scale) <= std::abs(value / scale) * 1e-6;
      texts.push_back(value == 0 ? "0" : text + std::string(suffix));
    }
    if (exact) return texts;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    char text[64];
    std::snprintf(text, sizeof text, "%.3g", values[i]);
    texts[i] = text;
  }
  return texts;
}

double Axis::pixel(double value) const {
  const double share = logarithmic ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  return first_pixel + share * (last_pixel - first_pixel);
}

Axis padded_axis(double low, double high, bool logarithmic, int most_ticks) {
  Axis axis;
  axis.logarithmic = logarithmic;
  if (logarithmic) {
    const double factor = std::max(std::pow(high / low, kPadding), 1.01);
    axis.low = low / factor;
    axis.high = high * factor;
    axis.ticks = logarithmic_ticks(axis.low, axis.high);
    if (axis.ticks.size() < 2) axis.ticks = ticks(axis.low, axis.high, most_ticks);  // within one decade
    return axis;
  }
  double padding = (high - low) * kPadding;
  if (high - low <= std::abs(high) * 1e-9) padding = high == 0 ? 1 : std::abs(high) * 0.1;
  axis.low = low >= 0 && low < padding ? 0 : low - padding;
  axis.high = high + padding;
  axis.ticks = ticks(axis.low, axis.high, most_ticks);
  return axis;
}

}  // namespace gigacat::report
