#include "net/admission.h"

#include <arpa/inet.h>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/format.h>

namespace millrace::net {

Peer Peer::of(int socket) {
  sockaddr_storage bytes{};
  socklen_t length = sizeof bytes;
  Peer peer;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&bytes), &length) != 0) return peer;
  if (bytes.ss_family == AF_INET) {
    peer.local = false;
    peer.port = ntohs(reinterpret_cast<sockaddr_in*>(&bytes)->sin_port);
    std::memcpy(peer.address.data(), &reinterpret_cast<sockaddr_in*>(&bytes)->sin_addr,
                sizeof(in_addr));
  } else if (bytes.ss_family == AF_INET6) {
    peer.local = false;
    peer.six = true;
    peer.port = ntohs(reinterpret_cast<sockaddr_in6*>(&bytes)->sin6_port);
    std::memcpy(peer.address.data(), &reinterpret_cast<sockaddr_in6*>(&bytes)->sin6_addr,
                sizeof(in6_addr));
  } else if (bytes.ss_family == AF_UNIX) {
    ucred process{};
    socklen_t size = sizeof process;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &process, &size) == 0)
      peer.port = static_cast<uint32_t>(process.pid);
  }
  return peer;
}

bool Peer::loopback() const {
  if (local) return false;
  if (!six) return address[0] == 127;
  return std::memcmp(address.data(), &in6addr_loopback, sizeof in6addr_loopback) == 0;
}

std::string Peer::text() const {
  if (local) return {};
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(six ? AF_INET6 : AF_INET, address.data(), text, sizeof text);
  return text;
}

std::string Peer::name() const {
  if (local) return fmt::format("process {}", port);
  return six ? fmt::format("[{}]:{}", text(), port) : fmt::format("{}:{}", text(), port);
}

Peer Peer::without_port() const {
  Peer all = *this;
  all.port = 0;
  return all;
}

std::string Admission::enter(const Peer& peer, bool logged_in) {
  const std::lock_guard lock(mutex_);
  if (connections_ >= limits_.connections_max) {
    return fmt::format("{} connections are open, as many as this server takes",
                       limits_.connections_max);
  }
  if (!logged_in) {
    uint32_t& greeting = greeting_[peer.without_port()];
    if (!peer.local && greeting >= limits_.prelogin_per_address_max) {
      return fmt::format("{} connections of this address have not logged in yet",
                         limits_.prelogin_per_address_max);
    }
    ++greeting;
  }
  ++connections_;
  return {};
}

void Admission::logged_in(const Peer& peer) {
  const std::lock_guard lock(mutex_);
  forget_greeting(peer);
}

void Admission::leave(const Peer& peer, bool was_logged_in) {
  const std::lock_guard lock(mutex_);
  --connections_;
  if (!was_logged_in) forget_greeting(peer);
}

uint32_t Admission::connections() const {
  const std::lock_guard lock(mutex_);
  return connections_;
}

void Admission::forget_greeting(const Peer& peer) {
  const auto found = greeting_.find(peer.without_port());
  if (--found->second == 0) greeting_.erase(found);
}

}  // namespace millrace::net
