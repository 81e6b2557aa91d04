#include "net/delivery/poster.h"

#include <algorithm>
#include <cstring>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <curl/curl.h>
#include <fmt/format.h>

#include "base/assert.h"
#include "base/os_clock.h"
#include "net/delivery/endpoint_url.h"

namespace millrace::net::delivery {
namespace {

constexpr int kIdlePollMs = 60'000;

std::optional<IpAddress> address_of(const ::sockaddr& socket) {
  IpAddress address{};
  if (socket.sa_family == AF_INET6) {
    ::sockaddr_in6 six{};
    std::memcpy(&six, &socket, sizeof six);
    std::memcpy(address.data(), &six.sin6_addr, address.size());
    return address;
  }
  if (socket.sa_family != AF_INET) return std::nullopt;
  ::sockaddr_in four{};
  std::memcpy(&four, &socket, sizeof four);
  address[10] = address[11] = 0xff;
  std::memcpy(address.data() + 12, &four.sin_addr, sizeof four.sin_addr);
  return address;
}

}  // namespace

// libcurl's side: the posts that are under way. All on the poster's thread but wake().
class Poster::Transfers {
 public:
  Transfers(const Reach& reach, const std::string& authorities)
      : reach_(reach), authorities_(authorities) {
    static const CURLcode ready = ::curl_global_init(CURL_GLOBAL_DEFAULT);
    MR_ASSERT(ready == CURLE_OK);
    multi_ = ::curl_multi_init();
    MR_ASSERT(multi_ != nullptr);
    ::curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(kTransfersMax));
  }
  ~Transfers() {
    while (!transfers_.empty())
      end(*transfers_.begin()->second);
    ::curl_multi_cleanup(multi_);
  }
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;

  void wake() { ::curl_multi_wakeup(multi_); }
  bool has_room() const { return transfers_.size() < kTransfersMax; }
  void wait(int ms) { ::curl_multi_poll(multi_, nullptr, 0, ms, nullptr); }

  void start(Job job) {
    auto transfer = std::make_unique<Transfer>(*this, std::move(job));
    std::string why;
    const auto endpoint = parse_endpoint(transfer->job.post.url, &why);
    ::CURL* const easy = endpoint ? ::curl_easy_init() : nullptr;
    if (easy == nullptr) {
      Posted posted{std::move(transfer->job.post)};
      posted.fault = endpoint ? "there is no memory" : why;
      return transfer->job.answers->put({transfer->job.number, std::move(posted)});
    }
    transfer->easy = easy;
    transfer->host = endpoint->host;
    set_up(*transfer);
    ::curl_multi_add_handle(multi_, easy);
    transfers_[easy] = std::move(transfer);
  }

  // Takes what the sockets have, and answers what is done.
  void perform() {
    int running = 0;
    ::curl_multi_perform(multi_, &running);
    int left = 0;
    while (const ::CURLMsg* message = ::curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      Transfer& transfer = *transfers_.at(message->easy_handle);
      Posted posted = result_of(transfer, message->data.result);
      const std::shared_ptr<Answers> answers = transfer.job.answers;
      const uint64_t number = transfer.job.number;
      end(transfer);
      answers->put({number, std::move(posted)});
    }
  }

 private:
  struct Transfer {
    Transfer(Transfers& of_, Job job_) : of(of_), job(std::move(job_)) {}
    Transfers& of;
    Job job;
    ::CURL* easy = nullptr;
    ::curl_slist* fields = nullptr;
    std::string host;
    bool allowed = true;
    bool found = false;  // an address
    size_t answer_bytes = 0;
    char error[CURL_ERROR_SIZE] = {};
  };

  // Whoever is called must not throw, and nothing here does.
  static ::curl_socket_t open_socket(void* from, ::curlsocktype, ::curl_sockaddr* where) {
    Transfer& transfer = *static_cast<Transfer*>(from);
    const auto address = address_of(where->addr);
    const bool allowed = address && transfer.of.reach_.allows(transfer.host, *address);
    transfer.found = true;
    transfer.allowed = transfer.allowed && allowed;
    if (!allowed || transfer.job.post.look_only) return CURL_SOCKET_BAD;
    return ::socket(where->family, where->socktype | SOCK_CLOEXEC, where->protocol);
  }
  static size_t take(char*, size_t size, size_t count, void* from) {
    Transfer& transfer = *static_cast<Transfer*>(from);
    transfer.answer_bytes += size * count;
    return transfer.answer_bytes > kAnswerBytesMax ? 0 : size * count;
  }

