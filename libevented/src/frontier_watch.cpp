#include <evented/error.hpp>
#include <evented/frontier_watch.hpp>
#include <evented/options.hpp>
#include <evented/sql_error.hpp>
#include <evented/store.hpp>

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <poll.h>
#include <random>
#include <stdexcept>
#include <sys/eventfd.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace evented {

namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How long after a look, at the earliest, the next one follows.
constexpr milliseconds pace{1};

/// How long after an announcement, at the earliest, the next one follows: each is
/// a transaction of its own, which a busy writer would feel.
constexpr milliseconds announce_pace{4};

/// How long after a look that has found the frontier held back, at first, the
/// next one follows.
constexpr milliseconds first_pause{5};

/// Waits for nothing in particular.
constexpr milliseconds forever = std::chrono::hours{1};

/// Returns how long to wait after so many failures in a row, at least one.
milliseconds backoff(unsigned failures) {
  thread_local std::minstd_rand random{std::random_device{}()};
  auto most = std::min(1000u, 10u << std::min(failures - 1, 7u));
  return milliseconds{std::uniform_int_distribution<unsigned>{5, most}(random)};
}

/// Lets other threads end the wait of one.
class wake_event {
public:
  wake_event() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (fd_ < 0)
      throw std::system_error(errno, std::generic_category(), "eventfd");
  }

  wake_event(const wake_event&) = delete;
  wake_event& operator=(const wake_event&) = delete;

  ~wake_event() { ::close(fd_); }

  [[nodiscard]] int fd() const noexcept { return fd_; }

  void set() noexcept {
    // Fails only where it is set 2^64 - 1 times.
    std::uint64_t one = 1;
    [[maybe_unused]] auto n = ::write(fd_, &one, sizeof(one));
  }

  void reset() noexcept {
    std::uint64_t count = 0;
    [[maybe_unused]] auto n = ::read(fd_, &count, sizeof(count));
  }

  /// Waits until it is set, and lets it be.
  void wait(milliseconds limit) noexcept {
    pollfd x{fd_, POLLIN, 0};
    ::poll(&x, 1, static_cast<int>(std::min(limit, forever).count()));
  }

private:
  int fd_;
};

/// Returns how long it is until `when`, not less.
milliseconds until(clock::time_point when) {
  return std::max(std::chrono::ceil<milliseconds>(when - clock::now()),
                  milliseconds{0});
}

} // namespace

// -- registration -------------------------------------------------------------

class frontier_watch::registration::state {
public:
  explicit state(std::function<void()> end) : end_(std::move(end)) {
    // nop
  }

  ~state() { end_(); }

private:
  std::function<void()> end_;
};

frontier_watch::registration::registration() noexcept = default;

frontier_watch::registration::registration(registration&&) noexcept = default;

frontier_watch::registration&
frontier_watch::registration::operator=(registration&&) noexcept = default;

frontier_watch::registration::~registration() = default;

// -- implementation -----------------------------------------------------------

/// Shared by the watch, its registrations and its thread, each of which may be
/// the last one to go.
class frontier_watch::impl : public std::enable_shared_from_this<impl> {
public:
  struct subscriber {
    callback f;
    /// What it was told last. The thread's own.
    std::optional<std::uint64_t> told;
    /// Whether its registration lives.
    bool active = true;
  };

  struct runner {
    uuid id;
    /// Whether the database knows that it is alive.
    bool known = false;
    /// Why it does not, after the first attempt.
    std::exception_ptr failure;
  };

  explicit impl(std::shared_ptr<store> where)
    : store_(std::move(where)),
      notifies_(store_->options().wake_up == wake_up::notify),
      poll_interval_(
        std::clamp(store_->options().poll_interval, pace, forever)),
      heartbeat_interval_(
        std::clamp(store_->options().take_over / 10, pace, forever)) {
    // nop
  }

  // -- called by any thread ---------------------------------------------------

