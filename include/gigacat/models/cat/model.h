// CAT's networks: GAT's generator, and a discriminator that sees every stage at its own scale.
// Source: "Cross-scale Aligned Supervision for Training GANs" (arXiv 2605.26449).
#pragma once

#include <memory>

#include "gigacat/models/cat/discriminator.h"
#include "gigacat/models/gat/model.h"

namespace gigacat::models::cat {

// `model:` of recipe cat.
struct CatConfig : models::ModelConfig {
  gat::GeneratorConfig generator{};
  gat::DiscriminatorConfig discriminator{};
  ScaleConfig scales{};
  void bind(config::Binder& b) override;
  std::unique_ptr<Model> build(const ImageShape& shape, const nn::Init& init) const override;
};

}  // namespace gigacat::models::cat
