#include "train/monitor.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <iomanip>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "gigacat/core/error.h"
#include "gigacat/core/log.h"
#include "gigacat/run/checkpoint.h"

namespace gigacat::train {
namespace {

constexpr double kGiB = 1 << 30;

std::string figure(double value) {
  std::ostringstream out;
  out << std::setprecision(4) << value;
  return out.str();
}

// Value called `name`; 0 when there is none.
double value_of(const Figures& figures, const std::string& name) {
  for (const auto& [key, value] : figures)
    if (key == name) return value;
  return 0;
}

void append(Figures& all, const std::string& prefix, const Figures& part) {
  for (const auto& [name, value] : part) all.emplace_back(prefix + name, value);
}

// "loss 0.69 adv 0.6 r1 0.1"
std::string listed(const Figures& figures) {
  std::vector<std::string> items;
  for (const auto& [name, value] : figures) items.push_back(cat(name, " ", figure(value)));
  return join(items, " ");
}

std::string percent(double fraction) { return cat(static_cast<int>(100 * fraction + 0.5), " %"); }

// The line of a log interval, from the figures that went into the files.
std::string log_line(const StepFigures& step, const Figures& all) {
  const auto get = [&all](const char* name) { return value_of(all, name); };
  std::string line = cat("step ", step.step, " kimg ", figure(get("kimg")), " | D ", listed(step.discriminator.losses),
                         " | G ", listed(step.generator.losses), " | grad D ", figure(step.discriminator.grad_norm),
                         " G ", figure(step.generator.grad_norm), " | lr D ", figure(step.discriminator.lr), " G ",
                         figure(step.generator.lr));
  if (!step.diagnostics.empty()) line += " | " + listed(step.diagnostics);
  line += cat(" | ", figure(get("images_per_second")), " images/s (data ", percent(get("time/data")), ", D ",
              percent(get("time/D")), ", G ", percent(get("time/G")), ", other ", percent(get("time/other")),
              ") | memory ", figure(get("memory/resident_gib")), " GiB");
  if (get("memory/device_gib") > 0) line += cat(", device ", figure(get("memory/peak_device_gib")), " GiB at most");
  line += cat(" | ", figure(get("tflops")), " TFLOP/s");
  if (get("mfu") > 0) line += cat(", MFU ", percent(get("mfu")));
  const int64_t skipped = step.discriminator.skipped + step.generator.skipped;
  if (skipped > 0) line += cat(" | skipped ", skipped);
  return line;
}

}  // namespace

std::vector<Figures> mean_losses(const std::vector<std::vector<recipes::Loss>>& losses, dist::Group& group) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> values;
  std::vector<Figures> named;
  for (const auto& parts : losses) {
    Figures& figures = named.emplace_back();
    const auto add = [&](const std::string& name, const auto& pick) {
      at::Tensor sum;
      for (const recipes::Loss& part : parts) {
        const at::Tensor value = pick(part).detach().to(at::kFloat).mean();
        sum = sum.defined() ? sum + value : value;
      }
      values.push_back(sum / static_cast<double>(parts.size()));
      figures.emplace_back(name, 0);
    };
    add("loss", [](const recipes::Loss& part) { return part.total; });
    for (size_t i = 0; i < parts.front().terms.size(); ++i)
      add(parts.front().terms[i].first, [i](const recipes::Loss& part) { return part.terms.at(i).second; });
  }
  at::Tensor all = at::stack(values);
  group.all_reduce(all, dist::Reduce::mean, "losses");
  all = all.to(at::kCPU);
  int64_t next = 0;
  for (Figures& figures : named)
    for (auto& [name, value] : figures) value = all[next++].item<double>();
  return named;
}

Figures mean_over_ranks(Figures figures, dist::Group& group) {
  if (group.size() == 1 || figures.empty()) return figures;
  at::Tensor values = at::empty({std::ssize(figures)}, at::kDouble);
  for (size_t i = 0; i < figures.size(); ++i) values[static_cast<int64_t>(i)] = figures[i].second;
  group.all_reduce(values, dist::Reduce::mean, "diagnostics");
  for (size_t i = 0; i < figures.size(); ++i) figures[i].second = values[static_cast<int64_t>(i)].item<double>();
  return figures;
}