  void committed() noexcept {
    // Where nothing is announced, only subscribers have a use for this.
    if (!notifies_ && !started_)
      return;
    if (committed_.exchange(true))
      return;
    try {
      start();
      wake_.set();
    } catch (const std::exception& e) {
      // The next commit tries again.
      committed_ = false;
      note("cannot start the thread that announces commits", e);
    }
  }

  std::shared_ptr<subscriber> subscribe(callback f) {
    auto result = std::make_shared<subscriber>();
    result->f = std::move(f);
    {
      std::lock_guard guard{mutex_};
      subscribers_.push_back(result);
    }
    try {
      start();
    } catch (...) {
      end(result);
      throw;
    }
    wake_.set();
    return result;
  }

  void end(const std::shared_ptr<subscriber>& x) noexcept {
    // What the callback holds goes here and now rather than in the thread, and
    // outside of the lock.
    callback f;
    std::unique_lock guard{mutex_};
    x->active = false;
    std::erase(subscribers_, x);
    if (!in_own_thread())
      changed_.wait(guard, [&] { return calling_ != x; });
    if (calling_ != x)
      f = std::move(x->f);
  }

  std::shared_ptr<runner> keep_alive(const uuid& id) {
    auto result = std::make_shared<runner>();
    result->id = id;
    if (in_own_thread()) {
      // Nobody but this thread could do it.
      if (session_ == nullptr)
        throw connection_lost(false, "not connected to the database");
      session_->heartbeat({id});
      result->known = true;
      std::lock_guard guard{mutex_};
      runners_.push_back(result);
      return result;
    }
    start();
    std::unique_lock guard{mutex_};
    runners_.push_back(result);
    wake_.set();
    changed_.wait(guard, [&] { return result->known || result->failure; });
    if (result->failure) {
      std::erase(runners_, result);
      guard.unlock();
      std::rethrow_exception(result->failure);
    }
    return result;
  }

  void end(const std::shared_ptr<runner>& x) noexcept {
    std::lock_guard guard{mutex_};
    std::erase(runners_, x);
  }

  watch_state state() const {
    std::lock_guard guard{mutex_};
    auto result = state_;
    if (held_since_)
      result.held
        = std::chrono::duration_cast<milliseconds>(clock::now() - *held_since_);
    return result;
  }

  /// Ends the thread. The last call.
  void stop() noexcept {
    std::unique_lock guard{mutex_};
    stopping_ = true;
    wake_.set();
    if (!thread_.joinable())
      return;
    if (in_own_thread()) {
      thread_.detach();
      return;
    }
    guard.unlock();
    thread_.join();
  }

private:
  // -- starting ---------------------------------------------------------------

  void start() {
    if (started_)
      return;
    std::lock_guard guard{mutex_};
    if (started_ || stopping_)
      return;
    thread_ = std::thread{[self = shared_from_this()] { self->run(); }};
    thread_id_ = thread_.get_id();
    started_ = true;
  }

  [[nodiscard]] bool in_own_thread() const noexcept {
    return thread_id_.load() == std::this_thread::get_id();
  }

  // -- the thread -------------------------------------------------------------

  void run() {
    // So that a callback that ends something knows where it is.
    thread_id_ = std::this_thread::get_id();
    // Reset before anything is read: what is set later wakes again.
    for (wake_.reset(); !stopping_; wake_.reset()) {
      if (session_ == nullptr && clock::now() < retry_at_) {
        wake_.wait(until(retry_at_));
        continue;
      }
      if (round()) {
        tell();
        if (!stopping_)
          rest();
      }
    }
    // Nobody else announces what was committed last.
    if (notifies_ && (committed_ || announce_due_) && failures_ == 0)
      attempt([this] { announce(); });
    session_.reset();
  }

  /// Says what there is to say and looks where there is a reason to. Returns
  /// whether it worked.
  bool round() {
    return attempt([this] {
      heartbeat();
      auto now = clock::now();
      // Until there is something to do about it, further commits wake nobody.
      if (now >= next_turn() && committed_.exchange(false)) {
        look_due_ = true;
        announce_due_ = notifies_;
      }
      if (announce_due_ && now >= last_announcement_ + announce_pace)
        announce();
      if (is_time_to_look(now >= last_look_ + pace))
        look();
      succeed();
    });
  }