  void set_up(Transfer& transfer) {
    ::CURL* const easy = transfer.easy;
    const Post& post = transfer.job.post;
    ::curl_easy_setopt(easy, CURLOPT_PRIVATE, &transfer);
    ::curl_easy_setopt(easy, CURLOPT_URL, post.url.c_str());
    ::curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    ::curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    ::curl_easy_setopt(easy, CURLOPT_PROXY, "");  // whatever the environment says
    ::curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
    ::curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &transfer);
    // On a connection that is there nothing would be looked up, and the post be sent.
    ::curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, post.look_only ? 1L : 0L);
    ::curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
    ::curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, kTotalMs);
    ::curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    // A name server that does not answer must not hold this thread.
    ::curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    ::curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    ::curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    ::curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    ::curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (!authorities_.empty()) ::curl_easy_setopt(easy, CURLOPT_CAINFO, authorities_.c_str());
    ::curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer.error);
    ::curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &take);
    ::curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
    ::curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &take);
    ::curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
    ::curl_easy_setopt(easy, CURLOPT_USERAGENT, "Amazon Simple Notification Service Agent");
    transfer.fields = ::curl_slist_append(transfer.fields, "Expect:");
    for (const std::string& field : post.fields)
      transfer.fields = ::curl_slist_append(transfer.fields, field.c_str());
    ::curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.fields);
    ::curl_easy_setopt(easy, CURLOPT_POST, 1L);
    ::curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                       static_cast<::curl_off_t>(post.body.size()));
    ::curl_easy_setopt(easy, CURLOPT_POSTFIELDS, post.body.c_str());
  }

  Posted result_of(Transfer& transfer, ::CURLcode code) {
    Posted posted{std::move(transfer.job.post)};
    long status = 0;
    ::curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    // Of an answer that is too long the status is there all the same.
    const bool answered = code == CURLE_OK || code == CURLE_WRITE_ERROR;
    if (answered && !posted.post.look_only) posted.status = static_cast<int>(status);
    posted.allowed = transfer.allowed;
    if (!transfer.allowed)
      posted.fault = fmt::format("'{}' leads to an address that may not be reached", transfer.host);
    else if (posted.post.look_only ? !transfer.found : posted.status == 0)
      posted.fault = transfer.error[0] != '\0' ? transfer.error : ::curl_easy_strerror(code);
    return posted;
  }

  void end(Transfer& transfer) {
    ::CURL* const easy = transfer.easy;
    ::curl_multi_remove_handle(multi_, easy);
    ::curl_easy_cleanup(easy);
    ::curl_slist_free_all(transfer.fields);
    transfers_.erase(easy);
  }

  const Reach& reach_;
  const std::string& authorities_;
  ::CURLM* multi_ = nullptr;
  std::unordered_map<::CURL*, std::unique_ptr<Transfer>> transfers_;
};

Poster::Poster(Reach reach, std::string authorities)
    : reach_(std::move(reach)),
      authorities_(std::move(authorities)),
      transfers_(std::make_unique<Transfers>(reach_, authorities_)),
      thread_([this] { run(); }) {}

Poster::~Poster() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  transfers_->wake();
  thread_.join();
}

void Poster::add(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  transfers_->wake();
}

void Poster::remind(Reminder reminder) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(reminders_,
                  [&](const Reminder& known) { return known.answers == reminder.answers; });
    reminders_.push_back(std::move(reminder));
  }
  transfers_->wake();
}

int Poster::wake_due() {
  const int64_t now_ns = base::os_monotonic_ns();
  int64_t wait_ns = int64_t{kIdlePollMs} * kMsNs;
  for (size_t i = 0; i < reminders_.size();) {
    Reminder& one = reminders_[i];
    if (one.at_ns > now_ns) {
      wait_ns = std::min(wait_ns, one.at_ns - now_ns);
      ++i;
      continue;
    }
    one.answers->wake_up();
    reminders_.erase(reminders_.begin() + static_cast<ptrdiff_t>(i));
  }
  return static_cast<int>(wait_ns / kMsNs) + 1;
}

void Poster::run() {
  while (true) {
    int wait_ms = 0;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      wait_ms = wake_due();
    }
    transfers_->perform();
    while (transfers_->has_room()) {
      std::unique_lock lock(mutex_);
      if (jobs_.empty()) break;
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      transfers_->start(std::move(job));
    }
    transfers_->wait(wait_ms);
  }
}

PostingDesk::PostingDesk(Poster& poster, std::function<void()> wake)
    : poster_(poster), answers_(std::make_shared<Poster::Answers>(std::move(wake))) {}

PostingDesk::~PostingDesk() {
  answers_->close();
}

void PostingDesk::post(Post post, Done done) {
  waiting_[++next_] = std::move(done);
  poster_.add({answers_, next_, std::move(post)});
}

void PostingDesk::wake_in(int64_t ms) {
  poster_.remind({answers_, base::os_monotonic_ns() + ms * kMsNs});
}

bool PostingDesk::turn() {
  std::vector<Poster::Answer> done;
  if (!answers_->take(&done)) return false;
  for (Poster::Answer& one : done) {
    const auto found = waiting_.find(one.number);
    const Done call = std::move(found->second);
    waiting_.erase(found);
    call(one.posted);
  }
  return true;
}

}  // namespace millrace::net::delivery
