// Sample grids under a slider.
#include <algorithm>
#include <cmath>
#include <span>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/io/image.h"
#include "gigacat/report/html.h"
#include "report/sections.h"

namespace gigacat::report {
namespace {

constexpr size_t kLargestPng = 400'000;  // bytes; larger grids go into the page as WebP
constexpr int kWebpQuality = 88;
constexpr int64_t kShownWidth = 520;  // px; smaller grids are enlarged by a whole number

constexpr std::string_view kScript = R"js(
(() => {
  const slider = document.getElementById("step"), shown = document.getElementById("shown"), play = document.getElementById("play");
  if (!slider) return;
  const steps = slider.dataset.steps.split(" ").map(Number);
  const runs = [...document.querySelectorAll(".grids")].map((figure) => [...figure.querySelectorAll("img")]);
  const show = () => {
    const step = steps[slider.value];
    shown.textContent = `step ${step}`;
    for (const grids of runs) {
      let best = 0;
      grids.forEach((grid, i) => { if (Number(grid.dataset.step) <= step) best = i; });
      grids.forEach((grid, i) => { grid.hidden = i !== best; });
      const caption = grids[best].parentElement.querySelector(".at");
      caption.textContent = `step ${grids[best].dataset.step}`;
    }
    window.show_step(step);
  };
  slider.addEventListener("input", show);
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(slider.value) === steps.length - 1) slider.value = 0;
    play.textContent = "Stop";
    timer = setInterval(() => {
      if (Number(slider.value) === steps.length - 1) return stop();
      slider.value = Number(slider.value) + 1;
      show();
    }, 400);
    show();
  });
  show();
})();
)js";

std::vector<SampleGrid> chosen(const std::vector<SampleGrid>& grids, size_t most) {
  if (grids.size() <= most || most < 2) return most >= 2 || grids.empty() ? grids : std::vector{grids.back()};
  std::vector<SampleGrid> some;
  for (size_t i = 0; i < most; ++i) some.push_back(grids[i * (grids.size() - 1) / (most - 1)]);
  return some;
}

// <img> of a picture; `attributes` go into the tag. A file that is no picture is said so in its place.
std::string picture(const fs::path& file, const std::string& attributes) {
  const std::string bytes = read_file(file);
  const std::span<const std::byte> view = std::as_bytes(std::span(bytes));
  try {
    const io::ImageHeader header = io::probe_image(view, file.string());
    const int64_t factor = std::max<int64_t>(1, kShownWidth / std::max<int64_t>(1, header.width));
    const std::string address =
        bytes.size() > kLargestPng
            ? data_address(io::encode_webp(io::decode_image(view, file.string()), kWebpQuality), "webp")
            : data_address(bytes, header.format);
    return cat("<img ", attributes, " width=\"", header.width * factor, "\" alt=\"",
               escape_html(file.filename().string()), "\" src=\"", address, "\">\n");
  } catch (const Error& error) {
    return cat("<p class=\"warning\">", escape_html(error.what()), "</p>\n");
  }
}

}  // namespace

std::string_view grids_script() { return kScript; }

std::string grids_section(const Runs& runs, size_t most_grids) {
  std::string figures;
  std::vector<int64_t> steps;
  for (const RunRecord& run : runs) {
    const std::vector<SampleGrid> grids = chosen(run.grids, most_grids);
    if (grids.empty()) continue;
    figures += cat("<figure class=\"grids\"><figcaption>", escape_html(run.name), ", <span class=\"at\">step ",
                   grids.back().step, "</span></figcaption>\n");
    for (const SampleGrid& grid : grids) {
      steps.push_back(grid.step);
      const bool last = grid.step == grids.back().step;
      figures += picture(grid.file, cat("data-step=\"", grid.step, "\"", last ? "" : " hidden"));
    }
    figures += "</figure>\n";
  }
  std::string reals;
  for (const RunRecord& run : runs)
    if (!run.reals.empty() && reals.empty())
      reals = cat("<figure><figcaption>Real images of the first batch",
                  runs.size() > 1 ? " of " + escape_html(run.name) : "", "</figcaption>\n", picture(run.reals, ""),
                  "</figure>\n");
  if (figures.empty() && reals.empty()) return "";
  std::sort(steps.begin(), steps.end());
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  std::string slider;
  if (steps.size() > 1)
    slider =
        cat("<div class=\"slider\"><button id=\"play\">Play</button><input id=\"step\" type=\"range\" min=\"0\" max=\"",
            steps.size() - 1, "\" value=\"", steps.size() - 1, "\" data-steps=\"", join(steps, " "),
            "\" aria-label=\"step\"><span id=\"shown\">step ", steps.back(), "</span></div>\n");
  return cat(
      "<h2>Samples</h2>\n<p class=\"note\">Latents that stay the same, through the averaged generator (EMA).</p>\n",
      slider, "<div class=\"row\">\n", figures, reals, "</div>\n");
}

}  // namespace gigacat::report
