#include "directory.hpp"
#include "keeper.hpp"
#include "process.hpp"

#include <evented/dev/postgres.hpp>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <sys/stat.h>

namespace evented::dev {

using namespace detail;
using namespace std::chrono_literals;

namespace {

constexpr auto user_name = "evented";

std::string shell_quoted(std::string_view text) {
  std::string result = "'";
  for (const auto c : text)
    if (c == '\'')
      result += "'\\''";
    else
      result += c;
  return result += '\'';
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view unreserved
    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string result;
  for (const auto c : text) {
    if (unreserved.find(c) != std::string_view::npos) {
      result += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    result += '%';
    result += digits[byte >> 4];
    result += digits[byte & 15];
  }
  return result;
}

int major_version(const fs::path& bin, const account& who,
                  const fs::path& scratch) {
  std::error_code ignored;
  fs::remove(scratch, ignored);
  run({bin / "postgres", "--version"}, who, scratch);
  const auto text = read_file(scratch); // postgres (PostgreSQL) 15.18 (Debian..
  const auto digit = text.find_first_of("0123456789");
  return digit == std::string::npos ? 0 : std::atoi(text.c_str() + digit);
}

} // namespace

// -- implementation -----------------------------------------------------------

class postgres::impl {
public:
  explicit impl(postgres_options opts) : options_(std::move(opts)) {
    bin_ = fs::canonical(find_program("initdb")).parent_path();
    dir_ = temporary() ? make_temporary(who_)
                       : make_kept(options_.directory, who_);
    try {
      own();
      start(true);
    } catch (...) {
      release();
      throw;
    }
  }

  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  ~impl() { release(); }

  bool temporary() const { return options_.directory.empty(); }

  fs::path data() const { return dir_ / "data"; }

  fs::path log() const { return dir_ / "server.log"; }

  const fs::path& socket() const { return socket_; }

  pid_t pid() const {
    const auto claimed = claimed_pid();
    return claimed > 0 && runs_with(claimed, data().native()) ? claimed : 0;
  }

  void start(bool first = false) {
    const auto starting = open_lock(dir_ / "starting", who_);
    if (!lock(starting, LOCK_EX))
      throw std::runtime_error("another process has been starting the server "
                               "in "
                               + dir_.native() + " for too long");
    if (pid() == 0) {
      if (first)
        fs::remove(log());
      prepare_start();
      launch(starting);
    }
    // The server knows best where it listens, also one that others started.
    std::istringstream lines{read_file(data() / "postmaster.pid")};
    std::string line;
    for (auto i = 0; i < 5; ++i)
      std::getline(lines, line);
    socket_ = line;
  }

  void stop(int signal, std::chrono::seconds deadline) {
    const auto server = pid();
    if (server == 0)
      return;
    if (::kill(server, signal) != 0 && errno != ESRCH)
      throw_errno("cannot stop the server, process " + std::to_string(server));
    if (!wait_for([&] { return pid() != server; }, deadline))
      throw failure("the server, process " + std::to_string(server)
                    + ", did not shut down in time");
  }

  void kill() {
    const auto server = pid();
    if (server == 0)
      return;
    // Stopped first, so that it starts nothing that is overlooked here.
    ::kill(server, SIGSTOP);
    auto processes = children_of(server);
    ::kill(server, SIGKILL);
    for (const auto child : processes)
      ::kill(child, SIGKILL);
    processes.push_back(server);
    // A new server refuses to start while one of them uses the shared memory.
    const auto gone
      = [&] { return std::none_of(processes.begin(), processes.end(), alive); };
    if (!wait_for(gone, patience))
      throw failure("the killed server does not go away");
  }

private:
  /// Announces this owner, and sees to it that a keeper watches.
  void own() {
    const auto path = dir_ / "owners";
    do {
      owners_ = open_lock(path, who_);
      if (!lock(owners_, LOCK_SH))
        throw std::runtime_error("the previous server in " + dir_.native()
                                 + " does not finish shutting down");
    } while (!same_file(owners_, path)); // Someone has removed the directory.
    open_lock(dir_ / "starting", who_);
    open_lock(dir_ / "keeper", who_);
    const auto status
      = run({"sh", "-c", std::string{keeper_script}, "evented-keeper", dir_,
             temporary() ? "temporary" : "kept"},
            who_, "/dev/null");
    if (status != 0)
      throw std::runtime_error("cannot start the keeper of " + dir_.native());
  }

  /// Stops the server where this is the last owner.
  void release() noexcept {
    if (owners_.get() < 0 || process_ != getpid())
      return;
    try {
      if (try_lock(owners_, LOCK_EX)) {
        shut_down();
        remove_leftovers();
      } else {
        // Either there are other owners, or the keeper was faster: changing the
        // mode of a lock gives it up for a moment. Then it is at work now.
        owners_.reset();
        wait_for([this] { return !keeper_works(); }, patience);
      }
    } catch (const std::exception&) {
      // The keeper tries again.
    }
    owners_.reset();
  }

