#include <cstddef>
#include <iomanip>
#include <sstream>
#include <string>

#include "gigacat/core/text.h"
#include "gigacat/info/describe.h"
#include "info/text_line.h"

namespace gigacat::info {
namespace {

constexpr size_t kMostNames = 20;  // of classes

void network(std::ostream& out, const std::string& title, const NetworkReport& report) {
  out << title << "\n";
  for (const Part& part : report.parts)
    line(out, part.name, human(static_cast<double>(part.parameters)),
         part.buffers > 0 ? cat("and ", human(static_cast<double>(part.buffers)), " not trained") : "");
  line(out, "total", human(static_cast<double>(report.parameters)), cat(report.parameters, " parameters"));
}

void arithmetic(std::ostream& out, const ModelReport& report) {
  out << "FLOPs (2 per multiply-add)\n";
  line(out, "generator forward", human(report.generator_cost.flops), "per image");
  line(out, "discriminator forward", human(report.discriminator_cost.flops), "per image");
  line(out, "training step", human(report.step_cost.flops), "per image");
  line(out, "training step", human(report.step_cost.flops * static_cast<double>(report.global_batch)),
       cat("for the batch of ", report.global_batch));
}

void memory(std::ostream& out, const train::MemoryEstimate& report) {
  out << "Memory of one device that holds " << report.batch << " samples at once, " << report.precision << "\n";
  line(out, "weights", human_bytes(report.weights));
  line(out, "EMA", human_bytes(report.ema));
  line(out, "gradients", human_bytes(report.gradients));
  line(out, "AdamW moments", human_bytes(report.optimizer));
  line(out, "activations", human_bytes(report.activations),
       report.checkpointed ? "at most: train.activation_checkpoint lowers it" : "");
  line(out, "total", human_bytes(report.total()));
}

}  // namespace

std::string to_text(const ModelReport& report) {
  std::ostringstream out;
  const models::ImageShape& shape = report.shape;
  out << "Images or latents: " << shape.channels << " x " << shape.height << " x " << shape.width
      << (report.has_classes ? cat(", ", shape.num_classes, " classes") : "") << "\n";
  if (report.has_classes && !report.class_names.empty())
    out << "Classes: " << join_first(report.class_names, kMostNames) << "\n";
  out << "\n";
  network(out, "Generator", report.generator);
  out << "\n";
  network(out, "Discriminator", report.discriminator);
  out << "\n";
  arithmetic(out, report);
  out << "\n";
  memory(out, report.memory);
  return out.str();
}

}  // namespace gigacat::info
