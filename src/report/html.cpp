#include "gigacat/report/html.h"

#include <cstdint>

#include "gigacat/core/text.h"

namespace gigacat::report {
namespace {

constexpr std::string_view kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:80rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "h1{font-size:1.6rem}h2{font-size:1.25rem;margin-top:2.2rem;border-bottom:1px solid #ddd}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "td,th{padding:.25rem .8rem;border-bottom:1px solid #e4e4e4;text-align:left;vertical-align:top}"
    "th{font-weight:600}.wide{overflow-x:auto}.row{display:flex;flex-wrap:wrap;gap:1rem}"
    ".charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(24rem,1fr));gap:1rem}"
    "figure{margin:0;flex:1 1 24rem;max-width:38rem;min-width:0}figcaption{font-weight:600}svg.chart{width:100%}"
    "img{max-width:100%;image-rendering:pixelated}code,pre{font-size:13px}pre{overflow-x:auto}"
    ".note{color:#666}.warning{color:#a33}details{margin:.6rem 0}summary{cursor:pointer}"
    ".slider{position:sticky;top:0;background:#fff;padding:.5rem 0;display:flex;gap:1rem;align-items:center;z-index:1}"
    ".slider input{flex:1}";

constexpr std::string_view kHover = R"js(
(() => {
  const charts = [...document.querySelectorAll("svg.chart")];
  const make = (parent, name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    return parent.appendChild(element);
  };
  const read = (svg) => {
    const number = (key) => parseFloat(svg.dataset[key]);
    const chart = {left: number("left"), right: number("right"), top: number("top"), bottom: number("bottom"),
                   low: number("low"), high: number("high")};
    chart.lines = [...svg.querySelectorAll(".line")].map((line) => ({
      name: line.dataset.name, colour: line.getAttribute("stroke"),
      values: line.dataset.values.trim().split(" ").map((pair) => pair.split(",").map(Number))}));
    chart.rule = make(svg, "line", {class: "step", stroke: "#222", y1: chart.top, y2: chart.bottom, visibility: "hidden"});
    chart.hover = make(svg, "g", {class: "hover", "pointer-events": "none"});
    return chart;
  };
  const nearest = (values, x) => values.reduce((best, pair) => Math.abs(pair[0] - x) < Math.abs(best[0] - x) ? pair : best);
  for (const svg of charts) {
    const chart = svg.chart = read(svg);
    svg.addEventListener("pointerleave", () => chart.hover.replaceChildren());
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect(), width = svg.viewBox.baseVal.width;
      const px = (event.clientX - box.left) / box.width * width;
      chart.hover.replaceChildren();
      if (px < chart.left || px > chart.right) return;
      const x = chart.low + (px - chart.left) / (chart.right - chart.left) * (chart.high - chart.low);
      const found = chart.lines.map((line) => [line, nearest(line.values, x)]);
      make(chart.hover, "line", {stroke: "#999", x1: px, x2: px, y1: chart.top, y2: chart.bottom});
      const texts = found.map(([line, pair]) => `${line.name || "value"} ${pair[1]} at ${pair[0]}`);
      const wide = Math.max(...texts.map((text) => text.length)) * 6.7 + 12, tall = texts.length * 16 + 8;
      const left = px + 8 + wide > width ? px - 8 - wide : px + 8;
      make(chart.hover, "rect", {x: left, y: chart.top, width: wide, height: tall, fill: "#fff", stroke: "#bbb", opacity: 0.92});
      found.forEach(([line], i) => {
        const text = make(chart.hover, "text", {x: left + 6, y: chart.top + 17 + 16 * i, fill: line.colour});
        text.textContent = texts[i];
      });
    });
  }
  window.show_step = (x) => {
    for (const {chart} of charts) {
      const px = chart.left + (x - chart.low) / (chart.high - chart.low) * (chart.right - chart.left);
      const inside = px >= chart.left - 0.5 && px <= chart.right + 0.5;
      chart.rule.setAttribute("visibility", inside ? "visible" : "hidden");
      chart.rule.setAttribute("x1", px);
      chart.rule.setAttribute("x2", px);
    }
  };
})();
)js";

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += i + k > bytes.size() ? '=' : digits[group >> (18 - 6 * k) & 63];
  }
  return out;
}

std::string data_address(std::string_view bytes, std::string_view type) {
  return cat("data:image/", type, ";base64,", base64(bytes));
}

std::string html_page(std::string_view title, std::string_view body, std::string_view script) {
  std::string page =
      cat("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
          "content=\"width=device-width\"><title>",
          escape_html(title), "</title><style>", kStyle, "</style></head>\n<body>\n<h1>", escape_html(title), "</h1>\n",
          body);
  if (!script.empty()) page += cat("<script>", script, "</script>\n");
  return page + "</body></html>\n";
}

std::string_view hover_script() { return kHover; }

}  // namespace gigacat::report
