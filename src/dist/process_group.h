// The group of several processes.
#pragma once

#include "dist/hang_detector.h"
#include "gigacat/dist/group.h"

namespace gigacat::dist {

// Connects this rank with the others by Gloo, and by NCCL when the device is a GPU. Errors: as Group::create.
std::shared_ptr<Group> make_process_group(const Environment& environment, at::Device device,
                                          const GroupOptions& options);

// The hang detector of a group; null for a group of one.
HangDetector* hang_detector_of(Group& group);

// Checks that all ranks hold as many tensors of the same shapes. Errors: Error.
void check_same_shapes(Group& group, const std::vector<at::Tensor>& tensors, const char* what);

// Arguments that are wrong in any group. Errors: InternalError.
void check_reducible(const at::Tensor& tensor, Reduce op, const char* what);
void check_root(int root, int size, const char* what);

}  // namespace gigacat::dist