  /// Runs `f` on a connection. Returns whether it worked.
  template <class F>
  bool attempt(F&& f) {
    auto fresh = session_ == nullptr;
    try {
      if (fresh)
        connect();
      f();
      return true;
    } catch (const connection_lost& e) {
      // A connection that lay idle may have been broken for long.
      fail(e, fresh);
    } catch (const std::exception& e) {
      fail(e, true);
    }
    return false;
  }

  void connect() {
    session_ = store_->connect_watch();
    next_heartbeat_ = {};
    // Meanwhile, nothing was heard.
    look_due_ = true;
    std::lock_guard guard{mutex_};
    // A server that took over, or came back from a crash, may draw numbers again
    // that were seen before.
    state_.frontier = 0;
    state_.listening = session_->listens();
    if (std::exchange(was_connected_, true))
      ++state_.reconnects;
  }

  /// @param final whether another attempt at once would come to the same
  void fail(const std::exception& why, bool final) {
    session_.reset();
    ++failures_;
    retry_at_ = clock::now() + backoff(failures_);
    if (failures_ == 1)
      note("trying again until it works", why);
    std::lock_guard guard{mutex_};
    state_.connected = false;
    state_.listening = false;
    state_.error = why.what();
    if (!final)
      return;
    for (auto& x : runners_)
      if (!x->known)
        x->failure = std::current_exception();
    changed_.notify_all();
  }

  void succeed() {
    if (failures_ > 0)
      SPDLOG_INFO("evented: the watch over the journal is back");
    failures_ = 0;
    std::lock_guard guard{mutex_};
    state_.connected = true;
    state_.error = announce_error_;
  }

  void heartbeat() {
    std::vector<std::shared_ptr<runner>> alive;
    {
      std::lock_guard guard{mutex_};
      alive = runners_;
    }
    auto now = clock::now();
    auto all_known = std::all_of(alive.begin(), alive.end(),
                                 [](auto& x) { return x->known; });
    if (alive.empty() || (all_known && now < next_heartbeat_))
      return;
    std::vector<uuid> ids;
    for (auto& x : alive)
      ids.push_back(x->id);
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    session_->heartbeat(ids);
    next_heartbeat_ = now + heartbeat_interval_;
    std::lock_guard guard{mutex_};
    for (auto& x : alive)
      x->known = true;
    changed_.notify_all();
  }

  /// Returns when there is something to do about a commit, at the earliest.
  clock::time_point next_turn() const {
    std::lock_guard guard{mutex_};
    return subscribers_.empty() ? last_announcement_ + announce_pace
                                : last_look_ + pace;
  }

  void announce() {
    last_announcement_ = clock::now();
    try {
      session_->announce();
      announce_error_.clear();
    } catch (const sql_error& e) {
      // The others have their poll interval; this process still looks.
      if (announce_error_.empty())
        note("other processes learn of commits late", e);
      announce_error_ = e.what();
    }
    announce_due_ = false;
  }

  bool is_time_to_look(bool paced) {
    std::lock_guard guard{mutex_};
    if (subscribers_.empty()) {
      // The first one looks in any case.
      held_since_.reset();
      look_due_ = false;
      return false;
    }
    auto fresh = std::any_of(subscribers_.begin(), subscribers_.end(),
                             [](auto& x) { return !x->told; });
    return fresh || (look_due_ && paced) || clock::now() >= next_look_;
  }

  void look() {
    {
      std::lock_guard guard{mutex_};
      audience_ = subscribers_;
    }
    auto found = session_->look();
    auto now = clock::now();
    last_look_ = now;
    look_due_ = false;
    std::lock_guard guard{mutex_};
    auto moved = found.frontier > state_.frontier;
    state_.frontier = std::max(state_.frontier, found.frontier);
    if (found.last <= state_.frontier) {
      held_since_.reset();
      next_look_ = now + poll_interval_;
      return;
    }
    // A rollback announces nothing. Doubles the time, however often others
    // make it look in between.
    if (moved || !held_since_)
      held_since_ = now;
    next_look_ = now
                 + std::min<clock::duration>(
                   std::max<clock::duration>(now - *held_since_, first_pause),
                   poll_interval_);
  }

