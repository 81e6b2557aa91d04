// A table of requests and what they are refused with, run in both protocols.
#pragma once

#include <span>

#include "tests/net/sqs/sqs_harness.h"

namespace millrace::net::sqs {

struct Refusal {
  const char* action;
  // JSON; JOBS and FIFO stand for the URLs of a standard and of a FIFO queue, LONG for 129 letters.
  const char* input;
  const char* error;  // "Code: message"
  uint16_t status = 400;
};

class RefusalTest : public SqsTest {
 protected:
  void SetUp() override {
    SqsTest::SetUp();
    jobs_ = make("jobs");
    fifo_ = make_fifo("jobs.fifo");
  }
  std::string filled_in(std::string text) const {
    const auto replace = [&](std::string_view what, const std::string& by) {
      for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
        text.replace(at, what.size(), by);
    };
    replace("JOBS", jobs_);
    replace("FIFO", fifo_);
    replace("LONG", std::string(129, 'a'));
    return text;
  }
  void expect_all(std::span<const Refusal> rows) {
    for (const Refusal& row : rows) {
      const Json input = Json::parse(filled_in(row.input));
      EXPECT_EQ(refused(row.action, input, row.status), filled_in(row.error))
          << row.action << " " << row.input;
    }
    // None of it did anything.
    EXPECT_EQ(attribute(jobs_, "ApproximateNumberOfMessages"), "0");
    EXPECT_EQ(attribute(fifo_, "ApproximateNumberOfMessages"), "0");
  }

  std::string jobs_;
  std::string fifo_;
};

}  // namespace millrace::net::sqs
