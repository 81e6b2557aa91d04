#include "net/admission.h"

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
    std::memcpy(peer.address.data(), &reinterpret_cast<sockaddr_in*>(&bytes)->sin_addr,
                sizeof(in_addr));
  } else if (bytes.ss_family == AF_INET6) {
    peer.local = false;
    std::memcpy(peer.address.data(), &reinterpret_cast<sockaddr_in6*>(&bytes)->sin6_addr,
                sizeof(in6_addr));
  }
  return peer;
}

std::string Admission::enter(const Peer& peer) {
  const std::lock_guard lock(mutex_);
  if (connections_ >= limits_.connections_max) {
    return fmt::format("{} connections are open, as many as this server takes",
                       limits_.connections_max);
  }
  const auto found = greeting_.find(peer);
  if (!peer.local && found != greeting_.end() &&
      found->second >= limits_.prelogin_per_address_max) {
    return fmt::format("{} connections of this address have not said HELLO yet",
                       limits_.prelogin_per_address_max);
  }
  ++greeting_[peer];
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
  const auto found = greeting_.find(peer);
  if (--found->second == 0) greeting_.erase(found);
}

}  // namespace millrace::net
