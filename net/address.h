// Addresses to listen on, as people write them: "127.0.0.1:7411", "[::1]:7411", "localhost:7411",
// "unix:/run/millrace.sock", "off". Port 0: the kernel chooses. Names are not looked up.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/socket.h>

#include "millrace/result.h"

namespace millrace::net {

enum class AddressKind : uint8_t { off, tcp, local };

struct Address {
  AddressKind kind = AddressKind::off;
  sockaddr_storage bytes{};
  socklen_t length = 0;

  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&bytes); }
  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&bytes); }
  bool loopback() const;     // nobody outside this machine reaches it
  std::string path() const;  // of a local socket
  std::string text() const;  // as parse_address() takes it
};

// Error: invalid_argument; `message` then says what is wrong and what is allowed.
Result<Address> parse_address(std::string_view text, std::string* message);

}  // namespace millrace::net
