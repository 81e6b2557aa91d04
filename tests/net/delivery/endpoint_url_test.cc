// The URLs of endpoints: what host they really have.
#include "net/delivery/endpoint_url.h"

#include <gtest/gtest.h>

namespace millrace::net::delivery {
namespace {

TEST(EndpointUrl, HasAHostInItsPlainForm) {
  const std::pair<const char*, const char*> kHosts[] = {
      {"http://hooks.example.com/a?b=c", "hooks.example.com"},
      {"https://hooks.example.com:8443", "hooks.example.com"},
      {"http://2130706433/", "127.0.0.1"},
      {"http://0x7f.1/", "127.0.0.1"},
      {"http://0177.0.0.1/", "127.0.0.1"},
      {"http://127.1/", "127.0.0.1"},
      {"http://[::1]:80/", "::1"},
      {"http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1"}};
  for (const auto& [url, host] : kHosts) {
    std::string why;
    const auto endpoint = parse_endpoint(url, &why);
    ASSERT_TRUE(endpoint) << url << ": " << why;
    EXPECT_EQ(endpoint->host, host) << url;
  }
}

TEST(EndpointUrl, NothingElseIsOne) {
  for (const char* url : {"", "http://", "ftp://a/", "file:///etc/passwd", "a", "//a",
                          "http://a b/", "http://a\r\nx: y/", "gopher://a/", "http://a:99999/",
                          "http://\xC3\xA4/", "unix:/run/x", "http://[::1"}) {
    std::string why;
    EXPECT_FALSE(parse_endpoint(url, &why)) << url;
    EXPECT_EQ(why, "it is no URL") << url;
  }
  for (const char* url : {"http://me@a/", "http://me:secret@a/", "http://:secret@a/"}) {
    std::string why;
    EXPECT_FALSE(parse_endpoint(url, &why)) << url;
    EXPECT_NE(why.find("no user and no password"), std::string::npos) << url;
  }
}

}  // namespace
}  // namespace millrace::net::delivery
