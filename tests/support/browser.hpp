#pragma once

#include "support/wait.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace evented::test {

/// A headless Chromium with one page, steered over its debugging pipe.
class browser {
public:
  browser() {
    int in[2];
    int out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0)
      throw std::runtime_error("pipe2 failed");
    auto profile
      = (std::filesystem::temp_directory_path() / "evented.XXXXXX").string();
    if (::mkdtemp(profile.data()) == nullptr)
      throw std::runtime_error("mkdtemp failed");
    profile_ = profile;
    auto data = "--user-data-dir=" + profile;
    pid_ = ::fork();
    if (pid_ == 0) {
      // Over others, as the pipes may have these numbers.
      auto read = ::fcntl(in[0], F_DUPFD, 10);
      auto write = ::fcntl(out[1], F_DUPFD, 10);
      ::dup2(read, 3);
      ::dup2(write, 4);
      auto null = ::open("/dev/null", O_RDWR);
      for (auto fd : {0, 1, 2})
        ::dup2(null, fd);
      ::execlp("chromium", "chromium", "--headless", "--no-sandbox",
               "--disable-gpu", "--no-first-run", "--hide-scrollbars",
               "--remote-debugging-pipe", data.c_str(), "about:blank", nullptr);
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    to_ = in[1];
    from_ = out[0];
    auto page = call("Target.createTarget", {{"url", "about:blank"}});
    session_ = call("Target.attachToTarget",
                    {{"targetId", page["targetId"]}, {"flatten", true}})
                 .at("sessionId");
    for (auto* domain : {"Runtime", "Log", "Page", "Network"})
      call(std::string{domain} + ".enable");
  }

  ~browser() {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
      // nop
    }
    ::close(to_);
    ::close(from_);
    std::error_code ignored;
    std::filesystem::remove_all(profile_, ignored);
  }

  browser(const browser&) = delete;
  browser& operator=(const browser&) = delete;

  /// Makes the window so wide, and its colours dark or light.
  void look(int width, bool dark) {
    call("Emulation.setDeviceMetricsOverride", {{"width", width},
                                                {"height", 900},
                                                {"deviceScaleFactor", 1},
                                                {"mobile", false}});
    call("Emulation.setEmulatedMedia",
         {{"features",
           {{{"name", "prefers-color-scheme"},
             {"value", dark ? "dark" : "light"}}}}});
  }

  void open(const std::string& url) { call("Page.navigate", {{"url", url}}); }

  /// Presses a key, as somebody does who sits there.
  void press(const std::string& key) {
    for (auto* type : {"keyDown", "keyUp"})
      call("Input.dispatchKeyEvent",
           {{"type", type},
            {"key", key},
            {"text", key.size() == 1 && type[3] == 'D' ? key : ""}});
  }

  /// Returns the value of an expression in the page.
  nlohmann::json eval(const std::string& expression) {
    auto found = call("Runtime.evaluate", {{"expression", expression},
                                           {"returnByValue", true},
                                           {"awaitPromise", true}});
    if (found.contains("exceptionDetails"))
      throw std::runtime_error(found.dump());
    return found["result"].value("value", nlohmann::json());
  }

  /// Waits until the page shows a text. Returns whether it did.
  bool shows(const std::string& text) {
    auto what = "(document.body?.innerText ?? '').includes("
                + nlohmann::json(text).dump() + ")";
    return wait_until([&] { return eval(what) == true; },
                      std::chrono::seconds{20});
  }

  /// Clicks on the first button or link with this text.
  void click(const std::string& text) {
    eval("[...document.querySelectorAll('button,a')].find(x => x.textContent "
         "=== "
         + nlohmann::json(text).dump() + ").click()");
  }

  /// Writes a picture of the whole page into a file.
  void picture(const std::filesystem::path& file) {
    auto found = call("Page.captureScreenshot",
                      {{"format", "png"}, {"captureBeyondViewport", true}});
    std::ofstream{file, std::ios::binary}
      << from_base64(found["data"].get<std::string>());
  }

  /// Returns what the page has complained about: exceptions, refused contents.
  const std::vector<std::string>& complaints() const { return complaints_; }

  /// Returns the addresses that the page has asked.
  const std::vector<std::string>& requests() const { return requests_; }

private:
  static std::string from_base64(const std::string& text) {
    const std::string digits
      = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string result;
    unsigned bits = 0;
    auto count = 0;
    for (auto c : text) {
      if (c == '=')
        break;
      bits = bits << 6 | static_cast<unsigned>(digits.find(c));
      count += 6;
      if (count >= 8) {
        count -= 8;
        result += static_cast<char>(bits >> count & 0xFF);
      }
    }
    return result;
  }

  nlohmann::json call(const std::string& method,
                      nlohmann::json params = nlohmann::json::object()) {
    nlohmann::json request{
      {"id", ++last_}, {"method", method}, {"params", std::move(params)}};
    if (!session_.empty())
      request["sessionId"] = session_;
    auto text = request.dump() + '\0';
    for (std::size_t at = 0; at < text.size();) {
      auto n = ::write(to_, text.data() + at, text.size() - at);
      if (n <= 0)
        throw std::runtime_error("the browser has gone");
      at += static_cast<std::size_t>(n);
    }
    for (;;) {
      auto answer = next();
      if (answer.value("id", 0) == last_) {
        if (answer.contains("error"))
          throw std::runtime_error(method + ": " + answer["error"].dump());
        return answer["result"];
      }
      note(answer);
    }
  }

  void note(const nlohmann::json& event) {
    auto method = event.value("method", "");
    if (method == "Runtime.exceptionThrown")
      complaints_.push_back(event["params"].dump());
    if (method == "Log.entryAdded"
        && event["params"]["entry"]["level"] == "error")
      complaints_.push_back(event["params"]["entry"]["text"]);
    if (method == "Network.requestWillBeSent")
      requests_.push_back(event["params"]["request"]["url"]);
  }

  nlohmann::json next() {
    for (;;) {
      if (auto end = buffer_.find('\0'); end != std::string::npos) {
        auto text = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return nlohmann::json::parse(text);
      }
      pollfd x{from_, POLLIN, 0};
      char bytes[65536];
      if (::poll(&x, 1, 60'000) <= 0)
        throw std::runtime_error("the browser does not answer");
      auto n = ::read(from_, bytes, sizeof bytes);
      if (n <= 0)
        throw std::runtime_error("the browser has gone; is chromium there?");
      buffer_.append(bytes, static_cast<std::size_t>(n));
    }
  }

  pid_t pid_ = 0;
  int to_ = -1;
  int from_ = -1;
  int last_ = 0;
  std::string session_;
  std::string buffer_;
  std::filesystem::path profile_;
  std::vector<std::string> complaints_;
  std::vector<std::string> requests_;
};

} // namespace evented::test
