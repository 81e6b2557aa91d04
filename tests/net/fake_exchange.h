// FakeExchange: a request that is not answered, or was, and with what. For tests of fronts.
#pragma once

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "net/http/front.h"

namespace millrace::net::test {

class FakeExchange : public HttpExchange {
 public:
  virtual ~FakeExchange() = default;
  bool answered = false;
  int answers = 0;
  uint16_t status = 0;
  std::string content_type;
  std::map<std::string, std::string> fields;
  std::string body;

  void answer(const HttpResponse& response) override {
    EXPECT_FALSE(answered);
    answered = true;
    ++answers;
    status = response.status;
    content_type = response.content_type;
    for (const HttpField& field : response.fields)
      fields[std::string(field.name)] = field.value;
    body = response.body;
  }
};

}  // namespace millrace::net::test