Monitor::Monitor(const run::RunConfig& config, const run::RunFolder& folder, int world, double step_cost, int64_t step,
                 int64_t images)
    : config_(config),
      folder_(folder),
      world_(world),
      step_cost_(step_cost),
      health_(config.log.diversity_warning),
      images_before_(images),
      recorded_(std::chrono::steady_clock::now()),
      metrics_(folder.metrics(), /*append=*/true),
      progress_("training", "step", config.train.steps, step, config.log.plain_every) {
  fs::create_directories(folder.samples());
  if (step > 0) recall();
  if (!config.log.tensorboard) return;
  events_ = std::make_unique<io::EventWriter>(folder.path());
  events_->begin_session(step == 0 ? 0 : step + 1);
}

void Monitor::progress(int64_t step) { progress_.update(step, note_); }

void Monitor::record(const StepFigures& figures, const std::array<double, 4>& split, const Memory& memory) {
  const Figures all = flatten(figures, split, memory);
  nlohmann::ordered_json line{{"step", figures.step}};
  for (const auto& [name, value] : all) line[name] = value;
  metrics_.write(line.dump() + "\n");
  metrics_.flush();
  if (events_) {
    for (const auto& [name, value] : all) events_->scalar(name, value, figures.step);
    events_->flush();
  }
  log::info(log_line(figures, all));
  note_ = cat("D ", figure(value_of(all, "D/loss")), " G ", figure(value_of(all, "G/loss")), ", ",
              figure(value_of(all, "images_per_second")), " images/s");
  warn_of_faults(figures.step, all);
}

Figures Monitor::flatten(const StepFigures& figures, const std::array<double, 4>& split, const Memory& memory) {
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - recorded_).count();
  const double rate = static_cast<double>(figures.images - images_before_) / std::max(seconds, 1e-9);
  recorded_ = now;
  images_before_ = figures.images;

  Figures all{{"kimg", static_cast<double>(figures.images) / 1000}};
  for (const auto& [prefix, half] : {std::pair("D", &figures.discriminator), std::pair("G", &figures.generator)}) {
    append(all, cat(prefix, "/"), half->losses);
    all.emplace_back(cat("grad_norm/", prefix), half->grad_norm);
    all.emplace_back(cat("lr/", prefix), half->lr);
    all.emplace_back(cat("skipped/", prefix), static_cast<double>(half->skipped));
    if (config_.train.precision == "fp16") all.emplace_back(cat("loss_scale/", prefix), half->loss_scale);
  }
  append(all, "", figures.diagnostics);
  all.emplace_back("images_per_second", rate);
  all.emplace_back("time/data", split[static_cast<size_t>(Part::data)]);
  all.emplace_back("time/D", split[static_cast<size_t>(Part::discriminator)]);
  all.emplace_back("time/G", split[static_cast<size_t>(Part::generator)]);
  all.emplace_back("time/other", split[static_cast<size_t>(Part::other)]);
  all.emplace_back("memory/resident_gib", memory.resident / kGiB);
  all.emplace_back("memory/peak_resident_gib", memory.peak_resident / kGiB);
  if (memory.peak_device > 0) {
    all.emplace_back("memory/device_gib", memory.device / kGiB);
    all.emplace_back("memory/peak_device_gib", memory.peak_device / kGiB);
  }
  const double tflops = rate * step_cost_ * 1e-12;
  all.emplace_back("tflops", tflops);
  if (config_.log.peak_tflops > 0) all.emplace_back("mfu", tflops / (config_.log.peak_tflops * world_));
  return all;
}

