#include "net/aws/signature_parts.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "net/aws/canonical_request.h"

namespace millrace::net {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr int64_t kExpiresMax = 604'800;

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

// Takes what is before the first `separator` off the front of `text`.
std::string_view take_until(char separator, std::string_view& text) {
  const size_t end = std::min(text.find(separator), text.size());
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return taken;
}

// Version 2 of the signature, which some old clients make, has its parts among the parameters.
bool looks_like_version_2(const HttpRequest& request) {
  constexpr std::string_view kVersion2 = "SignatureVersion=";
  return request.query().find(kVersion2) != std::string_view::npos ||
         as_text(request.body).find(kVersion2) != std::string_view::npos;
}

}  // namespace

std::string_view find_field(const HttpRequest& request, std::string_view name, size_t* count) {
  std::string_view value;
  *count = 0;
  for (const HttpField& field : request.fields) {
    if (!same_field_name(field.name, name)) continue;
    if (++*count == 1) value = field.value;
  }
  return value;
}

SignatureFault SignatureReader::read(const HttpRequest& request, std::string* text) {
  parts_ = {};
  size_t fields = 0;
  const std::string_view field = find_field(request, "authorization", &fields);
  const bool in_query = request.query().find("X-Amz-Signature=") != std::string_view::npos ||
                        request.query().find("X-Amz-Algorithm=") != std::string_view::npos;
  if (fields + (in_query ? 1 : 0) > 1) {
    *text = "Only one authentication mechanism is allowed in a request.";
    return SignatureFault::mismatch;
  }
  if (in_query) return read_query(request.query(), text);
  if (fields == 1) return read_field(request, field, text);
  if (looks_like_version_2(request)) {
    *text = "Signature version 2 is not supported; use AWS4-HMAC-SHA256.";
    return SignatureFault::incomplete;
  }
  size_t hosts = 0;
  *text =
      fmt::format("Access to the resource {}://{}{} is denied.", request.secure ? "https" : "http",
                  find_field(request, "host", &hosts), request.path());
  return SignatureFault::missing;
}

SignatureFault SignatureReader::read_field(const HttpRequest& request, std::string_view value,
                                           std::string* text) {
  std::string_view rest = without_blanks(value);
  const std::string_view algorithm = take_until(' ', rest);
  if (algorithm != kAlgorithm) {
    *text = fmt::format("Unsupported AWS 'algorithm': '{}'.", algorithm);
    // One of ours with another hash, or with none, is an attempt; another scheme is a mistake.
    return algorithm.starts_with("AWS4-") || algorithm == "none" ? SignatureFault::mismatch
                                                                 : SignatureFault::incomplete;
  }
  while (!rest.empty()) {
    std::string_view piece = without_blanks(take_until(',', rest));
    const std::string_view name = take_until('=', piece);
    std::string_view* part = name == "Credential"      ? &parts_.credential
                             : name == "SignedHeaders" ? &parts_.signed_headers
                             : name == "Signature"     ? &parts_.signature
                                                       : nullptr;
    if (part == nullptr || !part->empty() || piece.empty()) {
      *text = fmt::format(
          "'{}' not a valid key=value pair (missing equal-sign) in Authorization "
          "header.",
          name);
      return SignatureFault::incomplete;
    }
    *part = piece;
  }
  size_t dates = 0;
  std::string_view date_field = "x-amz-date";
  std::string_view date_text = find_field(request, date_field, &dates);
  if (dates == 0) {
    date_field = "date";
    date_text = find_field(request, date_field, &dates);
  }
  for (const auto& [name, part] : {std::pair{"Credential", parts_.credential},
                                   {"Signature", parts_.signature},
                                   {"SignedHeaders", parts_.signed_headers}}) {
    if (part.empty()) *text += fmt::format("Authorization header requires '{}' parameter. ", name);
  }
  if (dates == 0) {
    *text +=
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
  }
  if (!text->empty()) {
    text->pop_back();
    return SignatureFault::incomplete;
  }
  if (dates > 1 || !set_time(date_text, date_field == "date")) {
    *text = fmt::format(
        "Date must be in ISO-8601 'basic format'. Got '{}'. See "
        "http://en.wikipedia.org/wiki/ISO_8601",
        date_text);
    return SignatureFault::incomplete;
  }
  size_t tokens = 0;
  parts_.date_field = date_field;
  parts_.token = find_field(request, "x-amz-security-token", &tokens);
  return read_credential(text);
}

