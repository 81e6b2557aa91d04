// plain_http: a second reader of HTTP/1.1 requests, to compare ours with: RFC 9112 to the letter,
// no state machine, no leniency, one pass over the whole stream. It says which requests a stream
// holds; a front must be given these and no others, or two readers on one connection would see
// different requests (request smuggling).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace millrace::fuzz {

struct PlainRequest {
  std::string method;
  std::string target;
  std::string body;
  bool ends = false;   // nothing is read behind it
  bool usual = false;  // of the kind that everybody takes
};

class PlainHttp {
 public:
  explicit PlainHttp(std::string_view stream) : rest_(stream) {}

  // The next whole request; nothing when there is none, or no more is to be read.
  std::optional<PlainRequest> next() {
    if (over_) return std::nullopt;
    over_ = true;
    PlainRequest request;
    // Of empty lines before a request one at least should be passed over, says RFC 9112.
    while (rest_.starts_with("\r\n")) {
      rest_.remove_prefix(2);
      blank_ = true;
    }
    const auto line = take_line();
    if (!line || !read_first(*line, request) || !read_fields(request) || !read_body(request))
      return std::nullopt;
    over_ = request.ends;
    if (std::exchange(blank_, false)) request.usual = false;
    return request;
  }

 private:
  static bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
             std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    });
  }
  static std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    return out;
  }
  static std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
      text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
      text.remove_suffix(1);
    return text;
  }

  // A line without its CR LF; no other line end is one.
  std::optional<std::string_view> take_line() {
    const size_t feed = rest_.find('\n');
    if (feed == std::string_view::npos || feed == 0 || rest_[feed - 1] != '\r') return std::nullopt;
    const std::string_view line = rest_.substr(0, feed - 1);
    if (line.find('\r') != std::string_view::npos) return std::nullopt;
    rest_.remove_prefix(feed + 1);
    return line;
  }

  bool read_first(std::string_view line, PlainRequest& request) {
    const size_t one = line.find(' ');
    const size_t two = line.rfind(' ');
    if (one == std::string_view::npos || one == two) return false;
    request.method = line.substr(0, one);
    request.target = line.substr(one + 1, two - one - 1);
    const std::string_view version = line.substr(two + 1);
    if (version != "HTTP/1.1" && version != "HTTP/1.0") return false;
    old_ = version == "HTTP/1.0";
    for (const char c : request.target)
      if (c == ' ' || static_cast<unsigned char>(c) < 0x21 || c == 0x7F) return false;
    return is_token(request.method) && !request.target.empty();
  }

  bool read_fields(PlainRequest& request) {
    length_.reset();
    chunked_ = false;
    int hosts = 0;
    std::string host;
    std::string connection;
    request.usual = !old_ && request.target.starts_with('/') &&
                    (request.method == "GET" || request.method == "POST");
    for (const char c : request.target)
      if (static_cast<unsigned char>(c) > 0x7E || c == '#') request.usual = false;
    for (int count = 0;; ++count) {
      const auto line = take_line();
      if (!line) return false;
      if (line->empty()) break;
      const size_t colon = line->find(':');
      if (colon == std::string_view::npos || !is_token(line->substr(0, colon))) return false;
      const std::string name = lower(line->substr(0, colon));
      const std::string_view value = trimmed(line->substr(colon + 1));
      for (const char c : value)
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F) return false;
      if (name == "host") {
        ++hosts;
        host = value;
      } else if (name == "connection") {
        connection += "," + lower(value);
      } else if (name == "content-length") {
        if (length_ || value.empty() || value.size() > 15) return false;
        uint64_t length = 0;
        for (const char c : value) {
          if (c < '0' || c > '9') return false;
          length = length * 10 + static_cast<uint64_t>(c - '0');
        }
        length_ = length;
      } else if (name == "transfer-encoding") {
        if (chunked_ || lower(value) != "chunked" || old_) return false;
        chunked_ = true;
      } else if (!name.starts_with("x-")) {
        request.usual = false;
      }
      if (count >= 8 || name.size() + value.size() > 100) request.usual = false;
    }
    if ((length_ && chunked_) || hosts > 1 || (hosts == 0 && !old_)) return false;
    if (request.target.size() > 200 || host.empty()) request.usual = false;
    strip_authority(request.target);
    read_connection(connection, request);
    return true;
  }

  // http://host/path is /path.
  static void strip_authority(std::string& target) {
    const size_t scheme = target.find("://");
    if (target.starts_with('/') || scheme == std::string::npos) return;
    const size_t path = target.find('/', scheme + 3);
    target = path == std::string::npos ? "/" : target.substr(path);
  }

  void read_connection(std::string_view options, PlainRequest& request) const {
    bool close = false;
    bool keep = false;
    while (!options.empty()) {
      const size_t comma = std::min(options.find(','), options.size());
      const std::string_view option = trimmed(options.substr(0, comma));
      close |= option == "close";
      keep |= option == "keep-alive";
      if (!option.empty() && option != "close" && option != "keep-alive") request.usual = false;
      options.remove_prefix(std::min(comma + 1, options.size()));
    }
    if (close && keep) request.usual = false;
    request.ends = close || (old_ && !keep);
  }

  bool read_body(PlainRequest& request) {
    if (chunked_) return read_chunks(request);
    const uint64_t length = length_.value_or(0);
    if (length > rest_.size()) return false;
    request.body = rest_.substr(0, length);
    rest_.remove_prefix(length);
    if (length > 1'000) request.usual = false;
    return true;
  }

  bool read_chunks(PlainRequest& request) {
    for (;;) {
      const auto line = take_line();
      if (!line) return false;
      const size_t digits =
          std::min(line->find_first_not_of("0123456789abcdefABCDEF"), line->size());
      if (digits == 0 || digits > 8) return false;
      if (digits != line->size()) {
        request.usual = false;
        const std::string_view extension = trimmed(line->substr(digits));
        if (!extension.starts_with(';')) return false;
      }
      const uint64_t size = std::stoull(std::string(line->substr(0, digits)), nullptr, 16);
      if (size == 0) break;
      if (size > rest_.size() || rest_.size() - size < 2 || rest_.substr(size, 2) != "\r\n")
        return false;
      request.body += rest_.substr(0, size);
      rest_.remove_prefix(size + 2);
    }
    if (request.body.size() > 1'000) request.usual = false;
    for (;;) {
      const auto line = take_line();
      if (!line) return false;
      if (line->empty()) return true;
      request.usual = false;
    }
  }

  std::string_view rest_;
  bool over_ = false;
  bool blank_ = false;  // an empty line came first
  bool old_ = false;    // HTTP/1.0
  std::optional<uint64_t> length_;
  bool chunked_ = false;
};

}  // namespace millrace::fuzz
