#include "gigacat/edit/edit.h"

#include <ATen/ATen.h>

#include <utility>

#include "edit/style_file.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/text.h"
#include "gigacat/io/animation.h"
#include "gigacat/io/image_file.h"
#include "gigacat/models/style.h"
#include "gigacat/run/weight_source.h"
#include "gigacat/sample/class_list.h"
#include "gigacat/sample/image_texts.h"
#include "gigacat/sample/sampler.h"

namespace gigacat::edit {
namespace {

using models::Style;

constexpr int kFrameMilliseconds = 120;

// Images row by row.
struct Board {
  std::vector<io::Image> images;
  int64_t columns = 0;
};

const char* name_of(Edit what) {
  switch (what) {
    case Edit::interpolate:
      return "interpolate";
    case Edit::style_mix:
      return "style-mix";
    case Edit::prompt_mix:
      return "prompt-mix";
    case Edit::truncation:
      return "truncation";
  }
  fail<InternalError>("an unknown edit");
}

class Editor {
 public:
  Editor(const EditRequest& request, const run::WeightSource& source, at::Device device)
      : request_(request),
        sampler_(sample::Sampler::open(source, request.overrides, device, {.prompts = request.prompts})),
        seeds_(parse_ranges(request.seeds, "--seeds")),
        conditions_(conditions_of(request, sampler_)) {
    for (const fs::path& file : request.styles) found_.push_back(read_style(file, device));
    for (const Style& style : found_)
      if (style.w.sizes() != found_[0].w.sizes())
        fail<UsageError>("--styles: give styles of all layers or of each of the layers, not both in one picture");
    if (!found_.empty()) seeds_.resize(found_.size());  // rows
    if (seeds_.empty()) fail<UsageError>("--seeds names no seed: give a list such as 0-3");
  }

  // What the picture's PNG says of it.
  io::PngTexts texts(const run::WeightSource& source) const {
    const sample::Conditions& has = sampler_.conditions();
    io::PngTexts texts;
    texts.emplace_back("edit", name_of(request_.what));
    if (request_.styles.empty()) texts.emplace_back("seeds", join(seeds_, ","));
    if (request_.what == Edit::style_mix) texts.emplace_back("columns", request_.columns);
    std::vector<std::string> names;
    for (const int64_t condition : conditions_) {
      if (has.is_text) names.push_back(sampler_.prompts().at(static_cast<size_t>(condition)));
      if (!has.name_of(condition).empty()) names.push_back(has.name_of(condition));
    }
    if (has.has_classes()) texts.emplace_back("class", join(conditions_, ","));
    if (!names.empty())
      texts.emplace_back(has.is_text ? "prompts" : "class_name", join(names, has.is_text ? "\n" : ","));
    texts.emplace_back("truncation",
                       request_.what == Edit::truncation ? join(request_.psi, ",") : cat(request_.truncation));
    sample::add_origin(texts, source);
    return texts;
  }

  Board interpolate() const {
    if (request_.steps < 2) fail<UsageError>("--steps must be at least 2, not ", request_.steps);
    const bool latents = conditions_.size() == 1;
    if (latents && seeds_.size() < 2) fail<UsageError>("an interpolation needs two prompts or labels, or two seeds");
    if (conditions_.empty() || conditions_.size() > 2)
      fail<UsageError>("an interpolation goes from one prompt or label to another: give two, not ", conditions_.size());
    const Style all = rows(conditions_[0]), others = latents ? all : rows(conditions_[1]);
    const int64_t count = std::ssize(seeds_), lines = latents ? count - 1 : count;
    const auto rows_from = [&](const Style& style, int64_t first) {
      return style.at(at::arange(first, first + lines, style.w.options().dtype(at::kLong)));
    };
    const Style a = rows_from(all, 0), b = rows_from(others, latents ? 1 : 0);
    std::vector<std::vector<io::Image>> columns;
    for (int64_t i = 0; i < request_.steps; ++i)
      columns.push_back(
          sampler_.draw(models::interpolate(a, b, static_cast<double>(i) / static_cast<double>(request_.steps - 1))));
    return by_rows(columns);
  }

  Board style_mix() const {
    one_condition();
    const std::vector<int64_t> columns = parse_ranges(request_.columns, "--columns");
    if (columns.empty()) fail<UsageError>("--columns names no seed: give a list such as 4-7");
    const int64_t layers = several_layers();
    const int64_t crossover = request_.crossover < 0 ? layers / 2 : request_.crossover;
    if (crossover > layers) fail<UsageError>("--crossover must be in 0..", layers, ", not ", crossover);
    const Style grid = models::style_grid(rows(conditions_[0]), styles_of(columns, conditions_[0]), layers, crossover);
    return {sampler_.draw(grid), std::ssize(columns)};
  }

  Board prompt_mix() const {
    if (conditions_.size() != 2) fail<UsageError>("prompt-mix takes two prompts or labels, not ", conditions_.size());
    const int64_t layers = several_layers();
    const Style a = rows(conditions_[0]), b = rows(conditions_[1]);
    std::vector<std::vector<io::Image>> columns;
    for (int64_t crossover = 0; crossover <= layers; ++crossover)
      columns.push_back(sampler_.draw(models::mix(a, b, layers, crossover)));
    return by_rows(columns);
  }