// The keys to turn, of those that this run's recipe has.
std::string Monitor::advice(const Fault& fault) const {
  std::vector<std::string> penalties;
  bool has_anchor = false;
  for (const config::Field& field : config_.binder.fields()) {
    for (const char* key : {"loss.gamma_r1", "loss.gamma_r2", "loss.r1_gamma"})
      if (field.path == key) penalties.emplace_back(key);
    has_anchor = has_anchor || field.path == "loss.anchor";
  }
  const std::string penalty = join(penalties, " and ");
  switch (fault.kind) {
    case Fault::Kind::diverged:
      if (fault.figure == "G/consistency" && has_anchor)
        return "set loss.anchor=attached or a smaller loss.consistency, then lower optimizer.lr by 3";
      return "lower optimizer.lr by 3, or give optimizer.warmup some hundred steps";
    case Fault::Kind::discriminator_won:
      return cat("raise ", penalty.empty() ? "the penalty on the discriminator" : penalty,
                 " by 3 to 10, give more data, or a smaller discriminator");
    case Fault::Kind::collapsed:
      return cat("lower optimizer.lr by 2 to 4, or raise ", penalty.empty() ? "the penalty" : penalty,
                 " or train.batch");
  }
  return "";
}

// "; go on from before it with: ..." where a checkpoint is older than the divergence.
std::string Monitor::way_back() const {
  const std::vector<int64_t> steps = run::list_checkpoints(folder_.checkpoints());
  const int64_t since = health_.diverging_since().value_or(0);
  const auto later = std::ranges::lower_bound(steps, since);
  if (later == steps.begin()) return "";
  return cat("; go on from before it with: gigacat train --resume ",
             run::checkpoint_path(folder_.checkpoints(), *(later - 1)).string());
}

void Monitor::warn_of_faults(int64_t step, const Figures& figures) {
  for (const Fault& fault : health_.judge(step, figures)) {
    std::string what = cat("step ", step, ": "), name;
    switch (fault.kind) {
      case Fault::Kind::diverged:
        name = "diverged";
        what += cat("the run diverges: ", fault.figure, " is ", figure(fault.value), ", in the beginning ",
                    figure(fault.usual), " or less");
        break;
      case Fault::Kind::collapsed:
        name = "collapsed";
        what += cat("the samples have grown alike: relative diversity ", figure(fault.value), ", at its highest ",
                    figure(fault.usual));
        break;
      case Fault::Kind::discriminator_won:
        what += cat("the discriminator has won: it tells every image, and G/loss has climbed to ", figure(fault.value),
                    ", in the beginning ", figure(fault.usual), " or less");
        break;
    }
    what += "; " + advice(fault);
    if (fault.lasts && std::ranges::count(config_.train.stop_on, name) > 0)
      fail(what, ". It has lasted for ", Health::kLasting, " log lines, which ends the run (train.stop_on)",
           way_back());
    if (!fault.lasts || name.empty()) log::warn(what);
  }
}

// The run so far, as its log has it.
void Monitor::recall() {
  if (!fs::exists(folder_.metrics())) return;
  std::istringstream lines(read_file(folder_.metrics()));
  for (std::string text; std::getline(lines, text);) {
    const auto line = nlohmann::json::parse(text, nullptr, false);
    if (!line.is_object() || !line.contains("step") || line.contains("eval")) continue;
    Figures figures;
    for (const auto& [name, value] : line.items())  // JSON has no word for numbers that are not finite: they are null
      figures.emplace_back(name, value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN());
    health_.judge(line["step"].get<int64_t>(), figures);
  }
}

void Monitor::scores(const std::vector<eval::Result>& results, int64_t step) {
  for (const eval::Result& result : results) {
    metrics_.write(nlohmann::json({{"step", step}, {"eval", eval::to_json(result)}}).dump() + "\n");
    log::info("step ", step, ": ", eval::to_line(result));
    if (!events_) continue;
    for (const auto& [name, value] : result.values) events_->scalar("eval/" + name, value, step);
  }
  metrics_.flush();
  if (events_) events_->flush();
}

void Monitor::image(const std::string& name, const io::Image& image, int64_t step) {
  std::ostringstream file;
  file << name << '-' << std::setw(7) << std::setfill('0') << step << ".png";
  const std::string png = io::encode_png(image);
  last_image_ = folder_.samples() / file.str();
  write_atomically(last_image_, png);
  if (events_) events_->image(name, png, image.height, image.width, step);
}

void Monitor::finish() {
  progress_.finish();
  if (events_) events_->flush();
}

}  // namespace gigacat::train
