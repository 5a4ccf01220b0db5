#include "gigacat/report/chart.h"

#include <gmock/gmock.h>

#include <cmath>

#include "gigacat/core/error.h"
#include "gigacat/report/html.h"

namespace gigacat::report {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pointwise;

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(Ticks, AreRoundNumbersWithinTheRange) {
  EXPECT_THAT(ticks(0, 1, 6), Pointwise(DoubleEq(), {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}));
  EXPECT_THAT(ticks(-3.1, 7.9, 6), Pointwise(DoubleEq(), {-2.0, 0.0, 2.0, 4.0, 6.0}));
  EXPECT_THAT(ticks(5, 5, 4), ElementsAre(5));
  for (const double high : {1e-9, 0.3, 1.0, 97.0, 123456.0, 3e12})
    for (int most = 2; most < 10; ++most) {
      const auto values = ticks(high / 3, high, most);
      EXPECT_LE(values.size(), static_cast<size_t>(most)) << high;
      EXPECT_GE(values.size(), most > 3 ? 2u : 1u) << high;
      EXPECT_GE(values.front(), high / 3 * (1 - 1e-9));
      EXPECT_LE(values.back(), high * (1 + 1e-9));
    }
  EXPECT_THROW(ticks(0, INFINITY, 5), InternalError);
  EXPECT_THROW(ticks(1, 0, 5), InternalError);
}

TEST(Ticks, OfALogarithmicAxisArePowersOfTen) {
  EXPECT_THAT(logarithmic_ticks(1, 10000), Pointwise(DoubleEq(), {1.0, 10.0, 100.0, 1000.0, 10000.0}));
  EXPECT_THAT(logarithmic_ticks(0.3, 6), Pointwise(DoubleEq(), {0.5, 1.0, 2.0, 5.0}));
  EXPECT_LE(logarithmic_ticks(1e-30, 1e30).size(), 7u);
  EXPECT_THROW(logarithmic_ticks(0, 1), InternalError);
}

TEST(Ticks, TextsSayAllTheirDigits) {
  EXPECT_THAT(tick_texts({0, 0.25, 0.5}), ElementsAre("0", "0.25", "0.50"));
  EXPECT_THAT(tick_texts({0, 50000, 100000}), ElementsAre("0", "50k", "100k"));
  EXPECT_THAT(tick_texts({-2e7, 5e6}), ElementsAre("-20M", "5M"));
  EXPECT_THAT(tick_texts({0, 200, 400}), ElementsAre("0", "200", "400"));
  EXPECT_THAT(tick_texts({1e-9, 2e-9}), ElementsAre("1e-09", "2e-09"));
}

TEST(Chart, DrawsLinesAxesLegendAndMarks) {
  const std::string svg =
      to_svg({.title = "loss <D>",
              .x_label = "step",
              .lines = {{.name = "first", .points = {{0, 1}, {50, 2}, {100, NAN}}},
                        {.name = "second", .colour = 1, .dashed = true, .points = {{0, 3}, {100, 4}}}},
              .marks = {{50, "restarted"}, {1000, "outside"}}});
  EXPECT_THAT(svg, HasSubstr("loss &lt;D&gt;"));
  EXPECT_EQ(count(svg, "<polyline"), 2u);
  EXPECT_THAT(svg, HasSubstr("data-values=\"0,1 50,2 \"")) << "a value that is no number is left out";
  EXPECT_THAT(svg, HasSubstr(">first</text>"));
  EXPECT_THAT(svg, HasSubstr(">second</text>"));
  EXPECT_THAT(svg, HasSubstr(">100</text>"));
  EXPECT_THAT(svg, HasSubstr(">step</text>"));
  EXPECT_EQ(count(svg, "<title>"), 1u);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(Chart, OfNothingIsEmpty) {
  EXPECT_EQ(to_svg({}), "");
  EXPECT_EQ(to_svg({.lines = {{.name = "a", .points = {{1, NAN}, {2, INFINITY}}}}}), "");
  EXPECT_EQ(to_svg({.lines = {{.name = "a", .points = {{1, -1}}}}, .scale = Scale::logarithmic}), "");
}

TEST(Chart, OneValueAndEqualValuesHaveARange) {
  for (const double value : {0.0, -5.0, 1e-300, 1e300}) {
    const std::string one = to_svg({.lines = {{.points = {{3, value}}}}});
    const std::string equal = to_svg({.lines = {{.points = {{3, value}, {4, value}}}}});
    for (const std::string& svg : {one, equal}) {
      EXPECT_THAT(svg, HasSubstr("<circle"));
      EXPECT_THAT(svg, Not(HasSubstr("nan")));
      EXPECT_THAT(svg, Not(HasSubstr("inf")));
    }
  }
}

TEST(Chart, ManyFoldValuesGetALogarithmicAxis) {
  Chart chart{.title = "t", .lines = {{.points = {{0, 1}, {1, 1000}}}}};
  EXPECT_THAT(to_svg(chart), HasSubstr("t (logarithmic)"));
  chart.lines[0].points.push_back({2, 0});
  EXPECT_THAT(to_svg(chart), Not(HasSubstr("logarithmic")));
}

TEST(Chart, LongLinesAreMeansWithABand) {
  Line line{.name = "long"};
  for (int i = 0; i < 100000; ++i) line.points.push_back({static_cast<double>(i), i == 500 ? 9.0 : i % 2 * 1.0});
  const std::string svg = to_svg({.lines = {line}});
  EXPECT_LT(svg.size(), 30000u);
  EXPECT_THAT(svg, HasSubstr("<polygon"));
  EXPECT_THAT(svg, HasSubstr(">8</text>")) << "the range shows the single high value";
}

TEST(Chart, BandsOfALogarithmicAxisStayPositive) {
  const std::string svg = to_svg({.lines = {{.points = {{0, 1}, {1, 2}}, .band = {{0, -1, 3}, {1, 1, 3}, {2, -3, -2}}}},
                                  .scale = Scale::logarithmic});
  EXPECT_THAT(svg, HasSubstr("<polygon"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(Html, EscapesAndEncodes) {
  EXPECT_EQ(escape_html("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
  const std::string page = html_page("A <b>", "<p>text</p>", "run()");
  EXPECT_THAT(page, HasSubstr("<title>A &lt;b&gt;</title>"));
  EXPECT_THAT(page, HasSubstr("<script>run()</script>"));
}

}  // namespace
}  // namespace gigacat::report
