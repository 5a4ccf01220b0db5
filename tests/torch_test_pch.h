// Precompiled for tests with LibTorch.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../src/torch_pch.h"