  void shut_down() {
    try {
      stop(temporary() ? SIGQUIT : SIGINT, 30s);
    } catch (const std::runtime_error&) {
      stop(SIGQUIT, 30s);
    }
  }

  void remove_leftovers() {
    const auto link = dir_ / "socket";
    if (fs::is_symlink(link)) {
      fs::remove_all(fs::read_symlink(link));
      fs::remove(link);
    }
    if (temporary())
      fs::remove_all(dir_);
  }

  bool keeper_works() const {
    const descriptor file{
      open((dir_ / "owners").c_str(), O_RDONLY | O_CLOEXEC)};
    return file.get() >= 0 && !try_lock(file, LOCK_SH);
  }

  /// Returns the process ID that the data directory names, running or not.
  pid_t claimed_pid() const {
    return std::atoi(read_file(data() / "postmaster.pid").c_str());
  }

  /// Clears away what an earlier run has left behind, and runs initdb.
  void prepare_start() {
    const auto fresh = dir_ / "data.new";
    const auto setup = dir_ / "setup.log";
    if (fs::exists(data() / "PG_VERSION")) {
      choose_version(std::atoi(read_file(data() / "PG_VERSION").c_str()));
    } else {
      // Renamed when it is complete, so that a run that dies here spoils
      // nothing.
      fs::remove_all(fresh);
      fs::remove(setup);
      const auto status
        = run({bin_ / "initdb", "--pgdata", fresh, "--username", user_name,
               "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"},
              who_, setup);
      if (status != 0)
        throw std::runtime_error("initdb failed:\n" + tail(read_file(setup)));
      fs::rename(fresh, data());
    }
    if (const auto claimed = claimed_pid(); claimed > 0 && exists(claimed)) {
      // After a crash the number may belong to anyone, or to a zombie that
      // nobody waits for. PostgreSQL would take either for a server.
      if (alive(claimed) && name_of(claimed) == "postgres")
        throw std::runtime_error("PostgreSQL process " + std::to_string(claimed)
                                 + " seems to use " + data().native()
                                 + ": stop it, or remove postmaster.pid there");
      fs::remove(data() / "postmaster.pid");
    }
    socket_ = fits_socket(dir_) ? dir_ : short_socket_directory();
    fs::remove(socket_.native() + socket_name + ".lock");
  }

  /// Finds the programs of the version that made the data.
  void choose_version(int wanted) {
    const auto found = major_version(bin_, who_, dir_ / "setup.log");
    const auto other
      = fs::path{"/usr/lib/postgresql"} / std::to_string(wanted) / "bin";
    if (found == wanted)
      return;
    if (!fs::exists(other / "postgres"))
      throw std::runtime_error(
        "the data in " + dir_.native() + " is PostgreSQL "
        + std::to_string(wanted) + "'s, but " + bin_.native() + " is version "
        + std::to_string(found) + ": install postgresql-"
        + std::to_string(wanted)
        + ", or remove the directory to start without the data");
    bin_ = other;
  }

  fs::path short_socket_directory() const {
    const auto link = dir_ / "socket";
    std::error_code failed;
    const auto earlier = fs::read_symlink(link, failed);
    struct stat info {};
    if (!failed && lstat(earlier.c_str(), &info) == 0 && S_ISDIR(info.st_mode)
        && info.st_uid == who_.uid)
      return earlier;
    fs::remove(link);
    const auto result = make_temporary(who_);
    fs::create_directory_symlink(result, link);
    return result;
  }

  void launch(const descriptor& starting) {
    auto settings = options_.settings;
    settings.insert(settings.begin(),
                    {{"listen_addresses", ""},
                     {"unix_socket_directories", socket_},
                     {"unix_socket_permissions", "0700"},
                     {"port", "5432"},
                     {"fsync", options_.fsync ? "on" : "off"},
                     {"full_page_writes", options_.fsync ? "on" : "off"}});
    std::string line;
    for (const auto& [name, value] : settings)
      line += " -c " + shell_quoted(name + "=" + value);
    const auto setup = dir_ / "setup.log";
    fs::remove(setup);
    // The shell holds the lock until pg_ctl is through, also where this process
    // dies meanwhile; the server itself must not hold it.
    const auto status
      = run({"sh", "-c", R"("$@" 3<&-; exit $?)", "sh", bin_ / "pg_ctl",
             "start", "--wait", "--timeout=60", "--silent", "--pgdata", data(),
             "--log", log(), "--options", line},
            who_, setup, starting.get());
    if (status != 0 || pid() == 0)
      throw failure("PostgreSQL did not start: " + tail(read_file(setup)));
  }

