#include "storage/mapped_files.h"

#include <memory>

#include <gtest/gtest.h>

namespace millrace::storage {
namespace {

TEST(MappedFiles, FindsTheFileAndTheOffsetOfAnAddress) {
  const auto files = std::make_unique<MappedFiles>();
  const std::byte memory[300] = {};
  const Bytes all(memory);
  files->add(all.subspan(0, 100), 3);
  files->add(all.subspan(200, 100), 4);
  ASSERT_TRUE(files->find(memory));
  EXPECT_EQ(files->find(memory)->fd, 3);
  EXPECT_EQ(files->find(memory + 99)->offset, 99u);
  EXPECT_FALSE(files->find(memory + 100));
  EXPECT_EQ(files->find(memory + 201)->fd, 4);
  EXPECT_EQ(files->find(memory + 201)->offset, 1u);
  EXPECT_FALSE(files->find(nullptr));
}

TEST(MappedFiles, ForgetsWhatIsRemovedAndUsesItsPlaceAgain) {
  const auto files = std::make_unique<MappedFiles>();
  const std::byte memory[8] = {};
  for (size_t i = 0; i < 3 * MappedFiles::kPlaces; ++i) {
    files->add(Bytes(memory).subspan(i % 8, 1), static_cast<int>(i));
    ASSERT_TRUE(files->find(memory + i % 8));
    ASSERT_EQ(files->find(memory + i % 8)->fd, static_cast<int>(i));
    files->remove(memory + i % 8);
    ASSERT_FALSE(files->find(memory + i % 8));
  }
}

TEST(MappedFiles, WhatFindsNoPlaceIsNotFound) {
  const auto files = std::make_unique<MappedFiles>();
  const auto memory = std::make_unique<std::byte[]>(MappedFiles::kPlaces + 1);
  for (size_t i = 0; i <= MappedFiles::kPlaces; ++i)
    files->add({memory.get() + i, 1}, 1);
  EXPECT_TRUE(files->find(memory.get() + MappedFiles::kPlaces - 1));
  EXPECT_FALSE(files->find(memory.get() + MappedFiles::kPlaces));
}

}  // namespace
}  // namespace millrace::storage
