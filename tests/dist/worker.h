// Scenarios that one rank of a test plays.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "gigacat/core/error.h"
#include "gigacat/dist/group.h"

namespace gigacat::test {

using Scenario = void (*)(const std::shared_ptr<dist::Group>& group);

std::map<std::string, Scenario> gradient_scenarios();

inline void expect(bool condition, const std::string& what) {
  if (!condition) fail("expected: ", what);
}

}  // namespace gigacat::test
