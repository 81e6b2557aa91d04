#include "net/address.h"

#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <netinet/in.h>
#include <sys/un.h>

#include <fmt/format.h>

namespace millrace::net {
namespace {

constexpr std::string_view kLocalPrefix = "unix:";

Result<Address> parse_local(std::string_view path, std::string* message) {
  Address address;
  address.kind = AddressKind::local;
  auto* local = reinterpret_cast<sockaddr_un*>(&address.bytes);
  if (path.empty() || path.size() >= sizeof local->sun_path) {
    *message = fmt::format("the path of a unix socket is 1 to {} bytes long; '{}' has {}",
                           sizeof local->sun_path - 1, path, path.size());
    return fail(Errc::invalid_argument);
  }
  local->sun_family = AF_UNIX;
  std::memcpy(local->sun_path, path.data(), path.size());
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

bool parse_host(const std::string& host, uint16_t port, Address& address) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.bytes);
  if (::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.length = sizeof *v4;
    return true;
  }
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return false;
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.bytes);
  if (::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6->sin6_addr) != 1) {
    return false;
  }
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  address.length = sizeof *v6;
  return true;
}

}  // namespace

Result<Address> parse_address(std::string_view text, std::string* message) {
  if (text == "off") return Address{};
  if (text.substr(0, kLocalPrefix.size()) == kLocalPrefix) {
    return parse_local(text.substr(kLocalPrefix.size()), message);
  }
  const size_t colon = text.rfind(':');
  uint16_t port = 0;
  bool port_is_number = false;
  if (colon != std::string_view::npos) {
    const std::string_view digits = text.substr(colon + 1);
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, port);
    port_is_number = error == std::errc{} && stop == end;
  }
  if (!port_is_number) {
    *message = fmt::format(
        "'{}' has no port of 0 to 65535: an address is HOST:PORT, [IPv6]:PORT, "
        "unix:PATH or off",
        text);
    return fail(Errc::invalid_argument);
  }
  std::string host(text.substr(0, colon));
  if (host == "localhost") host = "127.0.0.1";
  Address address;
  address.kind = AddressKind::tcp;
  if (!parse_host(host, port, address)) {
    *message = fmt::format(
        "'{}' is not a numeric address: 127.0.0.1, [::1] or localhost, for "
        "example",
        host);
    return fail(Errc::invalid_argument);
  }
  return address;
}

bool Address::loopback() const {
  if (kind != AddressKind::tcp) return true;
  if (bytes.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&bytes);
    return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&bytes);
  return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

std::string Address::path() const {
  return reinterpret_cast<const sockaddr_un*>(&bytes)->sun_path;
}

std::string Address::text() const {
  if (kind == AddressKind::off) return "off";
  if (kind == AddressKind::local) return std::string(kLocalPrefix) + path();
  char host[INET6_ADDRSTRLEN] = {};
  if (bytes.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&bytes);
    ::inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    return fmt::format("{}:{}", host, ntohs(v4->sin_port));
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&bytes);
  ::inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
  return fmt::format("[{}]:{}", host, ntohs(v6->sin6_port));
}

}  // namespace millrace::net
