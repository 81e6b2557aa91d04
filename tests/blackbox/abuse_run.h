// AbuseRun: a millraced with two steady clients, and one kind of abuse after the other.
//
// Threads: one, and those of its clients and abusers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/blackbox/abuser.h"
#include "tests/blackbox/server_process.h"
#include "tests/blackbox/steady_client.h"
#include "tests/support/temporary_directory.h"

namespace millrace::blackbox {

struct AbuseOptions {
  std::string server;
  std::string reactor = "auto";
  uint64_t connections = 200;  // slow ones; of the deaf a tenth
  uint64_t byte_ms = 1'000;
  uint64_t connects_per_second = 2'000;
  uint64_t phase_ms = 1'000;
  uint64_t rounds = 1;
  std::string only{};  // a kind; empty: all
  bool strict = false;
};

// What is promised.
// What others keep is what the abuse leaves of the server's core. Their rate is measured and told,
// too; but on a machine that does other things it says more about those.
inline constexpr double kRateKeptMin = 0.9;
inline constexpr uint64_t kBytesPerConnectionMax = 64 << 10;

class AbuseRun {
 public:
  explicit AbuseRun(const AbuseOptions& options) : options_(options) {}
  ~AbuseRun();

  // 0: all as it must be; 1: not; 2: the run itself failed; 77: the reactor cannot be had.
  int go();

 private:
  struct Rates {
    std::vector<double> quiet, abused;  // turns a second, of each client and round
    std::vector<double> shares;         // of the server's core, taken by the abuse alone
  };
  struct Kind {
    const char* name;
    std::function<std::unique_ptr<Abuser>(const AbuseTarget&)> make;
    // Its cost to the machine is large: it is compared with the same done to listeners that do
    // nothing.
    bool compared_with_harmless = false;
    bool rate_is_promised = true;
    bool bytes_are_promised = false;  // for each of its connections
  };

  int start();
  bool start_clients();
  bool abuse(const Kind& kind);
  bool one_round(const Kind& kind, Abuser& abuser, Abuser* harmless, Rates& rates);
  // What happens while `abuser`, if there is one, does its work.
  struct Phase {
    std::vector<double> turns;  // a second, of each client
    double share = 0;           // processor time of the server, of one core
  };
  Phase measure(Abuser* abuser);
  Phase measure_alone(Abuser& abuser);  // the clients pause
  bool steady() const;
  bool descriptors_go_back();
  bool stop_under_load();
  bool all_is_there(const std::vector<std::string>& acknowledged);

  ServerCommand command() const;
  uint64_t anonymous_kb() const;
  double processor_seconds() const;
  uint64_t descriptors() const;
  bool violated(const std::string& what);

  const AbuseOptions options_;
  TemporaryDirectory folder_;
  ServerProcess server_;
  AbuseTarget target_;
  std::vector<std::unique_ptr<SteadyClient>> clients_;
  uint64_t descriptors_before_ = 0;
  uint64_t made_ = 0;  // connections of all abusers
  int violations_ = 0;
};

}  // namespace millrace::blackbox
