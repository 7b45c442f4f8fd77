#include "failure.hpp"
#include "line_file.hpp"
#include "saved.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <system_error>
#include <unistd.h>
#include <vector>
#include <zstd.h>

namespace evented::cli {

namespace fs = std::filesystem;

namespace {

/// A frame of this much text is written at once.
constexpr std::size_t frame_size = 4 * 1024 * 1024;

/// Fast, and the files are still a fraction of their text.
constexpr int compression_level = 1;

[[noreturn]] void fail(const fs::path& file, const char* what) {
  throw failure(exit_code::failed, std::string{what} + " " + file.string()
                                     + ": " + std::strerror(errno));
}

fs::path part_of(const fs::path& file) {
  return file.string() + ".part";
}

fs::path state_of(const fs::path& file) {
  return file.string() + ".part.state";
}

void sync_directory_of(const fs::path& file) {
  auto dir = file.has_parent_path() ? file.parent_path() : fs::path{"."};
  if (auto fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY); fd >= 0) {
    ::fsync(fd);
    ::close(fd);
  }
}

} // namespace

void refuse_to_overwrite(const fs::path& file) {
  if (fs::exists(file))
    throw failure(exit_code::refused,
                  file.string() + " is there already, and is not overwritten");
  if (fs::exists(part_of(file)))
    throw failure(exit_code::refused,
                  part_of(file).string()
                    + " is there already: go on with it (--resume), or remove "
                      "it");
}

class line_writer::impl {
public:
  explicit impl(const fs::path& file, bool resume)
    : file_(file), compressed_(file.extension() == ".zst") {
    if (file == "-") {
      fd_ = STDOUT_FILENO;
      return;
    }
    auto flags = O_WRONLY | O_CLOEXEC | (resume ? 0 : O_CREAT | O_EXCL);
    // It may hold what only the operators of the database may read.
    fd_ = ::open(part_of(file_).c_str(), flags, 0600);
    if (fd_ < 0)
      fail(part_of(file_), resume ? "cannot open" : "cannot make");
    if (compressed_) {
      context_.reset(ZSTD_createCCtx());
      frame_.resize(ZSTD_compressBound(frame_size + 1));
    }
  }

  ~impl() {
    if (fd_ > STDERR_FILENO)
      ::close(fd_);
  }

  [[nodiscard]] bool plain_output() const { return fd_ == STDOUT_FILENO; }

  void go_on_at(std::uint64_t size) {
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0
        || ::lseek(fd_, 0, SEEK_END) < 0)
      fail(part_of(file_), "cannot go on with");
    written_ = size;
  }

  void flush() {
    if (buffer_.empty())
      return;
    if (compressed_ && !plain_output()) {
      frame_.resize(ZSTD_compressBound(buffer_.size()));
      auto size
        = ZSTD_compressCCtx(context_.get(), frame_.data(), frame_.size(),
                            buffer_.data(), buffer_.size(), compression_level);
      if (ZSTD_isError(size) != 0)
        throw failure(exit_code::failed, ZSTD_getErrorName(size));
      write(frame_.data(), size);
    } else {
      write(buffer_.data(), buffer_.size());
    }
    buffer_.clear();
  }

  void save(const std::string& state) {
    flush();
    if (plain_output())
      return;
    if (::fdatasync(fd_) != 0)
      fail(part_of(file_), "cannot write");
    auto fresh = state_of(file_).string() + ".new";
    {
      std::ofstream out{fresh};
      out << part_state{written_, state}.dump() << '\n';
      if (!out.flush())
        fail(fresh, "cannot write");
    }
    fs::rename(fresh, state_of(file_));
  }

  void finish() {
    flush();
    if (plain_output())
      return;
    if (::fsync(fd_) != 0)
      fail(part_of(file_), "cannot write");
    // Unlike a rename, this does not replace what has come meanwhile.
    if (::link(part_of(file_).c_str(), file_.c_str()) != 0)
      fail(file_, "cannot make");
    fs::remove(part_of(file_));
    fs::remove(state_of(file_));
    sync_directory_of(file_);
  }

  void discard() {
    if (plain_output())
      return;
    fs::remove(part_of(file_));
    fs::remove(state_of(file_));
  }

  std::string buffer_;

private:
  struct free_context {
    void operator()(ZSTD_CCtx* x) const { ZSTD_freeCCtx(x); }
  };

  void write(const char* data, std::size_t size) {
    while (size > 0) {
      auto n = ::write(fd_, data, size);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        fail(file_, "cannot write");
      data += n;
      size -= static_cast<std::size_t>(n);
      written_ += static_cast<std::uint64_t>(n);
    }
  }

  fs::path file_;
  bool compressed_;
  int fd_ = -1;
  std::uint64_t written_ = 0;
  std::unique_ptr<ZSTD_CCtx, free_context> context_;
  std::vector<char> frame_;
};

line_writer::line_writer(const fs::path& file) {
  if (file != "-")
    refuse_to_overwrite(file);
  impl_ = std::make_unique<impl>(file, false);
}

line_writer::line_writer(const fs::path& file, std::string& state) {
  std::ifstream in{state_of(file)};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  auto found = read_part_state(text);
  if (!found || !fs::exists(part_of(file)))
    throw failure(exit_code::refused, "there is nothing to go on with: no "
                                        + part_of(file).string()
                                        + " with its .state");
  if (fs::file_size(part_of(file)) < found->bytes)
    throw failure(exit_code::refused,
                  part_of(file).string()
                    + " is shorter than its .state says; begin anew");
  state = found->state;
  impl_ = std::make_unique<impl>(file, true);
  impl_->go_on_at(found->bytes);
}

line_writer::~line_writer() = default;

std::string& line_writer::buffer() noexcept {
  return impl_->buffer_;
}

void line_writer::flush_some() {
  if (impl_->buffer_.size() >= frame_size)
    impl_->flush();
}

void line_writer::save(const std::string& state) {
  impl_->save(state);
}

void line_writer::finish() {
  impl_->finish();
}

void line_writer::discard() {
  impl_->discard();
}

} // namespace evented::cli
