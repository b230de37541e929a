// See terminal.hpp.
#include "live/terminal.hpp"

#include <algorithm>
#include <array>
#include <clocale>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include <langinfo.h>
#include <termios.h>
#include <unistd.h>

#define NCURSES_NOMACROS  // its macros have the names of ordinary things
#include <curses.h>

namespace runnel::app::live {
namespace {

// What a signal's handler needs to give the terminal back: set before, and read there.
struct Rescue {
    termios settings{};
    std::array<char, 256> words{};  // colours, cursor, keypad and screen as they were
    std::size_t size = 0;
    volatile std::sig_atomic_t needed = 0;
};
Rescue rescue;
SCREEN* screen = nullptr;

void give_back() noexcept {
    if (rescue.needed == 0) return;
    rescue.needed = 0;
    [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, rescue.words.data(), rescue.size);
    tcsetattr(STDIN_FILENO, TCSANOW, &rescue.settings);
}

constexpr std::array ending_signals{SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
std::array<struct sigaction, ending_signals.size()> before;

void on_end(int signal) {
    give_back();
    // And then what would have been.
    std::signal(signal, SIG_DFL);
    raise(signal);
}

void take_signals() {
    struct sigaction action {};
    action.sa_handler = on_end;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigemptyset(&action.sa_mask);
    for (std::size_t i = 0; i < ending_signals.size(); ++i) sigaction(ending_signals[i], &action, &before[i]);
}
void leave_signals() {
    for (std::size_t i = 0; i < ending_signals.size(); ++i) sigaction(ending_signals[i], &before[i], nullptr);
}

void remember_words() {
    rescue.size = 0;
    for (const char* name : {"sgr0", "cnorm", "rmkx", "rmcup"}) {
        const char* const word = tigetstr(name);
        if (word == nullptr || word == reinterpret_cast<const char*>(-1)) continue;
        const std::size_t size = std::strlen(word);
        if (rescue.size + size > rescue.words.size()) break;
        std::memcpy(rescue.words.data() + rescue.size, word, size);
        rescue.size += size;
    }
}

constexpr short pair_of(Style style) {
    return static_cast<short>(static_cast<int>(style) + 1);
}

}  // namespace

bool Terminal::there() {
    const char* const kind = std::getenv("TERM");
    return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 && kind != nullptr && *kind != '\0' &&
           std::strcmp(kind, "dumb") != 0;
}

Terminal::Terminal() {
    if (screen != nullptr) throw std::logic_error("terminal: it is taken already");
    if (tcgetattr(STDIN_FILENO, &rescue.settings) != 0)
        throw std::runtime_error(
            "--live: standard input is no terminal; start it from one, or leave --live out");
    std::setlocale(LC_CTYPE, "");
    utf8_ = std::strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    // initscr() would end the process where it does not know the terminal.
    screen = newterm(nullptr, stdout, stdin);
    if (screen == nullptr)
        throw std::runtime_error(
            "--live: this terminal (TERM) is not known here; set TERM, or leave --live out");
    remember_words();
    static const bool at_exit = std::atexit(give_back) == 0;
    static_cast<void>(at_exit);
    rescue.needed = 1;
    take_signals();
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    curs_set(0);
    set_escdelay(25);
    colours_ = has_colors() && start_color() == OK && use_default_colors() == OK;
    if (colours_) {
        init_pair(pair_of(Style::plain), -1, -1);
        init_pair(pair_of(Style::title), COLOR_CYAN, -1);
        init_pair(pair_of(Style::label), -1, -1);
        init_pair(pair_of(Style::strong), -1, -1);
        init_pair(pair_of(Style::good), COLOR_GREEN, -1);
        init_pair(pair_of(Style::doubtful), COLOR_YELLOW, -1);
        init_pair(pair_of(Style::bad), COLOR_RED, -1);
        init_pair(pair_of(Style::bar), COLOR_BLUE, -1);
    }
}

Terminal::~Terminal() {
    endwin();
    rescue.needed = 0;
    leave_signals();
    delscreen(screen);
    screen = nullptr;
}

std::size_t Terminal::width() const noexcept {
    return static_cast<std::size_t>(std::max(1, getmaxx(stdscr)));
}
std::size_t Terminal::height() const noexcept {
    return static_cast<std::size_t>(std::max(1, getmaxy(stdscr)));
}

Terminal::Key Terminal::wait(std::chrono::milliseconds most) {
    wtimeout(stdscr, static_cast<int>(most.count()));
    const int key = wgetch(stdscr);
    if (key == KEY_RESIZE) return {.resized = true};
    if (key > 0 && key < 128) return {.character = static_cast<char>(key)};
    return {};
}

void Terminal::draw(const std::vector<Line>& lines) {
    werase(stdscr);
    int row = 0;
    for (const Line& line : lines) {
        wmove(stdscr, row++, 0);
        for (const Span& span : line) {
            attr_t attributes = A_NORMAL;
            if (span.style == Style::strong || span.style == Style::title || span.style == Style::bad)
                attributes = A_BOLD;
            if (span.style == Style::label) attributes = A_DIM;
            wattr_set(stdscr, attributes, colours_ ? pair_of(span.style) : short{0}, nullptr);
            // The last column of the last row cannot be written without scrolling: that error is nobody's.
            waddstr(stdscr, span.text.c_str());
        }
    }
    wrefresh(stdscr);
}

}  // namespace runnel::app::live
