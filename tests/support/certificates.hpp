#pragma once

#include <evented/actors/cluster.hpp>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace evented::test {

/// Certificates of authorities, gone with the object.
class certificates {
public:
  certificates() {
    auto name = (std::filesystem::temp_directory_path() / "evented-tls-XXXXXX")
                  .string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error("cannot make a directory");
    directory_ = name;
  }

  certificates(const certificates&) = delete;
  certificates& operator=(const certificates&) = delete;

  ~certificates() { std::filesystem::remove_all(directory_); }

  /// Makes an authority, and a certificate by it.
  node_security make(const std::string& authority) {
    auto path = [&](const std::string& suffix) {
      return (directory_ / (authority + suffix)).string();
    };
    const std::string key
      = " -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes ";
    run("openssl req -x509" + key + "-days 2 -subj /CN=" + authority
        + " -keyout " + path(".ca.key") + " -out " + path(".ca"));
    run("openssl req" + key + "-subj /CN=node -keyout " + path(".key")
        + " -out " + path(".csr"));
    run("openssl x509 -req -in " + path(".csr") + " -CA " + path(".ca")
        + " -CAkey " + path(".ca.key") + " -CAcreateserial -days 1 -out "
        + path(".pem"));
    return {path(".pem"), path(".key"), path(".ca"), {}};
  }

private:
  static void run(const std::string& command) {
    if (std::system((command + " > /dev/null 2>&1").c_str()) != 0)
      throw std::runtime_error("this has failed: " + command);
  }

  std::filesystem::path directory_;
};

} // namespace evented::test
