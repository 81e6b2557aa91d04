#include "net/reactor.h"

#include <cstdlib>

#include "net/epoll_reactor.h"
#include "net/uring_reactor.h"

namespace millrace::net {
namespace {

Result<ReactorKind> kind_from_environment(std::string* reason) {
  const char* value = std::getenv("MILLRACE_REACTOR");
  const std::string_view text = value == nullptr ? "" : value;
  if (text.empty() || text == "auto") return ReactorKind::automatic;
  if (text == "uring") return ReactorKind::uring;
  if (text == "epoll") return ReactorKind::epoll;
  *reason = "MILLRACE_REACTOR is '" + std::string(text) + "'; allowed are auto, uring and epoll";
  return fail(Errc::unsupported);
}

}  // namespace

Result<std::unique_ptr<Reactor>> make_reactor(const ReactorOptions& options, std::string* reason) {
  ReactorKind kind = options.kind;
  std::string asked = "asked for";
  if (kind == ReactorKind::automatic) {
    const Result<ReactorKind> wish = kind_from_environment(reason);
    if (!wish) return fail(wish.error());
    kind = *wish;
    asked = "asked for by MILLRACE_REACTOR";
  }
  if (kind == ReactorKind::epoll) {
    auto reactor = EpollReactor::make(options, reason);
    if (reactor) *reason = "epoll, " + asked;
    return reactor;
  }
  std::string uring_reason;
  auto uring = UringReactor::make(options, &uring_reason);
  if (uring || kind == ReactorKind::uring) {
    *reason = uring_reason;
    return uring;
  }
  auto epoll = EpollReactor::make(options, reason);
  if (epoll) *reason = "epoll, since " + uring_reason;
  return epoll;
}

}  // namespace millrace::net
