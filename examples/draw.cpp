// Draws four images of an exported generator: draw GENERATOR.safetensors OUT.png
#include <iostream>

#include "gigacat/sample/sample.h"
#include "gigacat/core/error.h"

int main(int count, char** words) {
  if (count != 3) return 2;
  gigacat::sample::SampleRequest request;
  request.from = words[1];
  request.out = words[2];
  request.count = 4;
  try {
    const auto group = gigacat::dist::Group::create({}, at::kCPU);
    std::cout << gigacat::sample::write_samples(request, *group).written << " images in " << words[2] << "\n";
  } catch (const gigacat::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
