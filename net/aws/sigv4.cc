#include "net/aws/sigv4.h"

#include <algorithm>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "base/printable.h"

namespace millrace::net {
namespace {

constexpr std::string_view kTerminator = "aws4_request";
constexpr std::string_view kUnknownKey = "The security token included in the request is invalid.";
constexpr std::string_view kMismatch =
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details.";

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool is_signed(std::string_view signed_headers, std::string_view name) {
  for (size_t at = 0; at <= signed_headers.size();) {
    const size_t end = std::min(signed_headers.find(';', at), signed_headers.size());
    if (same_field_name(name, signed_headers.substr(at, end - at))) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

Verified SignatureVerifier::verify(const HttpRequest& request, const Credentials& credentials,
                                   const Expected& expected) {
  text_.clear();
  SignatureFault fault = reader_.read(request, &text_);
  if (fault == SignatureFault::none) fault = check_scope(expected);
  if (fault != SignatureFault::none) return refused(fault);
  const AccessKey* key = known_key(credentials);
  fault = check_signed_headers(request);
  if (fault == SignatureFault::none) fault = check_time(expected.now_s);
  if (fault == SignatureFault::none) fault = check_signature(request, key);
  if (key == nullptr) {
    text_ = kUnknownKey;
    fault = SignatureFault::unknown_key;
  }
  if (fault != SignatureFault::none) return refused(fault);
  return {.key = key, .region = reader_.parts().region};
}

Verified SignatureVerifier::identify(const HttpRequest& request, const Credentials& credentials) {
  text_.clear();
  const SignatureFault fault = reader_.read(request, &text_);
  if (fault != SignatureFault::none) return refused(fault);
  const AccessKey* key = credentials.find(reader_.parts().key_id);
  if (key != nullptr) return {.key = key, .region = reader_.parts().region};
  text_ = kUnknownKey;
  return refused(SignatureFault::unknown_key);
}

Verified SignatureVerifier::refused(SignatureFault fault) {
  // It may have of the client's bytes in it.
  constexpr size_t kTextBytesMax = 1'024;
  text_ = base::printable(text_, kTextBytesMax);
  return {.fault = fault, .text = text_};
}

SignatureFault SignatureVerifier::mismatch(std::string text) {
  text_ = std::move(text);
  return SignatureFault::mismatch;
}

SignatureFault SignatureVerifier::check_scope(const Expected& expected) {
  const SignatureParts& parts = reader_.parts();
  if (parts.terminator != kTerminator) {
    return mismatch(
        fmt::format("Credential should be scoped with a valid terminator: '{}', not '{}'.",
                    kTerminator, parts.terminator));
  }
  if (parts.service != expected.service) {
    return mismatch(
        fmt::format("Credential should be scoped to correct service: '{}'.", expected.service));
  }
  if (parts.region.empty() || (!expected.region.empty() && parts.region != expected.region)) {
    return mismatch("Credential should be scoped to a valid region.");
  }
  const std::string_view time = view_of(parts.time);
  if (parts.date != time.substr(0, 8)) {
    return mismatch(
        fmt::format("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of "
                    "date from HTTP: '{}' != '{}', from '{}'.",
                    parts.date, time.substr(0, 8), time));
  }
  return SignatureFault::none;
}

// The key, if the request also carries the session token that was issued with it.
const AccessKey* SignatureVerifier::known_key(const Credentials& credentials) const {
  const AccessKey* key = credentials.find(reader_.parts().key_id);
  if (key == nullptr || !equal_in_constant_time(key->token, reader_.parts().token)) return nullptr;
  return key;
}

SignatureFault SignatureVerifier::check_signed_headers(const HttpRequest& request) {
  const SignatureParts& parts = reader_.parts();
  if (!is_signed(parts.signed_headers, "host")) {
    return mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  }
  if (!parts.presigned && !is_signed(parts.signed_headers, parts.date_field)) {
    return mismatch(fmt::format("'{}' must be a 'SignedHeader' in the AWS Authorization.",
                                parts.date_field == "date" ? "Date" : "X-Amz-Date"));
  }
  for (const HttpField& field : request.fields) {
    constexpr std::string_view kPrefix = "x-amz-";
    if (field.name.size() > kPrefix.size() &&
        same_field_name(field.name.substr(0, kPrefix.size()), kPrefix) &&
        !is_signed(parts.signed_headers, field.name)) {
      return mismatch(fmt::format(
          "There were headers present in the request which were not signed: {}", field.name));
    }
  }
  return SignatureFault::none;
}

SignatureFault SignatureVerifier::check_time(int64_t now_s) {
  const SignatureParts& parts = reader_.parts();
  const int64_t made = parts.time_s;
  const auto iso = [](int64_t seconds) { return format_signature_time(seconds); };
  const SignatureTime now = iso(now_s);
  if (made > now_s + kClockSkewS) {
    const SignatureTime limit = iso(now_s + kClockSkewS);
    return mismatch(
        fmt::format("Signature not yet current: {} is still later than {} ({} + 15 min.)",
                    view_of(parts.time), view_of(limit), view_of(now)));
  }
  if (parts.presigned) {
    if (now_s <= made + parts.expires_s) return SignatureFault::none;
    const SignatureTime end = iso(made + parts.expires_s);
    return mismatch(
        fmt::format("Signature expired: {} is now earlier than {}", view_of(end), view_of(now)));
  }
  if (made >= now_s - kClockSkewS) return SignatureFault::none;
  const SignatureTime limit = iso(now_s - kClockSkewS);
  return mismatch(fmt::format("Signature expired: {} is now earlier than {} ({} - 15 min.)",
                              view_of(parts.time), view_of(limit), view_of(now)));
}

SignatureFault SignatureVerifier::check_signature(const HttpRequest& request,
                                                  const AccessKey* key) {
  const SignatureParts& parts = reader_.parts();
  const auto payload_hash = hex_of(sha_.of(as_text(request.body)));
  size_t hashes = 0;
  const std::string_view sent_hash = find_field(request, "x-amz-content-sha256", &hashes);
  const bool hash_matches = hashes == 0 || (hashes == 1 && sent_hash == view_of(payload_hash));
  const std::string_view canonical =
      canonical_.write(request, parts.signed_headers, view_of(payload_hash), parts.presigned);
  const auto canonical_hash = hex_of(sha_.of(canonical));
  to_sign_.clear();
  to_sign_ += "AWS4-HMAC-SHA256\n";
  to_sign_ += view_of(parts.time);
  to_sign_ += '\n';
  to_sign_ += parts.credential.substr(parts.key_id.size() + 1);
  to_sign_ += '\n';
  to_sign_ += view_of(canonical_hash);
  const auto expected = hex_of(sha_.hmac(keys_.key_for(key, parts, sha_), to_sign_));
  const bool signature_matches = equal_in_constant_time(view_of(expected), parts.signature);
  if (!hash_matches) {
    return mismatch("The value of 'x-amz-content-sha256' is not the hash of the request's body.");
  }
  if (!signature_matches || canonical.empty()) return mismatch(std::string(kMismatch));
  return SignatureFault::none;
}

}  // namespace millrace::net