  Board truncation() const {
    one_condition();
    if (request_.psi.empty()) fail<UsageError>("--psi: give at least one value");
    std::vector<std::vector<io::Image>> columns;
    for (const double psi : request_.psi) columns.push_back(sampler_.draw(rows(conditions_[0], psi)));
    return by_rows(columns);
  }

 private:
  static std::vector<int64_t> conditions_of(const EditRequest& request, const sample::Sampler& sampler) {
    if (request.prompts.empty())
      return request.labels.empty() ? std::vector<int64_t>{0}
                                    : sample::parse_classes(request.labels, "--labels", sampler.conditions());
    std::vector<int64_t> all;
    for (int64_t i = 0; i < std::ssize(request.prompts); ++i) all.push_back(i);
    return all;
  }

  Style styles_of(const std::vector<int64_t>& seeds, int64_t condition) const {
    return styles_of(seeds, condition, request_.truncation);
  }
  Style styles_of(const std::vector<int64_t>& seeds, int64_t condition, double psi) const {
    std::vector<sample::SampleSpec> specs;
    for (const int64_t seed : seeds) specs.push_back({seed, 0, condition});
    return sampler_.style(specs, psi);
  }

  // Styles of the rows: of seeds, or those found for images, which are truncated straight to the condition's mean.
  Style rows(int64_t condition) const { return rows(condition, request_.truncation); }
  Style rows(int64_t condition, double psi) const {
    if (found_.empty()) return styles_of(seeds_, condition, psi);
    Style all = joined(found_);
    const Style mean = psi == 1 && request_.prompts.empty() ? Style() : styles_of({0}, condition, /*psi=*/0);
    if (psi != 1) all.w = mean.w + (all.w - mean.w) * psi;
    if (request_.prompts.empty()) return all;
    const int64_t count = all.size();
    return {all.w, spread_rows(mean.text, count), spread_rows(mean.mask, count)};
  }
  static at::Tensor spread_rows(const at::Tensor& x, int64_t count) {
    return x.defined() ? x.repeat_interleave(count, 0) : x;
  }
  static Style joined(const std::vector<Style>& styles) {
    const auto all = [&](at::Tensor Style::*part) {
      std::vector<at::Tensor> rows;
      for (const Style& style : styles)
        if ((style.*part).defined()) rows.push_back(style.*part);
      return rows.empty() ? at::Tensor() : at::cat(rows);
    };
    return {all(&Style::w), all(&Style::text), all(&Style::mask)};
  }

  void one_condition() const {
    if (conditions_.size() != 1) fail<UsageError>("give one prompt or label, not ", conditions_.size());
  }

  int64_t several_layers() const {
    const int64_t layers = sampler_.style_layers();
    if (layers < 2) fail<UsageError>("all layers of this model share one style: there is nothing to mix");
    return layers;
  }

  static Board by_rows(const std::vector<std::vector<io::Image>>& columns) {
    Board board{.images = {}, .columns = std::ssize(columns)};
    for (size_t row = 0; row < columns[0].size(); ++row)
      for (const auto& column : columns) board.images.push_back(column[row]);
    return board;
  }

  const EditRequest& request_;
  sample::Sampler sampler_;
  std::vector<int64_t> seeds_, conditions_;
  std::vector<Style> found_;
};

// The columns one after the other and back again, each a picture of its rows.
std::string animation(const Board& board) {
  std::vector<io::Image> frames;
  const int64_t count = board.columns;
  for (int64_t i = 0; i < 2 * count - 2; ++i) {
    const int64_t column = i < count ? i : 2 * count - 2 - i;
    std::vector<io::Image> shown;
    for (size_t at = static_cast<size_t>(column); at < board.images.size(); at += static_cast<size_t>(count))
      shown.push_back(board.images[at]);
    frames.push_back(io::make_grid(shown, std::ssize(shown)));
  }
  return io::encode_webp_animation(frames, kFrameMilliseconds);
}

Board make(const Editor& editor, Edit what) {
  switch (what) {
    case Edit::interpolate:
      return editor.interpolate();
    case Edit::style_mix:
      return editor.style_mix();
    case Edit::prompt_mix:
      return editor.prompt_mix();
    case Edit::truncation:
      return editor.truncation();
  }
  fail<InternalError>("an unknown edit");
}

}  // namespace

EditReport write_edit(const EditRequest& request, at::Device device) {
  const io::PathKind kind = io::path_kind(request.out);
  const bool moving = kind == io::PathKind::webp;
  if (kind != io::PathKind::png && !moving)
    fail<UsageError>("-o: give a .png, or a .webp of an interpolation, not ", request.out.string());
  if (moving && request.what != Edit::interpolate) fail<UsageError>("-o: only interpolations move: give a .png");
  const run::WeightSource source = run::find_weights(request.from, request.weights);
  const Editor editor(request, source, device);
  const Board board = make(editor, request.what);
  const io::PngTexts texts = editor.texts(source);
  write_atomically(request.out,
                   moving ? animation(board) : io::encode_png(io::make_grid(board.images, board.columns), texts));
  return {std::ssize(board.images) / board.columns, board.columns, source.origin.string()};
}

}  // namespace gigacat::edit
