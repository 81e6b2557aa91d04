// The contract of storage/disk.h as tests, the same for every backend. A backend's test program
// compiles disk_contract.cc and instantiates DiskContract with what makes one of it:
//
//   INSTANTIATE_TEST_SUITE_P(Real, DiskContract, testing::Values(make_real), ...);
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "storage/disk.h"

namespace millrace::storage {

class DiskUnderTest {
 public:
  virtual ~DiskUnderTest() = default;
  virtual Disk& disk() = 0;
  // Closes the Disk and opens another on the same data, as a process that starts again.
  virtual void reopen() = 0;
  // A second Disk on the same data while the first lives.
  virtual std::unique_ptr<Disk> second() = 0;
  // Lets jobs go on until there is something to reap.
  virtual void wait_for_jobs() = 0;
  // Puts something at `path` that is not a regular file; false if the backend knows no such thing.
  virtual bool plant_link(std::string_view path) = 0;
};

using MakeDiskUnderTest = std::unique_ptr<DiskUnderTest> (*)();

class DiskContract : public testing::TestWithParam<MakeDiskUnderTest> {
 protected:
  DiskContract() : under_test_(GetParam()()) {}

  Disk& disk() { return under_test_->disk(); }
  FileId make_file(std::string_view path, std::string_view content);
  std::string content_of(FileId file);
  std::string content_of(std::string_view path);
  std::vector<std::string> names_in(std::string_view directory);
  Status write_text(FileId file, uint64_t offset, std::string_view text);
  Completion run(Job job);

  std::unique_ptr<DiskUnderTest> under_test_;
};

}  // namespace millrace::storage