SignatureFault SignatureReader::read_query(std::string_view query, std::string* text) {
  struct Part {
    std::string_view name;
    std::string_view* value;
    size_t at = std::string::npos;  // in decoded_
    size_t size = 0;
  };
  std::string_view algorithm;
  std::string_view date_text;
  std::string_view expires;
  std::array parts{Part{"X-Amz-Algorithm", &algorithm},
                   Part{"X-Amz-Credential", &parts_.credential},
                   Part{"X-Amz-Signature", &parts_.signature},
                   Part{"X-Amz-SignedHeaders", &parts_.signed_headers},
                   Part{"X-Amz-Date", &date_text},
                   Part{"X-Amz-Expires", &expires},
                   Part{"X-Amz-Security-Token", &parts_.token}};
  decoded_.clear();
  while (!query.empty()) {
    std::string_view pair = take_until('&', query);
    const std::string_view name = take_until('=', pair);
    auto* part =
        std::find_if(parts.begin(), parts.end(), [name](const Part& p) { return p.name == name; });
    if (part == parts.end()) continue;
    if (part->at != std::string::npos) {
      *text = fmt::format("The parameter '{}' is repeated.", name);
      return SignatureFault::incomplete;
    }
    part->at = decoded_.size();
    append_decoded(pair, decoded_);
    part->size = decoded_.size() - part->at;
  }
  parts_.presigned = true;
  for (const Part& part : parts) {
    if (part.at != std::string::npos) {
      *part.value = std::string_view(decoded_).substr(part.at, part.size);
    }
    if (part.value->empty() && part.value != &parts_.token) {
      *text += fmt::format("AWS query-string parameters must include '{}'. ", part.name);
    }
  }
  if (!text->empty()) {
    *text += "Re-examine the query-string parameters.";
    return SignatureFault::incomplete;
  }
  if (algorithm != kAlgorithm) {
    *text = fmt::format("Unsupported AWS 'algorithm': '{}'.", algorithm);
    return SignatureFault::mismatch;
  }
  if (!set_time(date_text, false)) {
    *text = fmt::format(
        "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\". "
        "Got '{}'.",
        date_text);
    return SignatureFault::incomplete;
  }
  const auto [end, error] =
      std::from_chars(expires.data(), expires.data() + expires.size(), parts_.expires_s);
  if (error != std::errc() || end != expires.data() + expires.size() || parts_.expires_s < 1 ||
      parts_.expires_s > kExpiresMax) {
    *text = fmt::format("X-Amz-Expires must be from 1 to {} seconds.", kExpiresMax);
    return SignatureFault::bad_expires;
  }
  return read_credential(text);
}

SignatureFault SignatureReader::read_credential(std::string* text) {
  if (std::count(parts_.credential.begin(), parts_.credential.end(), '/') != 4) {
    *text = fmt::format(
        "Credential must have exactly 5 slash-delimited elements, e.g. "
        "keyid/date/region/service/term, got '{}'",
        parts_.credential);
    return SignatureFault::incomplete;
  }
  std::string_view rest = parts_.credential;
  parts_.key_id = take_until('/', rest);
  parts_.date = take_until('/', rest);
  parts_.region = take_until('/', rest);
  parts_.service = take_until('/', rest);
  parts_.terminator = rest;
  return SignatureFault::none;
}

bool SignatureReader::set_time(std::string_view value, bool http_date) {
  std::optional<int64_t> seconds = parse_signature_time(value);
  if (!seconds && http_date) seconds = parse_http_date(value);
  if (!seconds) return false;
  parts_.time_s = *seconds;
  parts_.time = format_signature_time(*seconds);
  return true;
}

}  // namespace millrace::net
