#include "support/proxy.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <list>
#include <mutex>
#include <optional>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace evented::test {

namespace {

using clock = std::chrono::steady_clock;

/// Stops reading from a side while this much waits for the other one, so that
/// a slow reader slows the sender down as it would without a proxy.
constexpr std::size_t queue_limit = 1 << 20;

constexpr std::size_t chunk_limit = 1 << 16;

[[noreturn]] void throw_errno(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

std::uint32_t read_uint32(std::string_view bytes, std::size_t pos) {
  std::uint32_t result = 0;
  for (auto i = pos; i < pos + 4; ++i)
    result = result << 8 | static_cast<unsigned char>(bytes[i]);
  return result;
}

// -- start-up codes -----------------------------------------------------------

constexpr std::uint32_t ssl_request = 1234 << 16 | 5679;

constexpr std::uint32_t gssenc_request = 1234 << 16 | 5680;

/// Returns what a message without a type byte is about.
std::uint32_t startup_code(std::string_view bytes) {
  return bytes.size() < 8 ? 0 : read_uint32(bytes, 4);
}

/// Checks for protocol version 3, where the others are about encryption or
/// cancelling.
bool begins_session(std::uint32_t code) {
  return code >> 16 == 3;
}

// -- sockets ------------------------------------------------------------------

/// Owns a file descriptor.
class descriptor {
public:
  descriptor() = default;

  explicit descriptor(int fd) : fd_(fd) {
    // nop
  }

  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {
    // nop
  }

  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  ~descriptor() { reset(); }

  explicit operator bool() const noexcept { return fd_ >= 0; }

  int get() const noexcept { return fd_; }

  void reset() noexcept {
    if (fd_ >= 0)
      ::close(std::exchange(fd_, -1));
  }

private:
  int fd_ = -1;
};

descriptor make_socket() {
  return descriptor{
    ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
}

sockaddr_un address_of(const std::filesystem::path& file) {
  sockaddr_un result{};
  const auto& name = file.native();
  if (name.size() >= sizeof(result.sun_path)) {
    errno = ENAMETOOLONG;
    throw_errno(name.c_str());
  }
  result.sun_family = AF_UNIX;
  std::memcpy(result.sun_path, name.data(), name.size());
  return result;
}

descriptor listen_on(const std::filesystem::path& file) {
  const auto address = address_of(file);
  auto result = make_socket();
  if (!result
      || ::bind(result.get(), reinterpret_cast<const sockaddr*>(&address),
                sizeof(address))
           != 0
      || ::listen(result.get(), SOMAXCONN) != 0)
    throw_errno("cannot listen for clients");
  return result;
}

/// Returns no descriptor where nobody listens. Never blocks: a Unix socket
/// connects at once or not at all.
descriptor connect_to(const sockaddr_un& address) {
  auto result = make_socket();
  if (result
      && ::connect(result.get(), reinterpret_cast<const sockaddr*>(&address),
                   sizeof(address))
           != 0)
    result.reset();
  return result;
}

std::filesystem::path make_directory() {
  auto name = (std::filesystem::temp_directory_path() / "evented-proxy-XXXXXX")
                .string();
  if (::mkdtemp(name.data()) == nullptr)
    throw_errno("cannot make a directory for the proxy");
  return name;
}

// -- buffers ------------------------------------------------------------------

/// Cuts received bytes into whole messages.
class inlet {
public:
  void push(std::string_view bytes) {
    buffer_.erase(0, begin_);
    begin_ = 0;
    buffer_ += bytes;
  }

  void pop(std::size_t n) { begin_ += n; }

  std::string_view rest() const {
    return std::string_view{buffer_}.substr(begin_);
  }

  /// Returns the first message, or nothing where it is not complete. Only
  /// `typed` messages begin with a type byte before their length. What is no
  /// message is returned as it came: the server knows best what to say to it.
  std::string_view front(bool typed) const {
    const auto bytes = rest();
    const std::size_t type_size = typed ? 1 : 0;
    if (bytes.size() < type_size + 4)
      return {};
    const auto length = read_uint32(bytes, type_size);
    if (length < 4)
      return bytes;
    if (bytes.size() - type_size < length)
      return {};
    return bytes.substr(0, type_size + length);
  }

private:
  std::string buffer_;
  std::size_t begin_ = 0;
};

/// Queues bytes until they are due and the socket takes them. Those that are
/// due earlier than what they stand behind wait for it.
class outlet {
public:
  bool empty() const { return chunks_.empty(); }

  std::size_t size() const { return size_; }

  /// @pre `!empty()`
  clock::time_point due() const { return chunks_.front().due; }

  void push(std::string_view bytes, clock::time_point due) {
    if (broken_ || bytes.empty())
      return;
    if (empty() || chunks_.back().due != due
        || chunks_.back().bytes.size() >= chunk_limit)
      chunks_.push_back({due, {}});
    chunks_.back().bytes += bytes;
    size_ += bytes.size();
  }

  void make_due() {
    for (auto& queued : chunks_)
      queued.due = {};
  }

  /// Sends what is due and returns how many bytes the socket took. Where the
  /// peer is gone, the queue becomes a sink: reading from the peer will show
  /// that it has ended, and until then there may be messages of it to forward.
  std::size_t flush(int fd, clock::time_point now) {
    std::size_t result = 0;
    while (!empty() && due() <= now) {
      const auto& bytes = chunks_.front().bytes;
      const auto n
        = ::send(fd, bytes.data() + sent_, bytes.size() - sent_, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0) {
        if (errno != EAGAIN) {
          broken_ = true;
          chunks_.clear();
          size_ = 0;
        }
        break;
      }
      result += static_cast<std::size_t>(n);
      sent_ += static_cast<std::size_t>(n);
      size_ -= static_cast<std::size_t>(n);
      if (sent_ == bytes.size()) {
        chunks_.pop_front();
        sent_ = 0;
      }
    }
    return result;
  }

private:
  struct chunk {
    clock::time_point due;
    std::string bytes;
  };

  std::deque<chunk> chunks_;
  std::size_t sent_ = 0; // of the first chunk
  std::size_t size_ = 0;
  bool broken_ = false;
};

// -- connections --------------------------------------------------------------

enum class kind { before, after_commit, in_flight, hold };

struct fault {
  kind what;
  matcher matches;
  std::size_t skip;
};

struct limit {
  direction way;
  std::size_t n;
};

struct side {
  descriptor fd;
  inlet in;
  outlet out;
  bool ended = false;
};

struct connection {
  enum class state {
    open,
    /// The client is gone; what it has sent is still on its way.
    draining_to_server,
    /// The server is gone; what it has sent is still on its way.
    draining_to_client,
    closed,
  };

  side& to(direction way) {
    return way == direction::to_server ? server : client;
  }

  /// Checks whether the answer to the request that a fault has chosen is all
  /// that may still pass.
  bool awaits_answer() const {
    return strikes && strikes->what == kind::after_commit && sent >= target;
  }

  state status = state::open;
  side client;
  side server;
  bool started = false;     // the start-up message has passed
  bool negotiating = false; // the server owes one byte about encryption
  bool held = false;        // the first message in client.in is held
  bool judged = false;      // no fault wants the first message in client.in
  pid_t backend = 0;

  // A request is numbered when its last message is forwarded, an answer with
  // its ReadyForQuery: both count from 1, and the start-up is the first
  // request.
  std::uint64_t sent = 0;
  std::uint64_t answered = 0;
  bool sync_was_last = false;

  std::optional<fault> strikes; // has found its message
  std::uint64_t target = 0;     // the request of that message
  std::optional<limit> cap;
  std::size_t left = 0; // bytes until `cap` strikes
};

using state = connection::state;

} // namespace

// -- the proxy's thread -------------------------------------------------------

/// Owns all state and works on it in its own thread; other threads hand it jobs
/// and wait until these are done.
class proxy::loop {
public:
  loop(const std::filesystem::path& server, const std::filesystem::path& own)
    : server_(address_of(server)), listener_(listen_on(own)) {
    int fds[2];
    if (::pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0)
      throw_errno("cannot make a pipe for the proxy");
    wake_reader_ = descriptor{fds[0]};
    wake_writer_ = descriptor{fds[1]};
    // The thread inherits the mask: signals are for the threads of the test.
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    try {
      thread_ = std::thread{[this] { run(); }};
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &old, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
  }

  ~loop() {
    ask([this] { stopped_ = true; });
    thread_.join();
  }

  // -- called by other threads ------------------------------------------------

  /// Runs `job` in the thread of the proxy and returns when it is done.
  void ask(const std::function<void()>& job) {
    std::unique_lock guard{mutex_};
    jobs_.push_back(&job);
    const auto ticket = ++jobs_given_;
    const char byte = 0;
    // A full pipe wakes the thread just as well.
    [[maybe_unused]] auto n = ::write(wake_writer_.get(), &byte, 1);
    changed_.wait(guard, [&] { return jobs_done_ >= ticket; });
  }

  void arm(fault what) {
    ask([&] {
      faults_.push_back(std::move(what));
      count_armed(1);
    });
  }

  void arm(limit what) {
    ask([&] {
      limits_.push_back(what);
      count_armed(1);
    });
  }

  bool wait_until_fired(std::chrono::milliseconds deadline) {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, deadline, [this] { return armed_ == 0; });
  }

  // -- called in jobs only ----------------------------------------------------

  void count_armed(std::ptrdiff_t n) {
    std::unique_lock guard{mutex_};
    armed_ += n;
    changed_.notify_all();
  }

  void disarm() {
    count_armed(-static_cast<std::ptrdiff_t>(faults_.size() + limits_.size()));
    faults_.clear();
    limits_.clear();
    for (auto& c : connections_)
      if (std::exchange(c.cap, std::nullopt))
        count_armed(-1);
  }

  void release() {
    for (auto& c : connections_)
      c.held = false;
  }

  void heal() {
    refuses_ = false;
    stalled_ = {};
    delays_ = {};
    for (auto& c : connections_) {
      c.client.out.make_due();
      c.server.out.make_due();
    }
  }

  void refuse() {
    refuses_ = true;
    cut_all();
  }

  void cut_all() {
    for (auto& c : connections_)
      cut(c);
  }

  bool& stalled(direction way) {
    return stalled_[static_cast<std::size_t>(way)];
  }

  std::chrono::milliseconds& delay(direction way) {
    return delays_[static_cast<std::size_t>(way)];
  }

  std::uint64_t& bytes(direction way) {
    return bytes_[static_cast<std::size_t>(way)];
  }

  const std::list<connection>& connections() const { return connections_; }

  std::size_t accepted() const { return accepted_; }

  bool armed() {
    std::unique_lock guard{mutex_};
    return armed_ > 0;
  }

private:
  // -- polling ----------------------------------------------------------------

  void run() {
    while (true) {
      run_jobs();
      if (stopped_)
        return;
      for (auto& c : connections_)
        advance(c);
      connections_.remove_if(
        [](const connection& c) { return c.status == state::closed; });
      wait_for_input();
    }
  }

  void run_jobs() {
    std::vector<const std::function<void()>*> jobs;
    {
      std::unique_lock guard{mutex_};
      jobs.swap(jobs_);
    }
    for (auto job : jobs)
      (*job)();
    std::unique_lock guard{mutex_};
    jobs_done_ += jobs.size();
    changed_.notify_all();
  }

  void wait_for_input() {
    const auto now = clock::now();
    auto wake_up = clock::time_point::max();
    std::vector<pollfd> fds{{wake_reader_.get(), POLLIN, 0},
                            {listener_.get(), POLLIN, 0}};
    std::vector<std::pair<connection*, side*>> owners;
    for (auto& c : connections_) {
      for (auto way : {direction::to_server, direction::to_client}) {
        auto& peer = c.to(way);
        if (!peer.fd)
          continue;
        short events = may_read(c, peer) ? POLLIN : 0;
        if (!peer.out.empty() && !stalled(way)) {
          if (peer.out.due() <= now)
            events |= POLLOUT;
          else
            wake_up = std::min(wake_up, peer.out.due());
        }
        // With no events, poll would still report that the peer has hung up.
        if (events != 0) {
          fds.push_back({peer.fd.get(), events, 0});
          owners.emplace_back(&c, &peer);
        }
      }
    }
    auto timeout = -1;
    if (wake_up != clock::time_point::max())
      timeout = static_cast<int>(
        std::chrono::ceil<std::chrono::milliseconds>(
          std::min<clock::duration>(wake_up - now, std::chrono::hours{1}))
          .count());
    if (::poll(fds.data(), fds.size(), timeout) <= 0)
      return;
    char sink[64];
    while (::read(wake_reader_.get(), sink, sizeof(sink)) > 0)
      ;
    for (std::size_t i = 0; i < owners.size(); ++i)
      if (auto [c, peer] = owners[i];
          fds[i + 2].revents != 0 && may_read(*c, *peer))
        receive(*c, *peer);
    if (fds[1].revents != 0)
      accept_clients();
  }

  bool may_read(const connection& c, const side& peer) const {
    if (peer.ended)
      return false;
    if (&peer == &c.client)
      return c.status == state::open && !c.held && !c.awaits_answer()
             && !stalled_[static_cast<std::size_t>(direction::to_server)]
             && c.server.out.size() < queue_limit;
    // A server that cannot get rid of its answers would read no more requests.
    if (c.status == state::draining_to_server)
      return true;
    return c.status == state::open
           && !stalled_[static_cast<std::size_t>(direction::to_client)]
           && c.client.out.size() < queue_limit;
  }

  void receive(connection& c, side& peer) {
    std::array<char, chunk_limit> buffer;
    const auto n = ::recv(peer.fd.get(), buffer.data(), buffer.size(), 0);
    if (n > 0 && c.status == state::open)
      peer.in.push({buffer.data(), static_cast<std::size_t>(n)});
    else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
      peer.ended = true;
  }

  void accept_clients() {
    while (true) {
      descriptor fd{::accept4(listener_.get(), nullptr, nullptr,
                              SOCK_NONBLOCK | SOCK_CLOEXEC)};
      if (!fd) {
        if (errno == EINTR || errno == ECONNABORTED)
          continue;
        // Out of descriptors, say: better no proxy than a busy loop.
        if (errno != EAGAIN)
          listener_.reset();
        return;
      }
      ++accepted_;
      if (refuses_)
        continue;
      auto& c = connections_.emplace_back();
      c.client.fd = std::move(fd);
      if (limits_.empty())
        continue;
      c.cap = limits_.front();
      c.left = c.cap->n;
      limits_.pop_front();
      if (c.left == 0) {
        c.cap.reset();
        cut(c);
        count_armed(-1);
      }
    }
  }

  // -- forwarding -------------------------------------------------------------

  /// Does all that can be done for a connection without more input.
  void advance(connection& c) {
    judge_client(c);
    judge_server(c);
    // What a side has left behind in the middle of a message passes as it is.
    if (c.status == state::open && c.server.ended) {
      forward(c, direction::to_client, c.server.in.rest());
      drain(c, direction::to_client);
    }
    if (c.status == state::open && c.client.ended && !c.held
        && !c.awaits_answer()) {
      if (c.server.fd)
        forward(c, direction::to_server, c.client.in.rest());
      drain(c, direction::to_server);
    }
    flush(c, direction::to_server);
    flush(c, direction::to_client);
    if ((c.status == state::draining_to_server
         && (c.server.out.empty() || c.server.ended))
        || (c.status == state::draining_to_client && c.client.out.empty()))
      cut(c);
  }

  void judge_client(connection& c) {
    while (c.status == state::open && !c.held && !c.awaits_answer()) {
      const auto bytes = c.client.in.front(c.started);
      if (bytes.empty())
        return;
      if (!std::exchange(c.judged, false) && !strike(c, bytes))
        return;
      if (!c.server.fd) {
        c.server.fd = connect_to(server_);
        if (!c.server.fd)
          return cut(c);
      }
      // `forward` may close the connection, but keeps what it has received.
      if (!c.started)
        note_startup(c, bytes);
      else if (auto type = bytes[0];
               type == 'Q' || type == 'S' || type == 'F') {
        ++c.sent;
        c.sync_was_last = type == 'S';
      }
      forward(c, direction::to_server, bytes);
      c.client.in.pop(bytes.size());
      if (c.status == state::open && c.strikes
          && c.strikes->what == kind::in_flight && c.sent >= c.target) {
        c.strikes.reset();
        finish(c, direction::to_server);
        count_armed(-1);
      }
    }
  }

  /// Shows a client's message to the armed faults.
  /// @returns whether the message is to be forwarded now
  bool strike(connection& c, std::string_view bytes) {
    if (c.strikes)
      return true;
    client_message msg{'\0', bytes.substr(4)};
    if (c.started)
      msg = {bytes[0], bytes.substr(5)};
    else if (!begins_session(startup_code(bytes)))
      return true;
    const auto i = std::find_if(faults_.begin(), faults_.end(), [&](fault& f) {
      return f.matches(msg) && f.skip-- == 0;
    });
    if (i == faults_.end())
      return true;
    i->skip = 0;
    c.strikes = std::move(*i);
    c.target = c.sent + 1;
    faults_.erase(i);
    switch (c.strikes->what) {
    case kind::before:
      c.strikes.reset();
      // What came before the message may still be on its way.
      finish(c, direction::to_server);
      count_armed(-1);
      return false;
    case kind::hold:
      c.strikes.reset();
      c.held = true;
      c.judged = true;
      count_armed(-1);
      return false;
    default:
      return true;
    }
  }

  void note_startup(connection& c, std::string_view bytes) {
    const auto code = startup_code(bytes);
    c.negotiating = code == ssl_request || code == gssenc_request;
    if (begins_session(code)) {
      c.started = true;
      ++c.sent;
    }
  }

  void judge_server(connection& c) {
    while (c.status == state::open) {
      if (c.negotiating) {
        // An encrypted stream cannot be followed; an old server answers with an
        // error message instead of the byte.
        const auto answer = c.server.in.rest().substr(0, 1);
        if (answer.empty())
          return;
        c.negotiating = false;
        if (answer == "N") {
          forward(c, direction::to_client, answer);
          c.server.in.pop(1);
          continue;
        }
        if (answer != "E")
          return cut(c);
      }
      const auto bytes = c.server.in.front(true);
      if (bytes.empty())
        return;
      const auto type = bytes[0];
      if (type == 'K' && bytes.size() >= 9)
        c.backend = static_cast<pid_t>(read_uint32(bytes, 5));
      // A server that begins a COPY FROM STDIN ignores a Sync until the data
      // have come, and the client sends another one after these.
      if (type == 'G' && c.sync_was_last && c.sent > c.answered)
        --c.sent;
      const auto swallowed = c.strikes && c.answered + 1 >= c.target;
      if (type == 'Z')
        ++c.answered;
      if (!swallowed) {
        forward(c, direction::to_client, bytes);
      } else if (c.strikes->what == kind::after_commit && c.sent >= c.target
                 && c.answered >= c.target) {
        // Answers to earlier requests may still be on their way.
        c.strikes.reset();
        finish(c, direction::to_client);
        count_armed(-1);
      }
      c.server.in.pop(bytes.size());
    }
  }

  void forward(connection& c, direction way, std::string_view bytes) {
    const auto capped = c.cap && c.cap->way == way;
    if (capped) {
      bytes = bytes.substr(0, c.left);
      c.left -= bytes.size();
    }
    const auto time = delay(way);
    c.to(way).out.push(bytes, time.count() > 0 ? clock::now() + time
                                               : clock::time_point{});
    if (capped && c.left == 0) {
      c.cap.reset();
      finish(c, way);
      count_armed(-1);
    }
  }

  void flush(connection& c, direction way) {
    if (auto& peer = c.to(way); peer.fd && !stalled(way))
      bytes(way) += peer.out.flush(peer.fd.get(), clock::now());
  }

  // -- closing ----------------------------------------------------------------

  /// Closes the side that `way` comes from now, and the other one when it has
  /// got what was forwarded.
  void drain(connection& c, direction way) {
    if (c.status != state::open)
      return;
    if (way == direction::to_server) {
      c.status = state::draining_to_server;
      c.client.fd.reset();
    } else {
      c.status = state::draining_to_client;
      c.server.fd.reset();
    }
    rearm(c);
  }

  /// Flushes what was forwarded `way` and closes both sides, at once where the
  /// sockets take all of it.
  void finish(connection& c, direction way) {
    flush(c, way);
    if (c.to(way).out.empty())
      cut(c);
    else
      drain(c, way);
  }

  void cut(connection& c) {
    c.status = state::closed;
    c.client.fd.reset();
    c.server.fd.reset();
    rearm(c);
  }

  /// Gives back the faults that cannot strike on this connection any more.
  void rearm(connection& c) {
    if (auto f = std::exchange(c.strikes, std::nullopt))
      faults_.push_front(std::move(*f));
    if (auto cap = std::exchange(c.cap, std::nullopt))
      limits_.push_front(*cap);
  }

  sockaddr_un server_;
  descriptor listener_;
  descriptor wake_reader_;
  descriptor wake_writer_;
  std::list<connection> connections_;
  std::size_t accepted_ = 0;
  std::list<fault> faults_;
  std::list<limit> limits_;
  bool refuses_ = false;
  std::array<bool, 2> stalled_{};
  std::array<std::chrono::milliseconds, 2> delays_{};
  std::array<std::uint64_t, 2> bytes_{};
  bool stopped_ = false;

  std::mutex mutex_; // guards the rest
  std::condition_variable changed_;
  std::vector<const std::function<void()>*> jobs_;
  std::uint64_t jobs_given_ = 0;
  std::uint64_t jobs_done_ = 0;
  std::ptrdiff_t armed_ = 0;
  std::thread thread_;
};

// -- matchers -----------------------------------------------------------------

namespace match {

namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

} // namespace

matcher any() {
  return [](const client_message& msg) { return msg.type != '\0'; };
}

matcher startup() {
  return type('\0');
}

matcher type(char type) {
  return [type](const client_message& msg) { return msg.type == type; };
}

matcher contains(std::string bytes) {
  return [bytes = std::move(bytes)](const client_message& msg) {
    return msg.type != '\0' && msg.body.find(bytes) != msg.body.npos;
  };
}

matcher sql(std::string text) {
  return [text = std::move(text)](const client_message& msg) {
    return (msg.type == 'Q' || msg.type == 'P')
           && !std::ranges::search(msg.body, text, {}, lower, lower).empty();
  };
}

matcher bind(std::string statement) {
  return [statement = std::move(statement)](const client_message& msg) {
    if (msg.type != 'B')
      return false;
    // The name of the portal comes first; both end with NUL.
    const auto name = msg.body.substr(msg.body.find('\0') + 1);
    return name.substr(0, name.find('\0')) == statement;
  };
}

} // namespace match

// -- constructors, destructors, and assignment operators ----------------------

proxy::proxy(const std::filesystem::path& server_socket)
  : directory_(make_directory()) {
  try {
    loop_ = std::make_unique<loop>(server_socket, directory_ / ".s.PGSQL.5432");
  } catch (...) {
    std::filesystem::remove_all(directory_);
    throw;
  }
}

proxy::~proxy() {
  loop_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

// -- properties ---------------------------------------------------------------

const std::filesystem::path& proxy::directory() const noexcept {
  return directory_;
}

std::string proxy::url(std::string_view user, std::string_view dbname) const {
  const auto encoded = [](std::string_view text) {
    static constexpr std::string_view plain
      = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    static constexpr std::string_view digits = "0123456789ABCDEF";
    std::string result;
    for (const unsigned char c : text)
      if (plain.find(static_cast<char>(c)) != plain.npos)
        result += static_cast<char>(c);
      else
        (((result += '%') += digits[c >> 4]) += digits[c & 15]);
    return result;
  };
  return "postgresql:///" + encoded(dbname) + "?host="
         + encoded(directory_.native()) + "&port=5432&user=" + encoded(user);
}

// -- observation --------------------------------------------------------------

std::size_t proxy::connections() const {
  std::size_t result = 0;
  loop_->ask([&] { result = loop_->accepted(); });
  return result;
}

std::size_t proxy::open_connections() const {
  std::size_t result = 0;
  loop_->ask([&] {
    result = static_cast<std::size_t>(std::ranges::count(
      loop_->connections(), state::open, &connection::status));
  });
  return result;
}

std::vector<pid_t> proxy::backend_pids() const {
  std::vector<pid_t> result;
  loop_->ask([&] {
    for (const auto& c : loop_->connections())
      if (c.status == state::open && c.backend != 0)
        result.push_back(c.backend);
  });
  return result;
}

std::uint64_t proxy::bytes(direction way) const {
  std::uint64_t result = 0;
  loop_->ask([&] { result = loop_->bytes(way); });
  return result;
}

bool proxy::armed() const {
  // Asks, so that who has seen a connection break gets to know of the fault
  // that did it.
  bool result = false;
  loop_->ask([&] { result = loop_->armed(); });
  return result;
}

bool proxy::wait_until_fired(std::chrono::milliseconds deadline) const {
  return loop_->wait_until_fired(deadline);
}

// -- one-shot faults ----------------------------------------------------------

void proxy::cut_before(matcher what, std::size_t skip) {
  loop_->arm({kind::before, std::move(what), skip});
}

void proxy::cut_after_commit(matcher what, std::size_t skip) {
  loop_->arm({kind::after_commit, std::move(what), skip});
}

void proxy::cut_in_flight(matcher what, std::size_t skip) {
  loop_->arm({kind::in_flight, std::move(what), skip});
}

void proxy::hold(matcher what, std::size_t skip) {
  loop_->arm({kind::hold, std::move(what), skip});
}

void proxy::truncate(direction way, std::size_t n) {
  loop_->arm({way, n});
}

void proxy::release() {
  loop_->ask([this] { loop_->release(); });
}

void proxy::disarm() {
  loop_->ask([this] { loop_->disarm(); });
}

// -- lasting faults -----------------------------------------------------------

void proxy::blackhole() {
  loop_->ask([this] {
    loop_->stalled(direction::to_server) = true;
    loop_->stalled(direction::to_client) = true;
  });
}

void proxy::blackhole(direction way) {
  loop_->ask([this, way] { loop_->stalled(way) = true; });
}

void proxy::refuse() {
  loop_->ask([this] { loop_->refuse(); });
}

void proxy::delay(direction way, std::chrono::milliseconds time) {
  loop_->ask([this, way, time] { loop_->delay(way) = time; });
}

void proxy::heal() {
  loop_->ask([this] { loop_->heal(); });
}

// -- cuts ---------------------------------------------------------------------

void proxy::cut_all() {
  loop_->ask([this] { loop_->cut_all(); });
}

} // namespace evented::test
