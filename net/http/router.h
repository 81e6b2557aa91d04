// HttpRouter: which front answers a path.
//
//   router.add("/metrics", router.own(std::make_unique<MetricsFront>(port)));  // this path
//   router.add("/console/", console);                                          // all below it
//   router.add_for_others(sqs);                                                // what is left
//
// Owns the fronts, outlives the exchanges that they answer. A path is compared as it was sent, with
// its percent signs. Threads: shard-local. Memory: a few entries; looked through one by one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http/front.h"

namespace millrace::net {

class HttpRouter {
 public:
  HttpFront& own(std::unique_ptr<HttpFront> front) {
    fronts_.push_back(std::move(front));
    return *fronts_.back();
  }
  void add(std::string path, HttpFront& front) { routes_.push_back({std::move(path), &front}); }
  void add_for_others(HttpFront& front) { others_ = &front; }

  // For fronts that have helpers on other threads: `turn` is called once in each turn of the
  // shard's loop, which wake() brings about from any thread.
  void add_turn(std::function<void()> turn) { turns_.push_back(std::move(turn)); }
  void turn() {
    for (const auto& one : turns_)
      one();
  }
  void use_waker(std::function<void()> wake) { wake_ = std::move(wake); }
  const std::function<void()>& waker() const { return wake_; }

  // Null if nobody answers it. The first that was added wins.
  HttpFront* find(std::string_view path) const {
    for (const Route& route : routes_) {
      const bool below = route.path.ends_with('/') && path.starts_with(route.path);
      if (below || path == route.path) return route.front;
    }
    return others_;
  }

 private:
  struct Route {
    std::string path;
    HttpFront* front;
  };
  std::vector<std::unique_ptr<HttpFront>> fronts_;
  std::vector<Route> routes_;
  HttpFront* others_ = nullptr;
  std::vector<std::function<void()>> turns_;
  std::function<void()> wake_;
};

}  // namespace millrace::net
