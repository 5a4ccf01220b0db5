// Names of torch's storage classes.
#pragma once

#include <c10/core/ScalarType.h>

#include <optional>
#include <string_view>

namespace gigacat::weights {

// Type of the elements of "torch.FloatStorage" and its kin; nothing for other names.
std::optional<at::ScalarType> storage_type(std::string_view name);
// Errors: InternalError for a type without a storage class.
std::string_view storage_name(at::ScalarType type);

}  // namespace gigacat::weights
