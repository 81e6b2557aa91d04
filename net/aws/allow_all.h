// AllowAll: the authorizer of a server without credentials. Any signature will do, or none; only
// the region is read from its scope.
#pragma once

#include <string>
#include <string_view>

#include "net/aws/authorizer.h"

namespace millrace::net {

class AllowAll final : public Authorizer {
 public:
  AllowAll(std::string account, std::string region);
  AwsError authenticate(const HttpRequest& request, std::string_view service,
                        Caller* caller) override;
  AwsError authorize(const HttpRequest& request, const Caller& caller,
                     const Access& access) override;
  bool service_may(std::string_view, std::string_view, const Access&) override { return true; }

 private:
  std::string account_;
  std::string region_;
  std::string arn_;
};

}  // namespace millrace::net