  /// Calls those who do not know how far the frontier is.
  void tell() {
    for (auto& x : std::exchange(audience_, {})) {
      std::uint64_t frontier = 0;
      {
        std::lock_guard guard{mutex_};
        frontier = state_.frontier;
        if (!x->active || stopping_ || x->told == frontier)
          continue;
        calling_ = x;
      }
      x->told = frontier;
      try {
        x->f(frontier);
      } catch (const std::exception& e) {
        note("a callback of the watch over the journal threw", e);
      } catch (...) {
        note("a callback of the watch over the journal threw",
             std::runtime_error("no std::exception"));
      }
      {
        std::lock_guard guard{mutex_};
        calling_.reset();
      }
      changed_.notify_all();
    }
  }

  /// Waits until there is a reason for the next round.
  void rest() {
    if (committed_ || look_due_) {
      // There is a reason, but it is too early; what the socket says is none.
      wake_.wait(until(next_turn()));
      return;
    }
    auto limit
      = announce_due_ ? until(last_announcement_ + announce_pace) : forever;
    {
      std::lock_guard guard{mutex_};
      if (!runners_.empty())
        limit = std::min(limit, until(next_heartbeat_));
      if (!subscribers_.empty())
        limit = std::min(limit, until(next_look_));
    }
    attempt([&] { look_due_ = session_->wait(wake_.fd(), limit); });
  }

  static void note(const char* what, const std::exception& why) noexcept {
    SPDLOG_WARN("evented: {}; {}", why.what(), what);
  }

  const std::shared_ptr<store> store_;
  const bool notifies_;
  const milliseconds poll_interval_;
  const milliseconds heartbeat_interval_;
  wake_event wake_;

  // -- what threads tell each other -------------------------------------------

  /// Set by a commit, reset where it is announced: many commits in between cost
  /// one look at this.
  std::atomic<bool> committed_{false};
  std::atomic<bool> started_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<std::thread::id> thread_id_{};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
  std::vector<std::shared_ptr<subscriber>> subscribers_;
  std::vector<std::shared_ptr<runner>> runners_;
  /// Whose callback runs now.
  std::shared_ptr<subscriber> calling_;
  watch_state state_;
  std::optional<clock::time_point> held_since_;

  // -- what only the thread touches -------------------------------------------

  std::unique_ptr<watch_session> session_;
  bool was_connected_ = false;
  unsigned failures_ = 0;
  clock::time_point retry_at_;
  clock::time_point next_heartbeat_;
  clock::time_point next_look_;
  clock::time_point last_look_;
  bool look_due_ = false;
  clock::time_point last_announcement_;
  /// Whether there are commits that were not announced.
  bool announce_due_ = false;
  std::string announce_error_;
  /// Who waited for the last look.
  std::vector<std::shared_ptr<subscriber>> audience_;
};

// -- frontier_watch -----------------------------------------------------------

frontier_watch::frontier_watch(std::shared_ptr<store> where)
  : impl_(std::make_shared<impl>(std::move(where))) {
  // nop
}

frontier_watch::~frontier_watch() {
  impl_->stop();
}

void frontier_watch::committed() noexcept {
  impl_->committed();
}

frontier_watch::registration frontier_watch::subscribe(callback f) {
  registration result;
  result.state_ = std::make_unique<registration::state>(
    [impl = impl_, x = impl_->subscribe(std::move(f))] { impl->end(x); });
  return result;
}

frontier_watch::registration frontier_watch::keep_alive(const uuid& id) {
  registration result;
  result.state_ = std::make_unique<registration::state>(
    [impl = impl_, x = impl_->keep_alive(id)] { impl->end(x); });
  return result;
}

watch_state frontier_watch::state() const {
  return impl_->state();
}

} // namespace evented