  std::runtime_error failure(const std::string& what) const {
    return std::runtime_error(what + "\nThe end of " + log().native() + ":\n"
                              + tail(read_file(log())));
  }

  postgres_options options_;
  account who_ = server_account();
  fs::path bin_;
  fs::path dir_;
  fs::path socket_;
  descriptor owners_;
  // A forked child must not stop its parent's server.
  pid_t process_ = getpid();
};

// -- postgres -----------------------------------------------------------------

postgres::postgres(postgres_options opts)
  : impl_(std::make_unique<impl>(std::move(opts))) {
  // nop
}

postgres::postgres(postgres&&) noexcept = default;

postgres& postgres::operator=(postgres&&) noexcept = default;

postgres::~postgres() = default;

std::string postgres::url(std::string_view database) const {
  return "postgresql:///" + percent_encoded(database)
         + "?host=" + percent_encoded(impl_->socket().native())
         + "&port=5432&user=" + user_name;
}

fs::path postgres::socket_directory() const {
  return impl_->socket();
}

fs::path postgres::data_directory() const {
  return impl_->data();
}

fs::path postgres::log_file() const {
  return impl_->log();
}

std::string postgres::user() const {
  return user_name;
}

pid_t postgres::pid() const {
  return impl_->pid();
}

void postgres::stop(shutdown mode) {
  constexpr std::array signals{SIGTERM, SIGINT, SIGQUIT};
  impl_->stop(signals[static_cast<size_t>(mode)], 60s);
}

void postgres::start() {
  impl_->start();
}

void postgres::restart(shutdown mode) {
  stop(mode);
  start();
}

void postgres::kill() {
  impl_->kill();
}

// -- free functions -----------------------------------------------------------

fs::path default_directory(std::string_view name) {
  if (name.empty() || name == "." || name == ".."
      || name.find('/') != std::string_view::npos)
    throw std::runtime_error("not a name for a directory: '" + std::string{name}
                             + "'");
  const auto set = [](const char* variable) {
    const auto* value = std::getenv(variable);
    return value && *value == '/' ? fs::path{value} : fs::path{};
  };
  fs::path parent;
  if (geteuid() == 0)
    parent = "/var/lib/evented";
  else if (const auto state = set("XDG_STATE_HOME"); !state.empty())
    parent = state / "evented";
  else if (const auto home = set("HOME");
           !home.empty() && access(home.c_str(), W_OK) == 0)
    parent = home / ".local/state/evented";
  else
    parent = "/var/tmp/evented-" + std::to_string(geteuid());
  fs::create_directories(parent.parent_path());
  if (mkdir(parent.c_str(), 0755) == 0)
    fs::permissions(parent, fs::perms{0755}); // whatever the umask is
  else if (errno != EEXIST)
    throw_errno("cannot make the directory " + parent.native());
  struct stat info {};
  if (lstat(parent.c_str(), &info) != 0)
    throw_errno("cannot read the directory " + parent.native());
  if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid()
      || (info.st_mode & 022) != 0)
    throw std::runtime_error("the directory " + parent.native()
                             + " belongs to another user, or others may write "
                               "to it");
  return parent / name;
}

fs::path find_program(std::string_view name) {
  const auto usable = [](const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored)
           && access(path.c_str(), X_OK) == 0;
  };
  const auto* variable = std::getenv("PATH");
  std::istringstream path{variable ? variable : ""};
  for (std::string dir; std::getline(path, dir, ':');)
    if (const auto file = fs::path{dir} / name; !dir.empty() && usable(file))
      return fs::absolute(file);
  fs::path newest;
  auto newest_version = 0;
  std::error_code ignored;
  for (const auto& entry :
       fs::directory_iterator{"/usr/lib/postgresql", ignored}) {
    const auto version = std::atoi(entry.path().filename().c_str());
    if (const auto file = entry.path() / "bin" / name;
        version > newest_version && usable(file)) {
      newest = file;
      newest_version = version;
    }
  }
  if (newest.empty())
    throw std::runtime_error(std::string{name}
                             + " is neither in PATH nor in "
                               "/usr/lib/postgresql: install PostgreSQL, or "
                               "set "
                             + database_url_variable
                             + " to use another server");
  return newest;
}

// -- database -----------------------------------------------------------------

namespace {

std::string url_from_environment() {
  const auto* value = std::getenv(database_url_variable);
  return value ? value : "";
}

} // namespace

database::database(std::string_view name) : url_(url_from_environment()) {
  if (url_.empty()) {
    server_.emplace(postgres_options{.directory = default_directory(name)});
    url_ = server_->url();
  }
}

database::database(postgres_options opts) : url_(url_from_environment()) {
  if (url_.empty()) {
    server_.emplace(std::move(opts));
    url_ = server_->url();
  }
}

} // namespace evented::dev
